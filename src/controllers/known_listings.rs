//! [`KnownListings`]: what registries said of the listings that are stored, so that the next scan
//! asks only whether they have changed.
//!
//! In: a listing's validator and what the listing was of. Out: the validator, as long as the object
//! still asks for the same and its status still has that listing. Lost with the process, which then
//! reads each list once more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::registry::Validator;
use crate::tags::Owner;

/// Listings that are known at once; above it all are forgotten and read once more.
const KNOWN_MAX: usize = 100_000;

/// The listings of this process that can be compared.
#[derive(Default)]
pub(super) struct KnownListings(Mutex<HashMap<Owner, Known>>);

/// What a listing was of, and what it brought.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub repository: String,
    pub exclusions: Vec<String>,
    pub revision: String,
}

struct Known {
    subject: Subject,
    validator: Validator,
}

impl KnownListings {
    /// Returns the validator of an object's stored listing.
    pub(super) fn find(&self, owner: &Owner, subject: &Subject) -> Option<Validator> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(owner).filter(|known| known.subject == *subject)?;
        Some(known.validator.clone())
    }

    /// Keeps what was said of a listing; nothing when nothing was.
    pub(super) fn keep(&self, owner: Owner, subject: Subject, validator: Option<Validator>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(validator) = validator else {
            known.remove(&owner);
            return;
        };
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(owner, Known { subject, validator });
    }

    /// Forgets an object.
    pub(super) fn forget(&self, owner: &Owner) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(owner);
    }
}
