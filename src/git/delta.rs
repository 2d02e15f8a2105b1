//! Deltas of objects that were edited in place.
//!
//! In: an object's old and new bytes. Out: the instructions that make one of the other: copies of what is
//! the same, and what is new. It finds what edits leave: a common start, a common end, and equal runs
//! between them when nothing has moved. Linear in both; pure.

/// The longest copy of one instruction; pack readers of old know no longer ones.
const COPY_MAX: usize = 0xffff;
/// The longest insert of one instruction.
const INSERT_MAX: usize = 0x7f;
/// Shorter equal runs cost more as copies than as new bytes.
const RUN_MIN: usize = 12;

/// Returns the delta that makes `new` of `old`.
pub(super) fn delta(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    size(&mut out, old.len());
    size(&mut out, new.len());
    let start = n_equal(old.iter().zip(new));
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = n_equal(old_rest.iter().rev().zip(new_rest.iter().rev()));
    let old_middle = &old_rest[..old_rest.len() - end];
    let new_middle = &new_rest[..new_rest.len() - end];
    copy(&mut out, 0, start);
    match old_middle.len() == new_middle.len() {
        true => in_place(&mut out, start, old_middle, new_middle),
        false => insert(&mut out, new_middle),
    }
    copy(&mut out, old.len() - end, end);
    out
}

fn n_equal<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    pairs.take_while(|(old, new)| old == new).count()
}

/// Writes bytes of which some were replaced and none has moved.
fn in_place(out: &mut Vec<u8>, offset: usize, old: &[u8], new: &[u8]) {
    let (mut pending, mut at) = (0, 0);
    while at < new.len() {
        let n = n_equal(old[at..].iter().zip(&new[at..]));
        if n >= RUN_MIN {
            insert(out, &new[pending..at]);
            copy(out, offset + at, n);
            pending = at + n;
        }
        at += n.max(1);
    }
    insert(out, &new[pending..]);
}

fn insert(out: &mut Vec<u8>, bytes: &[u8]) {
    for part in bytes.chunks(INSERT_MAX) {
        out.push(part.len() as u8);
        out.extend_from_slice(part);
    }
}

fn copy(out: &mut Vec<u8>, mut offset: usize, mut n: usize) {
    while n > 0 {
        let part = n.min(COPY_MAX);
        let at = out.len();
        out.push(0x80);
        let numbers = (offset as u32)
            .to_le_bytes()
            .into_iter()
            .chain((part as u16).to_le_bytes());
        for (bit, byte) in numbers.enumerate().filter(|(_, byte)| *byte != 0) {
            out[at] |= 1 << bit;
            out.push(byte);
        }
        offset += part;
        n -= part;
    }
}

fn size(out: &mut Vec<u8>, mut n: usize) {
    while n > 0x7f {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies a delta as the pack format says.
    fn apply(old: &[u8], delta: &[u8]) -> Vec<u8> {
        let mut rest = delta;
        let mut next = || {
            let (first, others) = rest.split_first()?;
            rest = others;
            Some(*first)
        };
        for _ in 0..2 {
            while next().unwrap() & 0x80 != 0 {}
        }
        let mut new = Vec::new();
        while let Some(op) = next() {
            if op & 0x80 == 0 {
                (0..op).for_each(|_| new.push(next().unwrap()));
                continue;
            }
            let mut numbers = [0; 8];
            for (bit, place) in [0, 1, 2, 3, 4, 5].into_iter().enumerate() {
                if op & (1 << bit) != 0 {
                    numbers[place] = next().unwrap();
                }
            }
            let offset = u32::from_le_bytes(numbers[..4].try_into().unwrap()) as usize;
            let n = u32::from_le_bytes(numbers[4..].try_into().unwrap()) as usize;
            new.extend_from_slice(&old[offset..offset + n]);
        }
        new
    }

    #[test]
    fn deltas_make_the_new_of_the_old() {
        let long: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut edited = long.clone();
        for at in [0, 70_000, 70_030, 1_199_999] {
            edited[at] ^= 0xff;
        }
        let cases: [(&[u8], &[u8]); 8] = [
            (b"", b""),
            (b"", b"new"),
            (b"old", b""),
            (b"image: web:1\n", b"image: web:2\n"),
            (b"image: web:1.9\nend\n", b"image: web:1.10\nend\n"),
            (b"aaaa", b"aaaaaa"),
            (&long, &edited),
            (&long, &long),
        ];
        for (old, new) in cases {
            let delta = delta(old, new);
            assert_eq!(apply(old, &delta), new);
        }
        assert!(delta(&long, &edited).len() < 400);
    }
}
