//! What each ImagePolicy chose last, so that a new tag costs a look at the new tag only, and which
//! of them wait for one more scan.
//!
//! In: a policy and the store of scans. Out: the choice, or why there is none. A choice is made
//! among all tags once, and afterwards from what changed; it is forgotten with its object, and
//! nothing is kept over a restart, after which every policy has a pass.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Failure, failed};
use crate::api::{ImagePolicyChoice, ImagePolicySpec, TagFilter, reasons};
use crate::policy::{Policy, Selection};
use crate::reconcile::Key;
use crate::tags::{self, Owner, Position, Store};

/// The last choices by ImagePolicy.
#[derive(Debug, Default)]
pub(super) struct Choices {
    made: Mutex<HashMap<Key, Made>>,
    /// By ImagePolicy the ImageRepository whose next scan it waits for.
    waiting: Mutex<BTreeMap<Key, Key>>,
}

/// A choice, and what it was made from.
#[derive(Debug, Clone)]
struct Made {
    from: Question,
    position: Position,
    selection: Selection,
}

/// Whose tags are chosen among, and how.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    pub owner: Owner,
    pub repository: String,
    choice: ImagePolicyChoice,
    filter: Option<TagFilter>,
}

/// Why there is no choice.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No tag is stored yet.
    NoTags,
    /// Something went wrong.
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<tags::Error> for Trouble {
    fn from(error: tags::Error) -> Self {
        Self::Failed(failed(reasons::FAILURE, error.to_string()))
    }
}

impl Question {
    pub fn new(owner: Owner, repository: String, spec: &ImagePolicySpec) -> Self {
        Self {
            owner,
            repository,
            choice: spec.policy.clone(),
            filter: spec.filter_tags.clone(),
        }
    }
}

impl Choices {
    /// Chooses among the stored tags. Blocks for the time of a disk and of a walk over the tags.
    pub fn choose(
        &self,
        key: &Key,
        question: &Question,
        policy: &Policy,
        store: &Store,
    ) -> Result<Selection, Trouble> {
        if let Some(selection) = self.step(key, question, policy, store)? {
            return Ok(selection);
        }
        let scan = store.scan(&question.owner, &question.repository)?;
        let Some((scan, position)) = scan.filter(|(scan, _)| !scan.tags().is_empty()) else {
            self.forget(key);
            return Err(Trouble::NoTags);
        };
        let selection = policy.choose(scan.tags().iter()).map_err(|error| {
            self.forget(key);
            failed(reasons::FAILURE, error.to_string())
        })?;
        self.remember(key, question, position, &selection);
        Ok(selection)
    }

    /// Forgets what an object chose.
    pub fn forget(&self, key: &Key) {
        locked(&self.made).remove(key);
    }

    /// Says whether an object waits for the next scan of its repository.
    pub fn set_waiting(&self, key: &Key, repository: Option<&Key>) {
        let mut waiting = locked(&self.waiting);
        match repository {
            Some(repository) => waiting.insert(key.clone(), repository.clone()),
            None => waiting.remove(key),
        };
    }

    /// Returns who waits for the next scan of a repository.
    pub fn waiting_for(&self, repository: &Key) -> Vec<Key> {
        let waiting = locked(&self.waiting);
        let of_it = waiting.iter().filter(|(_, other)| *other == repository);
        of_it.map(|(key, _)| key.clone()).collect()
    }

    /// Chooses from what changed since the last choice, where that is enough.
    fn step(
        &self,
        key: &Key,
        question: &Question,
        policy: &Policy,
        store: &Store,
    ) -> Result<Option<Selection>, Trouble> {
        let made = locked(&self.made).get(key).cloned();
        let Some(made) = made.filter(|made| made.from == *question) else {
            return Ok(None);
        };
        let changes = store.since(&question.owner, &question.repository, made.position)?;
        let Some(changes) = changes else {
            return Ok(None);
        };
        if changes.position == made.position {
            return Ok(Some(made.selection));
        }
        let seen = changes.seen.iter().map(String::as_str);
        let vanished = changes.vanished.iter().map(String::as_str);
        let selection = policy.choose_after(&made.selection, seen, vanished);
        if let Some(selection) = &selection {
            self.remember(key, question, changes.position, selection);
        }
        Ok(selection)
    }

    fn remember(&self, key: &Key, from: &Question, position: Position, selection: &Selection) {
        let made = Made {
            from: from.clone(),
            position,
            selection: selection.clone(),
        };
        locked(&self.made).insert(key.clone(), made);
    }
}

/// Locks; an entry is whole even when a holder panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::image::TagListBuilder;

    fn scan(tags: &[&str]) -> tags::Scan {
        let mut list = TagListBuilder::default();
        for tag in tags {
            assert!(list.push(tag));
        }
        let reading = tags::Reading {
            started_at: DateTime::UNIX_EPOCH,
            finished_at: DateTime::UNIX_EPOCH,
            n_pages: 1,
        };
        tags::Scan::new("r.io/app", list.sorted(), reading)
    }

    #[test]
    fn those_who_wait_for_a_scan_are_known_by_its_repository() {
        let (choices, repository) = (Choices::default(), Key::new("apps", "app"));
        let (a, b) = (Key::new("apps", "a"), Key::new("other", "b"));
        choices.set_waiting(&b, Some(&repository));
        choices.set_waiting(&a, Some(&repository));
        assert_eq!(choices.waiting_for(&repository), [a.clone(), b.clone()]);
        choices.set_waiting(&a, None);
        assert_eq!(choices.waiting_for(&repository), [b]);
        assert_eq!(choices.waiting_for(&a), []);
    }

    #[test]
    fn a_choice_follows_the_store_with_and_without_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let owner = Owner {
            namespace: "apps".to_owned(),
            name: "app".to_owned(),
        };
        let spec = |range: &str| -> ImagePolicySpec {
            let policy = json!({"semver": {"range": range}});
            let spec = json!({"imageRepositoryRef": {"name": "app"}, "policy": policy});
            serde_json::from_value(spec).unwrap()
        };
        let (choices, key) = (Choices::default(), Key::new("apps", "app"));
        let choose = |spec: &ImagePolicySpec| {
            let policy = Policy::from_spec(spec).unwrap();
            let question = Question::new(owner.clone(), "r.io/app".to_owned(), spec);
            match choices.choose(&key, &question, &policy, &store) {
                Ok(selection) => selection.tag,
                Err(trouble) => format!("{trouble:?}"),
            }
        };
        let (all, ones) = (spec("*"), spec("1.x"));
        assert_eq!(choose(&all), "NoTags");
        for (tags, want_all, want_ones) in [
            (&["1.0.0", "2.0.0"][..], "2.0.0", "1.0.0"),
            (&["1.0.0", "2.0.0"], "2.0.0", "1.0.0"),
            (&["1.0.0", "2.0.0", "2.1.0", "x"], "2.1.0", "1.0.0"),
            (&["1.0.0", "1.1.0", "2.0.0"], "2.0.0", "1.1.0"),
            (&["1.0.0"], "1.0.0", "1.0.0"),
        ] {
            store.replace(&owner, &scan(tags)).unwrap();
            assert_eq!(choose(&all), want_all, "{tags:?}");
            assert_eq!(choose(&all), want_all, "{tags:?} again");
            assert_eq!(choose(&ones), want_ones, "{tags:?}");
        }
        store.replace(&owner, &scan(&[])).unwrap();
        assert_eq!(choose(&all), "NoTags");
    }
}
