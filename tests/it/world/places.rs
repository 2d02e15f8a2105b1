//! The places where a message of Git's can be cut: between its packet lines, and within its pack.
//!
//! In: the bytes of one message. Out: how many of them come before each place, from none to all but one.

/// How many places there are within a pack or a long line.
const WITHIN: usize = 6;
/// A line of so many bytes is cut within, too.
const LONG: usize = 100;
/// The checksum at the end of a pack.
const CHECKSUM: usize = 20;

/// Returns the places, in order.
pub fn of(message: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    while at < message.len() {
        places.push(at);
        let rest = &message[at..];
        let length = match rest.starts_with(b"PACK") {
            true => rest.len(),
            false => line_length(rest),
        };
        if length > LONG || rest.starts_with(b"PACK") {
            places.extend((1..WITHIN).map(|n| at + length * n / WITHIN));
            places.push(at + length - CHECKSUM);
        } else {
            // Within the four digits of the length.
            places.push(at + 2);
        }
        at += length;
    }
    places.extend(message.len().checked_sub(1));
    places.sort_unstable();
    places.dedup();
    places
}

fn line_length(bytes: &[u8]) -> usize {
    let digits = bytes.get(..4).map(String::from_utf8_lossy);
    let length = digits.and_then(|digits| usize::from_str_radix(&digits, 16).ok());
    // Flushes and delimiters are their four digits.
    length.expect("it is a packet line").max(4)
}

#[test]
fn lines_are_parted_and_a_pack_is_cut_within() {
    let pack = [b"PACK".as_slice(), &[0; 96]].concat();
    let message = [b"0006a\n0000".as_slice(), &pack].concat();
    assert_eq!(of(&message), [0, 2, 6, 8, 10, 26, 43, 60, 76, 90, 93, 109]);
}
