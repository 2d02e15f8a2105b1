//! The commit message of an ImageUpdateAutomation: its Go template on Flux's data.
//!
//! In: the template, the values, and what was changed. Out: the message, or an error that says
//! whether the template must be changed before a retry can help. Pure, bounded; the order of
//! changes is that of files and positions, where Flux's is random.

use std::collections::BTreeMap;

use gotemplate::{Field, Limits, Map, Struct, Template, Value};

/// What Flux writes where there is no template.
const DEFAULT: &str = "Update from image update automation";

/// The name that errors show.
const NAME: &str = "commit message";

/// Where the removed fields are documented.
const REFERENCE: &str =
    "https://fluxcd.io/flux/components/image/imageupdateautomations/#message-template";

/// Bounds of one message; commits of a megabyte help nobody.
const LIMITS: Limits = Limits {
    template_bytes: 256 << 10,
    steps: 2_000_000,
    output_bytes: 1 << 20,
};

/// What a template is run on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Data {
    /// The automation's namespace.
    pub namespace: String,
    /// The automation's name.
    pub name: String,
    /// The changed files in any order; the changes of an object in the order of the file.
    pub changed: Vec<FileChange>,
    /// `spec.git.commit.messageTemplateValues`.
    pub values: BTreeMap<String, String>,
}

/// What was changed in a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileChange {
    /// The file, relative to `update.path`.
    pub file: String,
    /// The changed objects in the order of the file.
    pub objects: Vec<ObjectChange>,
}

/// What was changed in an object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectChange {
    /// The object's apiVersion, as the file has it; each of these may be empty.
    pub api_version: String,
    /// The object's kind.
    pub kind: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The changes in the order of the file.
    pub changes: Vec<Change>,
}

/// One changed value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Change {
    /// The value before.
    pub old_value: String,
    /// The value after.
    pub new_value: String,
    /// The marker's policy and part: `namespace:policy[:tag|:name|:digest]`.
    pub setter: String,
}

/// A message that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no template.
    #[error("unable to create commit message template from spec: {0}")]
    Parse(#[source] gotemplate::Error),
    /// The template does not fit the data.
    #[error("failed to run template from spec: {0}")]
    Run(#[source] gotemplate::Error),
    /// The template uses a field that Flux has removed; only its author can help.
    #[error(
        "template uses removed '{field}' field. Please use {instead} instead. See: {REFERENCE}"
    )]
    RemovedField {
        /// The field.
        field: &'static str,
        /// What took its place.
        instead: &'static str,
    },
}

impl Error {
    /// Returns whether the template must be changed before a retry can help, in Flux's judgement
    /// (reason `RemovedTemplateField`).
    pub fn is_removed_field(&self) -> bool {
        matches!(self, Self::RemovedField { .. })
    }
}

/// Returns the commit message. Fails when the template cannot be parsed or run on the data.
pub fn message(template: &str, data: &Data) -> Result<String, Error> {
    if template.is_empty() {
        return Ok(DEFAULT.to_owned());
    }
    let template = Template::parse(NAME, template, LIMITS).map_err(Error::Parse)?;
    template.execute(&value(data)).map_err(|error| {
        let missing = match &error {
            gotemplate::Error::Run(failure) => failure.missing.as_ref(),
            _ => None,
        };
        match missing.map_or(("", ""), |(field, of)| (field, of)) {
            ("Updated", "source.TemplateData") => Error::RemovedField {
                field: ".Updated",
                instead: "'.Changed'",
            },
            ("ImageResult", "update.Result") => Error::RemovedField {
                field: ".Changed.ImageResult",
                instead: "'.Changed.FileChanges' or '.Changed.Objects'",
            },
            _ => Error::Run(error),
        }
    })
}

fn value(data: &Data) -> Value {
    let automation = Value::structure(Struct {
        type_name: "types.NamespacedName".to_owned(),
        fields: vec![
            Field::new("Namespace", Value::text(&data.namespace)),
            Field::new("Name", Value::text(&data.name)),
        ],
        methods: Vec::new(),
        display: Some(format!("{}/{}", data.namespace, data.name)),
    });
    let mut files: Vec<&FileChange> = data.changed.iter().collect();
    files.sort_by(|a, b| a.file.cmp(&b.file));
    let by_file = files
        .iter()
        .map(|file| {
            let objects = file.objects.iter().map(|object| (object, &object.changes));
            (Value::text(&file.file), object_changes(objects))
        })
        .collect();
    let all = files.iter().flat_map(|file| &file.objects);
    let result = Value::structure(Struct {
        type_name: "update.Result".to_owned(),
        fields: vec![Field::new(
            "FileChanges",
            Value::map(Map {
                type_name: "map[string]update.ObjectChanges".to_owned(),
                has_text_keys: true,
                is_nil: data.changed.is_empty(),
                zero: object_changes(std::iter::empty()),
                entries: by_file,
            }),
        )],
        methods: vec![
            (
                "Objects".to_owned(),
                object_changes(all.clone().map(|object| (object, &object.changes))),
            ),
            (
                "Changes".to_owned(),
                distinct(all.flat_map(|object| &object.changes)),
            ),
        ],
        display: None,
    });
    Value::structure(Struct {
        type_name: "source.TemplateData".to_owned(),
        fields: vec![
            Field::new("AutomationObject", automation),
            Field::new("Changed", result),
            Field::new("Values", Value::text_map(&data.values)),
        ],
        methods: Vec::new(),
        display: None,
    })
}

/// The identity of an object, in the order in which Flux compares them.
type Identity<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Returns the changes by object; those of one object in several files are joined.
fn object_changes<'a>(objects: impl Iterator<Item = (&'a ObjectChange, &'a Vec<Change>)>) -> Value {
    let mut merged: BTreeMap<Identity<'a>, Vec<Value>> = BTreeMap::new();
    for (object, changes) in objects {
        let identity = (
            object.api_version.as_str(),
            object.kind.as_str(),
            object.name.as_str(),
            object.namespace.as_str(),
        );
        let list = merged.entry(identity).or_default();
        list.extend(changes.iter().map(change));
    }
    let entries = merged
        .into_iter()
        .map(|(identity, changes)| (identifier(identity), change_list(changes)))
        .collect();
    Value::map(Map {
        type_name: "update.ObjectChanges".to_owned(),
        has_text_keys: false,
        is_nil: false,
        zero: change_list(Vec::new()),
        entries,
    })
}

fn identifier((api_version, kind, name, namespace): Identity<'_>) -> Value {
    let structure = |type_name: &str, fields| {
        Value::structure(Struct {
            type_name: type_name.to_owned(),
            fields,
            methods: Vec::new(),
            display: None,
        })
    };
    let type_meta = structure(
        "yaml.TypeMeta",
        vec![
            Field::new("APIVersion", Value::text(api_version)),
            Field::new("Kind", Value::text(kind)),
        ],
    );
    let name_meta = structure(
        "yaml.NameMeta",
        vec![
            Field::new("Name", Value::text(name)),
            Field::new("Namespace", Value::text(namespace)),
        ],
    );
    let resource = structure(
        "yaml.ResourceIdentifier",
        vec![
            Field::embedded("TypeMeta", type_meta),
            Field::embedded("NameMeta", name_meta),
        ],
    );
    structure(
        "update.ObjectIdentifier",
        vec![Field::embedded("ResourceIdentifier", resource)],
    )
}

fn change(change: &Change) -> Value {
    Value::structure(Struct {
        type_name: "update.Change".to_owned(),
        fields: vec![
            Field::new("OldValue", Value::text(&change.old_value)),
            Field::new("NewValue", Value::text(&change.new_value)),
            Field::new("Setter", Value::text(&change.setter)),
        ],
        methods: Vec::new(),
        display: None,
    })
}

fn change_list(changes: Vec<Value>) -> Value {
    Value::list("[]update.Change", changes)
}

/// Returns each change once, at its first place.
fn distinct<'a>(changes: impl Iterator<Item = &'a Change>) -> Value {
    let mut seen = std::collections::BTreeSet::new();
    let first = changes.filter(|change| seen.insert(*change)).map(change);
    change_list(first.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Data {
        let change = |old: &str, new: &str| Change {
            old_value: old.to_owned(),
            new_value: new.to_owned(),
            setter: "apps:p".to_owned(),
        };
        let file = |file: &str, name: &str, changes| FileChange {
            file: file.to_owned(),
            objects: vec![ObjectChange {
                kind: "Deployment".to_owned(),
                name: name.to_owned(),
                changes,
                ..ObjectChange::default()
            }],
        };
        Data {
            namespace: "apps".to_owned(),
            name: "bot".to_owned(),
            changed: vec![
                file("b.yaml", "web", vec![change("2", "3"), change("1", "2")]),
                file("a.yaml", "web", vec![change("1", "2")]),
            ],
            values: BTreeMap::new(),
        }
    }

    #[test]
    fn changes_come_once_and_in_the_order_of_files() {
        let template = "{{ range .Changed.Changes }}{{ .OldValue }}>{{ .NewValue }} {{ end }}";
        assert_eq!(message(template, &data()).as_deref(), Ok("1>2 2>3 "));
        let template =
            "{{ range .Changed.Objects }}{{ range . }}{{ .OldValue }} {{ end }}{{ end }}";
        assert_eq!(message(template, &data()).as_deref(), Ok("1 2 1 "));
    }

    #[test]
    fn removed_fields_are_told_from_other_failures() {
        for (template, is_removed) in [
            ("{{ .Updated.Images }}", true),
            ("{{ .Changed.ImageResult }}", true),
            ("{{ .Changed.Updated }}", false),
            ("{{ .Nope }}", false),
            ("{{", false),
        ] {
            let error = message(template, &data()).expect_err("the template is refused");
            assert_eq!(error.is_removed_field(), is_removed, "{template}: {error}");
        }
    }

    #[test]
    fn a_message_is_bounded() {
        let error = message("{{ range until 9000000 }}x{{ end }}", &data());
        let text = error.expect_err("the template is refused").to_string();
        assert_eq!(
            text,
            "failed to run template from spec: template: commit message: more than 2000000 steps"
        );
    }
}
