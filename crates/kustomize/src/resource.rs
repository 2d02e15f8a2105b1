//! One object on its way through a build: its tree, and what the build remembers of it.
//!
//! The tree is the user's text and every change to it; the rest never shows in the output: former
//! names, prefixes, whether a hash is due, where the object comes from.

use yaml::node::position;
use yaml::{Content, Node, Style, Tag, Text};

use crate::id::{BorrowedGvk, Gvk, Id, Scopes, split_api_version};
use crate::origin::Origin;

/// A name that the object had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Previous {
    pub kind: String,
    pub name: String,
    /// The effective namespace.
    pub namespace: String,
}

/// What happens when a generated object already exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Behavior {
    #[default]
    Unspecified,
    Create,
    Merge,
    Replace,
}

impl Behavior {
    pub(crate) fn read(text: &str) -> Self {
        match text {
            "create" => Self::Create,
            "merge" => Self::Merge,
            "replace" => Self::Replace,
            _ => Self::Unspecified,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Create => "create",
            Self::Merge => "merge",
            Self::Replace => "replace",
        }
    }
}

/// One object and what the build remembers of it.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub node: Node,
    pub history: Vec<Previous>,
    pub prefixes: Vec<String>,
    pub suffixes: Vec<String>,
    pub behavior: Behavior,
    /// A generator made it, and says so with its behavior.
    pub is_generated: bool,
    pub needs_hash: bool,
    pub allow_name_change: bool,
    pub allow_kind_change: bool,
    /// The vars that take their value from here.
    pub vars: Vec<String>,
    /// How many groups of labels that share a value were made.
    pub n_shared: u16,
    pub origin: Option<Origin>,
    pub transformations: Vec<Origin>,
}

impl Resource {
    pub(crate) fn new(node: Node) -> Self {
        Self {
            node,
            history: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            behavior: Behavior::Unspecified,
            is_generated: false,
            needs_hash: false,
            allow_name_change: false,
            allow_kind_change: false,
            vars: Vec::new(),
            n_shared: 0,
            origin: None,
            transformations: Vec::new(),
        }
    }

    fn text(&self, path: &[&str]) -> &str {
        let mut node = &self.node;
        for part in path {
            match node.get(part) {
                Some(child) => node = child,
                None => return "",
            }
        }
        if is_null(node) {
            ""
        } else {
            node.text().unwrap_or_default()
        }
    }

    pub(crate) fn kind(&self) -> &str {
        self.text(&["kind"])
    }

    pub(crate) fn api_version(&self) -> &str {
        self.text(&["apiVersion"])
    }

    pub(crate) fn name(&self) -> &str {
        self.text(&["metadata", "name"])
    }

    pub(crate) fn namespace(&self) -> &str {
        self.text(&["metadata", "namespace"])
    }

    pub(crate) fn group(&self) -> &str {
        split_api_version(self.api_version()).0
    }

    pub(crate) fn version(&self) -> &str {
        split_api_version(self.api_version()).1
    }

    pub(crate) fn gvk(&self) -> Gvk {
        Gvk::new(self.api_version(), self.kind())
    }

    pub(crate) fn borrowed_gvk(&self) -> BorrowedGvk<'_> {
        BorrowedGvk::new(self.api_version(), self.kind())
    }

    /// Returns the group, version and kind that the object had first.
    pub(crate) fn original_gvk(&self) -> BorrowedGvk<'_> {
        match self.history.first() {
            Some(previous) => BorrowedGvk::new(self.api_version(), &previous.kind),
            None => self.borrowed_gvk(),
        }
    }

    /// Returns the id as the object has it now.
    pub(crate) fn id(&self) -> Id {
        Id {
            gvk: self.gvk(),
            name: self.name().into(),
            namespace: self.namespace().into(),
        }
    }

    /// Returns a former id: former names count with the `apiVersion` of now.
    pub(crate) fn previous_id(&self, previous: &Previous) -> Id {
        Id {
            gvk: Gvk::new(self.api_version(), &previous.kind),
            name: previous.name.clone(),
            namespace: previous.namespace.clone(),
        }
    }

    /// Returns every id: the former ones, oldest first, then the one of now.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> {
        let previous = self
            .history
            .iter()
            .map(|previous| self.previous_id(previous));
        previous.chain(std::iter::once_with(|| self.id()))
    }

    pub(crate) fn original_name(&self) -> &str {
        self.history
            .first()
            .map_or_else(|| self.name(), |previous| &previous.name)
    }

    pub(crate) fn effective_namespace(&self, scopes: &Scopes) -> &str {
        let gvk = self.borrowed_gvk();
        scopes.effective_of(gvk.group, gvk.version, gvk.kind, self.namespace())
    }

    pub(crate) fn original_namespace<'a>(&'a self, scopes: &Scopes) -> &'a str {
        match self.history.first() {
            Some(previous) => &previous.namespace,
            None => self.effective_namespace(scopes),
        }
    }

    pub(crate) fn is_cluster(&self, scopes: &Scopes) -> bool {
        let gvk = self.borrowed_gvk();
        scopes.is_cluster(gvk.group, gvk.version, gvk.kind)
    }

    /// Removes annotations that are null or empty: kustomize makes them for what it remembers.
    pub(crate) fn drop_blank_annotations(&mut self) {
        if let Some(metadata) = self.node.get_mut("metadata")
            && metadata.get("annotations").is_some_and(is_blank)
        {
            remove_field(metadata, "annotations");
        }
    }

    /// Remembers the id of now before it changes.
    pub(crate) fn remember_id(&mut self, scopes: &Scopes) {
        self.drop_blank_annotations();
        let previous = Previous {
            kind: self.kind().into(),
            name: self.name().into(),
            namespace: self.effective_namespace(scopes).into(),
        };
        self.history.push(previous);
    }

    /// Sets the name, as a scalar whose text decides what it is.
    pub(crate) fn set_name(&mut self, name: &str) {
        set_metadata(&mut self.node, "name", Some(name));
    }

    /// Sets the namespace, or removes it.
    pub(crate) fn set_namespace(&mut self, namespace: Option<&str>) {
        set_metadata(&mut self.node, "namespace", namespace);
    }

    pub(crate) fn set_api_version(&mut self, api_version: &str) {
        set_field(&mut self.node, "apiVersion", Node::plain(api_version));
    }

    /// Returns the labels or annotations; values that are not scalars count as empty.
    pub(crate) fn strings(&self, field: &str) -> Vec<(&str, &str)> {
        let map = self
            .node
            .get("metadata")
            .and_then(|metadata| metadata.get(field));
        let entries = map.and_then(Node::entries).unwrap_or_default().iter();
        entries
            .filter_map(|(k, v)| Some((k.text()?, v.text().unwrap_or_default())))
            .collect()
    }

    /// Makes every label or annotation a string; none, no field.
    pub(crate) fn write_strings(&mut self, field: &str) {
        let mut strings: Vec<(String, String)> = self
            .strings(field)
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let Some(metadata) = self.node.get_mut("metadata") else {
            return;
        };
        remove_field(metadata, field);
        if strings.is_empty() {
            return;
        }
        strings.sort();
        let map = get_or_insert(metadata, field, Node::mapping);
        for (key, value) in strings {
            set_field(map, &key, string_node(value));
        }
    }

    pub(crate) fn string(&self, field: &str, key: &str) -> Option<&str> {
        let map = self
            .node
            .get("metadata")
            .and_then(|metadata| metadata.get(field))?;
        map.get(key).map(|value| value.text().unwrap_or_default())
    }
}

fn set_metadata(node: &mut Node, key: &str, value: Option<&str>) {
    match value {
        Some(value) => {
            let metadata = get_or_insert(node, "metadata", Node::mapping);
            if metadata.entries().is_none() {
                *metadata = Node::mapping();
            }
            set_field(metadata, key, Node::plain(value));
        }
        None => {
            if let Some(metadata) = node.get_mut("metadata") {
                remove_field(metadata, key);
            }
        }
    }
}

/// Returns the value of a field of a mapping, put there first when it is missing.
pub(crate) fn get_or_insert<'a>(
    node: &'a mut Node,
    key: &str,
    value: impl FnOnce() -> Node,
) -> &'a mut Node {
    if node.entries().is_none() {
        *node = Node::mapping();
    }
    let entries = node
        .entries_mut()
        .expect("because it was made a mapping above");
    let at = position(entries, key).unwrap_or_else(|| {
        entries.push((Node::plain(key), value()));
        entries.len() - 1
    });
    &mut entries[at].1
}

/// Sets a field of a mapping. A field that is there keeps the style it is written in, which
/// decides whether its new text is a string; a new one is quoted if its text needs it.
pub(crate) fn set_field(node: &mut Node, key: &str, mut value: Node) {
    match node.get_mut(key) {
        Some(old) => replace_keeping_style(old, value),
        None => {
            quote(&mut value);
            add_field(node, key, value);
        }
    }
}

/// Puts a field at the end of a mapping, which has none of that name.
pub(crate) fn add_field(node: &mut Node, key: &str, value: Node) {
    if let Some(entries) = node.entries_mut() {
        entries.push((Node::plain(key), value));
    }
}

/// Replaces a node; the new one is written in the style and stands at the place of the old one.
pub(crate) fn replace_keeping_style(old: &mut Node, mut new: Node) {
    if let Content::Scalar(_, style) = &mut new.content {
        *style = match &old.content {
            Content::Scalar(_, old) => *old,
            _ => Style::Plain,
        };
    }
    old.content = new.content;
    old.tag = new.tag;
}

/// Returns a string; one of several lines is a literal block.
pub(crate) fn string_node(text: impl Into<Text>) -> Node {
    let mut node = Node::string(text);
    if let Content::Scalar(text, style) = &mut node.content
        && text.contains('\n')
    {
        *style = Style::Literal;
    }
    node
}

/// Puts a string in quotes when a reader of YAML 1.1 takes its bare text for something else.
pub(crate) fn quote(node: &mut Node) {
    if is_text(node)
        && let Content::Scalar(text, style @ Style::Plain) = &mut node.content
        && reads_otherwise(text)
    {
        *style = Style::Double;
    }
}

/// Returns whether YAML 1.1 takes a text of one line for something else than a string.
fn reads_otherwise(text: &str) -> bool {
    use yaml::resolve::{Plain, Rules, resolve};
    if text.is_empty() || text.contains('\n') {
        return false;
    }
    match resolve(text, Rules::V2) {
        // Version 2 gives a point in time as it is written.
        Plain::Timestamp(_) => return false,
        Plain::Str => {}
        _ => return true,
    }
    let starts = text.starts_with(['[', '{', '#', '!', '&', '-', '?', '"', '\'', '|', '>']);
    if !starts && !text.contains(": ") && !text.contains(" #") && !text.ends_with(':') {
        return false;
    }
    match yaml::node::read_first(text) {
        Err(_) => false,
        Ok(None) => true,
        Ok(Some(node)) => match (&node.content, &node.tag) {
            (Content::Scalar(text, Style::Plain), Tag::None) => {
                !matches!(resolve(text, Rules::V2), Plain::Str | Plain::Timestamp(_))
            }
            (Content::Scalar(..), tag) => {
                matches!(tag, Tag::Int | Tag::Float | Tag::Bool | Tag::Null)
            }
            _ => true,
        },
    }
}

/// Removes a field of a mapping.
pub(crate) fn remove_field(node: &mut Node, key: &str) -> Option<Node> {
    let entries = node.entries_mut()?;
    let at = position(entries, key)?;
    Some(entries.remove(at).1)
}

/// Returns whether a node is an empty collection or null.
pub(crate) fn is_blank(node: &Node) -> bool {
    match &node.content {
        Content::Scalar(..) => is_null(node),
        Content::Sequence(items, _) => items.is_empty(),
        Content::Mapping(entries, _) => entries.is_empty(),
    }
}

/// Returns whether a node is a null. A scalar that a program made without a tag never is.
pub(crate) fn is_null(node: &Node) -> bool {
    node.tag == Tag::Null && node.text().is_some()
}

/// Returns whether a scalar counts as a string while it is worked on: it is tagged so, or not
/// tagged at all.
pub(crate) fn is_text(node: &Node) -> bool {
    node.text().is_some() && matches!(node.tag, Tag::Str | Tag::None)
}

/// Returns whether a scalar is a string by its tag, its style or its text.
pub(crate) fn is_string(node: &Node) -> bool {
    let Content::Scalar(text, style) = &node.content else {
        return false;
    };
    match node.tag {
        Tag::Str => true,
        Tag::None => {
            *style != Style::Plain
                || yaml::resolve::resolve(text, yaml::resolve::Rules::V3)
                    == yaml::resolve::Plain::Str
        }
        _ => false,
    }
}
