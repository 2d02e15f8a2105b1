//! Laws that hold for whatever is applied: objects and owners that look random, the same each run.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::check::check;
use super::compare::compare;
use super::merge::{changes_nothing, merge};
use super::owned::{after_schema_change, field_set, is_owned_by_applying, with_named_fields};
use super::prune::prune;
use super::tests::{NOW, body, owners, rows};
use super::types::Type;
use super::update::Versions;
use super::{Apply, apply};
use crate::error::ApiError;
use crate::fields::FieldSet;
use crate::kinds::TypeInfo;
use crate::schema::{ListKind, Schema, Shape};

const ROUNDS: u64 = 120;

struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Returns a value without empty lists and maps.
    ///
    /// They break the laws, in Kubernetes too: an empty keyed list is owned by nobody, and a map
    /// whose applier takes back its last key becomes null before it is empty again.
    fn value(&mut self, schema: &Schema) -> Value {
        match &schema.shape {
            Shape::Any => json!({ "f": self.below(2), "g": [self.below(2)] }),
            Shape::String => json!(["a", "b", "c"][usize::try_from(self.below(3)).unwrap()]),
            Shape::Boolean => json!(self.below(2) == 0),
            Shape::Integer | Shape::Number | Shape::IntOrString => json!(self.below(3)),
            Shape::List { items, kind } => {
                let count = 1 + self.below(3);
                let mut out: Vec<Value> = Vec::new();
                for _ in 0..count {
                    let mut item = self.value(items);
                    if let ListKind::Map(keys) = kind {
                        for key in keys {
                            let field = items.field(key).unwrap();
                            item[key] = self.value(field);
                        }
                    }
                    let same = |other: &Value| match kind {
                        ListKind::Map(keys) => keys.iter().all(|k| other[k] == item[k]),
                        ListKind::Set => *other == item,
                        ListKind::Atomic => false,
                    };
                    if !out.iter().any(same) {
                        out.push(item);
                    }
                }
                Value::Array(out)
            }
            Shape::Object {
                fields, additional, ..
            } => {
                let mut map = Map::new();
                for (name, field) in fields {
                    if self.below(2) == 0 {
                        map.insert(name.clone(), self.value(field));
                    }
                }
                if let Some(schema) = additional {
                    let name = ["x", "y", "z"][usize::try_from(self.below(3)).unwrap()];
                    map.insert(name.to_owned(), self.value(schema));
                }
                if let (true, Some((name, field))) = (map.is_empty(), fields.iter().next()) {
                    map.insert(name.clone(), self.value(field));
                }
                Value::Object(map)
            }
        }
    }
}

struct World {
    rows: Vec<Arc<TypeInfo>>,
}

impl World {
    fn new() -> Self {
        Self {
            rows: rows("Sample"),
        }
    }

    fn kind(&self) -> Type<'_> {
        Type::of_object(&self.rows[0].schema, true)
    }

    fn object(&self, random: &mut Random) -> Value {
        let spec = random.value(self.rows[0].schema.field("spec").unwrap());
        body(&self.rows[0], &json!({ "spec": spec }))
    }

    fn apply(
        &self,
        live: Option<&Value>,
        applied: &Value,
        by: &str,
        force: bool,
    ) -> Result<Value, ApiError> {
        let request = Apply {
            live,
            applied: applied.clone(),
            manager: by,
            force,
            subresource: "",
            kind: &self.rows[0],
            versions: &self.rows,
            now: NOW,
        };
        apply(request).map(|outcome| outcome.object)
    }

    /// Returns an object that some managers have applied to, by force.
    fn lived(&self, random: &mut Random) -> Value {
        let mut live = self
            .apply(None, &self.object(random), "alice", false)
            .unwrap();
        for by in ["bob", "carol"] {
            let applied = self.object(random);
            live = self.apply(Some(&live), &applied, by, true).unwrap();
        }
        live
    }
}

#[test]
fn applying_twice_changes_nothing() {
    let world = World::new();
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let live = world.lived(&mut random);
        let applied = world.object(&mut random);
        let once = world.apply(Some(&live), &applied, "alice", true).unwrap();
        let twice = world.apply(Some(&once), &applied, "alice", false).unwrap();
        assert_eq!(once, twice, "seed {seed}");
    }
}

#[test]
fn disjoint_applies_commute() {
    let world = World::new();
    let mut disjoint = 0;
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let (mut a, mut b) = (world.object(&mut random), world.object(&mut random));
        for name in [
            "either", "flag", "free", "plain", "size", "text", "whole", "nested",
        ] {
            let loser = [&mut a, &mut b]
                .into_iter()
                .nth(usize::try_from(seed % 2).unwrap());
            loser.unwrap()["spec"].as_object_mut().unwrap().remove(name);
        }
        let kind = world.kind();
        let (set_a, set_b) = (field_set(kind, &a), field_set(kind, &b));
        let spec = |set: &FieldSet| set.children().iter().any(|(e, _)| e.to_string() == ".spec");
        let shared = set_a.intersection(&set_b);
        if spec(&shared) || !spec(&set_a) || !spec(&set_b) {
            continue;
        }
        let both = |first: &Value, one: &str, second: &Value, other: &str| {
            let live = world.apply(None, first, one, false).unwrap();
            world.apply(Some(&live), second, other, false)
        };
        let (Ok(ab), Ok(ba)) = (both(&a, "alice", &b, "bob"), both(&b, "bob", &a, "alice")) else {
            continue;
        };
        disjoint += 1;
        assert_eq!(owners(&ab), owners(&ba), "seed {seed}");
        let difference = compare(kind, &ab, &ba);
        assert!(
            difference.added.is_empty() && difference.removed.is_empty(),
            "seed {seed}"
        );
    }
    assert!(disjoint > 10, "only {disjoint} pairs were disjoint");
}

#[test]
fn what_is_applied_is_there_and_owned() {
    let world = World::new();
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let live = world.lived(&mut random);
        let applied = world.object(&mut random);
        let object = world.apply(Some(&live), &applied, "bob", true).unwrap();
        let kind = world.kind();
        assert!(changes_nothing(kind, &object, &applied), "seed {seed}");
        let all = owners(&object);
        let bob = FieldSet::from_json(all.get("bob").unwrap_or(&json!({}))).unwrap();
        assert!(bob.is_subset(&field_set(kind, &applied)), "seed {seed}");
        let present = with_named_fields(Some(kind), &field_set(kind, &object));
        for set in all.as_object().unwrap().values() {
            let set = FieldSet::from_json(set).unwrap();
            let named = with_named_fields(Some(kind), &set);
            assert!(
                named.is_subset(&present),
                "seed {seed}: an owned field is not there"
            );
        }
        assert_eq!(check(kind, &object), Ok(()), "seed {seed}");
    }
}

#[test]
fn a_comparison_is_empty_only_for_equals_and_turns_round() {
    let world = World::new();
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let (a, b) = (world.object(&mut random), world.object(&mut random));
        let kind = world.kind();
        let (there, back) = (compare(kind, &a, &b), compare(kind, &b, &a));
        assert_eq!(there.added, back.removed, "seed {seed}");
        assert_eq!(there.modified, back.modified, "seed {seed}");
        assert!(there.added.intersection(&there.removed).is_empty());
        assert!(compare(kind, &a, &a) == super::compare::Comparison::default());
    }
}

#[test]
fn a_merge_that_is_said_to_change_nothing_changes_nothing() {
    let world = World::new();
    let mut said = 0;
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let (a, b) = (world.object(&mut random), world.object(&mut random));
        let merged = merge(world.kind(), &a, &b).unwrap();
        for (live, applied) in [(&a, &b), (&merged, &b), (&a, &a)] {
            if changes_nothing(world.kind(), live, applied) {
                said += 1;
                assert_eq!(
                    &merge(world.kind(), live, applied).unwrap(),
                    live,
                    "seed {seed}"
                );
            }
        }
    }
    assert!(said > ROUNDS, "only {said} merges changed nothing");
}

/// The short way of an apply leaves out the pruning where the applier keeps all that he had.
#[test]
fn pruning_keeps_all_where_the_applier_keeps_all() {
    use super::managed::{Identity, Managed, Operation, Owned};
    let world = World::new();
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let live = world.lived(&mut random);
        let applied = world.object(&mut random);
        let mut merged = merge(world.kind(), &live, &applied).unwrap();
        merged["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("managedFields");
        let mut managed = Managed::decode(live["metadata"].get("managedFields")).unwrap();
        let versions = Versions::new(&world.rows[0], &world.rows, "");
        let owned = Owned {
            set: field_set(world.kind(), &applied),
            api_version: versions.api_version().to_owned(),
            time: None,
        };
        let alice = Identity::new("alice", Operation::Apply, versions.api_version(), "");
        managed.0.insert(alice, owned.clone());
        assert_eq!(
            prune(&versions, merged.clone(), &managed, &owned),
            merged,
            "seed {seed}"
        );
    }
}

#[test]
fn a_set_is_known_without_being_built() {
    let world = World::new();
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let (a, b) = (world.object(&mut random), world.object(&mut random));
        let kind = world.kind();
        let owned = |object: &Value| {
            let applied = world.apply(None, object, "alice", false).unwrap();
            FieldSet::from_json(&owners(&applied)["alice"]).unwrap()
        };
        assert!(is_owned_by_applying(kind, &a, &owned(&a)), "seed {seed}");
        let same = owned(&a) == owned(&b);
        assert_eq!(
            is_owned_by_applying(kind, &a, &owned(&b)),
            same,
            "seed {seed}"
        );
    }
}

#[test]
fn a_set_under_its_own_schema_does_not_change() {
    let world = World::new();
    for seed in 0..ROUNDS {
        let object = world.object(&mut Random::new(seed));
        let set = field_set(world.kind(), &object);
        assert_eq!(after_schema_change(world.kind(), &set), None, "seed {seed}");
    }
}
