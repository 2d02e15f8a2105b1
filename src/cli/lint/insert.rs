//! Inserts missing markers behind their values and changes no other byte.
//!
//! In: the bytes of a file and what was found in it. Out: the new bytes, if all markers that were
//! inserted have an effect. Pure.

use super::finding::Finding;
use super::missing::Missing;
use super::policies::Key;
use crate::update::{Setters, rewrite};

/// Returns the bytes with markers inserted, and how many; nothing when there is none to insert. With
/// `only`, markers of that policy; without, where one policy alone is possible.
pub(super) fn markers(
    bytes: &[u8],
    findings: &[Finding],
    only: Option<&Key>,
    setters: &Setters,
) -> Option<(Vec<u8>, usize)> {
    let missing = findings
        .iter()
        .filter_map(|finding| finding.missing.as_ref());
    let mut inserts: Vec<(usize, String)> = missing
        .filter(|missing| missing.obstacle.is_none())
        .filter_map(|missing| Some((missing.end, chosen(missing, only)?)))
        .map(|(end, marker)| (end, format!(" # {{\"$imagepolicy\": \"{marker}\"}}")))
        .collect();
    inserts.sort();
    inserts.dedup();
    if inserts.is_empty() {
        return None;
    }
    let (mut new, mut at) = (Vec::with_capacity(bytes.len()), 0);
    for (end, comment) in &inserts {
        new.extend_from_slice(bytes.get(at..*end)?);
        new.extend_from_slice(comment.as_bytes());
        at = *end;
    }
    new.extend_from_slice(bytes.get(at..)?);
    let n_effective = |bytes: &[u8]| {
        let rewritten = rewrite(bytes, setters);
        let changes = rewritten.objects.iter().map(|object| object.changes.len());
        changes.sum::<usize>() + rewritten.n_current
    };
    (n_effective(&new) == n_effective(bytes) + inserts.len()).then_some((new, inserts.len()))
}

fn chosen(missing: &Missing, only: Option<&Key>) -> Option<String> {
    match only {
        Some((namespace, name)) => {
            let policy = format!("{namespace}:{name}");
            let is_of = |marker: &&String| {
                marker
                    .strip_prefix(&policy)
                    .is_some_and(|part| part.is_empty() || part.starts_with(':'))
            };
            missing.markers.iter().find(is_of).cloned()
        }
        None if missing.markers.len() == 1 => missing.markers.first().cloned(),
        None => None,
    }
}
