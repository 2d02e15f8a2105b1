//! `replacements`: a value of one object copied into fields of others.
//!
//! In: the entries in order. Out: the objects changed; a later entry sees what an earlier one
//! did. A target field that is not there is an error, unless it may be created.

pub(crate) mod path;
mod structured;

use yaml::{Content, Node};

use crate::error::{Error, Place};
use crate::id::{Gvk, Id, Scopes};
use crate::kustomization::{FieldOptions, ReplacementField, Selector, Source, Target};
use crate::patch::Context;
use crate::resource::{Resource, is_blank, is_null};
use crate::resources::Resources;
use crate::select::{LabelSelector, anchored};
use crate::shared::{self, Changed};

use path::Create;

const DEFAULT_FIELD: &str = "metadata.name";

/// Applies the entries in order.
///
/// Fails at the first that has no source or no target, or that does not fit the objects.
pub(crate) fn apply(
    resources: &mut Resources,
    replacements: &[ReplacementField],
    context: Context<'_>,
) -> Result<(), Error> {
    for (at, replacement) in replacements.iter().enumerate() {
        apply_one(resources, replacement, context).within(|| format!("replacements[{at}]"))?;
    }
    Ok(())
}

fn apply_one(
    resources: &mut Resources,
    replacement: &ReplacementField,
    context: Context<'_>,
) -> Result<(), Error> {
    let mut value = match (&replacement.source, &replacement.source_value) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "source and sourceValue are mutually exclusive",
            ));
        }
        _ if replacement.targets.is_empty() => return Err(no_source()),
        (None, None) => return Err(no_source()),
        (None, Some(value)) => Copied::new(Node::plain(value)),
        (Some(source), None) => source_value(resources, source, context.scopes)?,
    };
    for target in &replacement.targets {
        set_target(resources, target, &mut value, context)?;
    }
    Ok(())
}

/// What is copied. A whole field is read anew once its own object has changed: it may be among
/// the targets.
struct Copied {
    value: Node,
    /// The position and the field that the value comes from, when all of it is copied.
    field: Option<(usize, Vec<String>)>,
}

impl Copied {
    fn new(value: Node) -> Self {
        Self { value, field: None }
    }

    /// Looks at the field again after a change of the object at this position.
    fn refresh(&mut self, at: usize, node: &Node) {
        if let Some((own, path)) = &self.field
            && *own == at
            && let Ok(Some(now)) = path::look_up(node, path)
        {
            self.value.clone_from(now);
        }
    }
}

fn no_source() -> Error {
    Error::invalid("replacements must specify a source and at least one target")
}

fn source_value(
    resources: &mut Resources,
    source: &Source,
    scopes: &Scopes,
) -> Result<Copied, Error> {
    let id = Id {
        gvk: Gvk {
            group: source.group.clone(),
            version: source.version.clone(),
            kind: source.kind.clone(),
        },
        name: source.name.clone(),
        namespace: source.namespace.clone(),
    };
    let selected = |resource: &Resource| {
        resource.ids().any(|own| {
            (id.name.is_empty() || id.name == own.name)
                && own.gvk.is_selected(&id.gvk)
                && (id.namespace.is_empty()
                    || scopes.effective(&id.gvk, &id.namespace)
                        == scopes.effective(&own.gvk, &own.namespace))
        })
    };
    let candidates = candidates(resources, &id.name);
    let mut found = candidates
        .into_iter()
        .filter(|at| selected(resources.get(*at)));
    let Some(at) = found.next() else {
        return Err(Error::invalid(format!("nothing selected by {id}")));
    };
    if found.next().is_some() {
        return Err(Error::invalid(format!(
            "multiple matches for selector {id}"
        )));
    }
    let field_path = match source.field_path.as_str() {
        "" => DEFAULT_FIELD,
        path => path,
    };
    let path = path::split(field_path);
    let node = path::look_up(&resources.get(at).node, &path)
        .within(|| format!("fieldPath `{field_path}`"))?;
    let missing = || {
        Error::invalid(format!(
            "fieldPath `{field_path}` is missing for replacement source {id}"
        ))
    };
    let node = node.filter(|node| !is_blank(node)).ok_or_else(missing)?;
    let refined = refine(node, source.options.as_ref())?;
    Ok(match refined {
        Some(part) => Copied::new(part),
        None => Copied {
            value: node.clone(),
            field: Some((at, path)),
        },
    })
}

/// Returns the positions of the objects that may have a name; all of them for no name.
fn candidates(resources: &mut Resources, name: &str) -> Vec<usize> {
    if name.is_empty() {
        (0..resources.len()).collect()
    } else {
        resources.named(name).to_vec()
    }
}

/// Returns the part of a value that the options ask for, if they do.
fn refine(node: &Node, options: Option<&FieldOptions>) -> Result<Option<Node>, Error> {
    let Some(options) = options.filter(|options| !options.delimiter.is_empty()) else {
        return Ok(None);
    };
    let Some(text) = node.text() else {
        return Err(Error::invalid(
            "delimiter option can only be used with scalar nodes",
        ));
    };
    let index = usize::try_from(options.index).ok();
    let part = index.and_then(|index| text.split(options.delimiter.as_str()).nth(index));
    let Some(part) = part else {
        return Err(Error::invalid(format!(
            "options.index {} is out of bounds for value {text}",
            options.index
        )));
    };
    let mut refined = node.clone();
    if let Content::Scalar(text, _) = &mut refined.content {
        *text = part.into();
    }
    Ok(Some(refined))
}

/// The objects that a target means.
struct TargetSelector<'a> {
    select: IdPattern,
    labels: LabelSelector,
    annotations: LabelSelector,
    reject_ids: Vec<IdPattern>,
    reject_labels: Vec<(LabelSelector, LabelSelector)>,
    literal_name: Option<&'a str>,
}

/// Expressions over the parts of an id; a missing one matches everything.
struct IdPattern {
    parts: [Option<regex::Regex>; 5],
}

impl IdPattern {
    fn new(selector: &Selector) -> Result<Self, Error> {
        let part = |text: &str| -> Result<Option<regex::Regex>, Error> {
            if text.is_empty() {
                Ok(None)
            } else {
                anchored(text).map(Some)
            }
        };
        Ok(Self {
            parts: [
                part(&selector.group)?,
                part(&selector.version)?,
                part(&selector.kind)?,
                part(&selector.name)?,
                part(&selector.namespace)?,
            ],
        })
    }

    fn is_empty(&self) -> bool {
        self.parts.iter().all(Option::is_none)
    }

    fn matches(&self, id: &Id) -> bool {
        let texts = [
            &id.gvk.group,
            &id.gvk.version,
            &id.gvk.kind,
            &id.name,
            &id.namespace,
        ];
        let mut pairs = self.parts.iter().zip(texts);
        pairs.all(|(part, text)| part.as_ref().is_none_or(|part| part.is_match(text)))
    }
}

impl<'a> TargetSelector<'a> {
    fn new(target: &'a Target) -> Result<Self, Error> {
        let Some(select) = &target.select else {
            return Err(Error::invalid("target must specify resources to select"));
        };
        let mut reject_ids = Vec::new();
        let mut reject_labels = Vec::new();
        for reject in &target.reject {
            let pattern = IdPattern::new(reject)?;
            if !pattern.is_empty() {
                reject_ids.push(pattern);
            }
            if !reject.label_selector.is_empty() || !reject.annotation_selector.is_empty() {
                reject_labels.push((
                    LabelSelector::new(&reject.label_selector)?,
                    LabelSelector::new(&reject.annotation_selector)?,
                ));
            }
        }
        let is_literal = select
            .name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        Ok(Self {
            select: IdPattern::new(select)?,
            labels: LabelSelector::new(&select.label_selector)?,
            annotations: LabelSelector::new(&select.annotation_selector)?,
            reject_ids,
            reject_labels,
            literal_name: Some(select.name.as_str()).filter(|_| is_literal),
        })
    }

    fn matches(&self, resource: &Resource) -> bool {
        let has = |labels: &LabelSelector, annotations: &LabelSelector| {
            labels.matches(|key| resource.string("labels", key))
                && annotations.matches(|key| resource.string("annotations", key))
        };
        has(&self.labels, &self.annotations)
            && !self
                .reject_labels
                .iter()
                .any(|(labels, annotations)| has(labels, annotations))
            && resource.ids().any(|id| self.select.matches(&id))
            && !resource
                .ids()
                .any(|id| self.reject_ids.iter().any(|reject| reject.matches(&id)))
    }
}

fn set_target(
    resources: &mut Resources,
    target: &Target,
    value: &mut Copied,
    context: Context<'_>,
) -> Result<(), Error> {
    let selector = TargetSelector::new(target)?;
    let default = [DEFAULT_FIELD.to_owned()];
    let paths = if target.field_paths.is_empty() {
        &default[..]
    } else {
        &target.field_paths
    };
    let paths: Vec<(&str, Vec<String>)> = paths
        .iter()
        .map(|path| (path.as_str(), path::split(path)))
        .collect();
    let positions = match selector.literal_name {
        Some(name) => candidates(resources, name),
        None => (0..resources.len()).collect(),
    };
    let mut renamed = false;
    for at in positions {
        if !selector.matches(resources.get(at)) {
            continue;
        }
        let resource = &mut resources.contents_mut()[at];
        let id = resource.id();
        let mut changed = Changed::new();
        for (text, parts) in &paths {
            context
                .growth
                .add_node(&value.value, parts.len())
                .within(|| id.to_string())?;
            set_field(
                &mut resource.node,
                (text, parts),
                target.options.as_ref(),
                &value.value,
                &mut changed,
            )
            .within(|| id.to_string())?;
            shared::spread(&mut resource.node, &changed);
            changed.clear();
            value.refresh(at, &resource.node);
        }
        renamed |= resource.id() != id;
    }
    if renamed {
        resources.forget();
    }
    Ok(())
}

fn set_field(
    node: &mut Node,
    (text, parts): (&str, &[String]),
    options: Option<&FieldOptions>,
    value: &Node,
    changed: &mut Changed,
) -> Result<(), Error> {
    let creates = options.is_some_and(|options| options.create);
    let create = if creates {
        Create::like(value)
    } else {
        Create::Nothing
    };
    if structured::set(node, parts, create, value)? {
        return Ok(());
    }
    let verb = if creates { "find or create" } else { "find" };
    let place = || format!("unable to {verb} field {text:?} in replacement target");
    let set = &mut |node: &mut Node| {
        set_node(node, options, value)?;
        if let Some(group) = shared::group(node) {
            changed.push((group, node.clone()));
        }
        Ok(())
    };
    match path::visit(node, parts, create, set).within(place)? {
        0 => Err(Error::invalid(place())),
        _ => Ok(()),
    }
}

fn set_node(node: &mut Node, options: Option<&FieldOptions>, value: &Node) -> Result<(), String> {
    let Some(options) = options.filter(|options| !options.delimiter.is_empty()) else {
        copy(node, value);
        return Ok(());
    };
    let Some(old) = node.text() else {
        return Err("delimiter option can only be used with scalar nodes".into());
    };
    let new = Some(value)
        .filter(|value| !is_null(value))
        .and_then(Node::text);
    let new = new.unwrap_or_default();
    let mut parts: Vec<&str> = old.split(options.delimiter.as_str()).collect();
    match usize::try_from(options.index) {
        Err(_) => parts.insert(0, new),
        Ok(index) if index >= parts.len() => parts.push(new),
        Ok(index) => parts[index] = new,
    }
    let joined = parts.join(&options.delimiter);
    copy(node, &Node::plain(joined));
    Ok(())
}

/// Puts a value in the place of a node. Of a scalar only the text changes: what it is stays.
fn copy(node: &mut Node, value: &Node) {
    match &mut node.content {
        Content::Scalar(text, _) => *text = value.text().unwrap_or_default().into(),
        _ => {
            *node = value.clone();
            shared::part(node);
        }
    }
}
