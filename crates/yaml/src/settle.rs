//! What is done with a tree once it is read and before it is worked on.
//!
//! Merge keys are replaced by the entries they stand for, and scalars get the tags of what they
//! mean. In and out: a tree. It never reads a text.

use crate::error::{Error, Problem};
use crate::node::{Content, Node, Style, Tag};

impl Node {
    /// Replaces every merge key (`<<`) by the entries it stands for: the mapping's own entries
    /// win, then the earlier of several merged mappings.
    ///
    /// Fails when the value of a merge key is not a mapping or a list of mappings, and when one
    /// mapping has two of them.
    pub fn expand_merges(&mut self) -> Result<(), Error> {
        match &mut self.content {
            Content::Scalar(..) => Ok(()),
            Content::Sequence(items, _) => items.iter_mut().try_for_each(Node::expand_merges),
            Content::Mapping(entries, _) => {
                for (_, value) in entries.iter_mut() {
                    value.expand_merges()?;
                }
                expand_entries(entries)
            }
        }
    }

    /// Gives every scalar that has no tag the tag of what it means by the rules of version 3, as
    /// its reader does: later changes of text or style leave the tag as it is.
    pub fn settle_tags(&mut self) {
        match &mut self.content {
            Content::Scalar(text, style) => match (&self.tag, *style) {
                (Tag::None, Style::Plain) if text == "<<" => self.tag = Tag::Merge,
                (Tag::None, Style::Plain) => {
                    self.tag = crate::resolve::resolve(text, crate::resolve::Rules::V3).tag();
                }
                (Tag::None, _) => self.tag = Tag::Str,
                // A written tag counts more than quotes.
                (Tag::Int | Tag::Float | Tag::Bool | Tag::Null | Tag::Timestamp, _) => {
                    *style = Style::Plain;
                }
                _ => {}
            },
            Content::Sequence(items, _) => items.iter_mut().for_each(Node::settle_tags),
            Content::Mapping(entries, _) => {
                for (key, value) in entries {
                    key.settle_tags();
                    value.settle_tags();
                }
            }
        }
    }
}

fn expand_entries(entries: &mut Vec<(Node, Node)>) -> Result<(), Error> {
    let Some(at) = entries.iter().position(|(key, _)| key.is_merge_key()) else {
        return Ok(());
    };
    let (key, value) = entries.remove(at);
    if let Some((again, _)) = entries.iter().find(|(key, _)| key.is_merge_key()) {
        return Err(again.error(Problem::DuplicateKey("<<".into())));
    }
    let sources = match value.content {
        Content::Mapping(entries, _) => vec![entries],
        Content::Sequence(items, _) => items
            .into_iter()
            .map(|item| match item.content {
                Content::Mapping(entries, _) => Ok(entries),
                _ => Err(key.error(Problem::Merge)),
            })
            .collect::<Result<_, _>>()?,
        Content::Scalar(..) => return Err(key.error(Problem::Merge)),
    };
    let mut seen: std::collections::HashSet<String> = entries
        .iter()
        .filter_map(|(key, _)| key.text().map(str::to_owned))
        .collect();
    for (key, value) in sources.into_iter().flatten() {
        let new = key.text().is_none_or(|text| seen.insert(text.to_owned()));
        if new {
            entries.push((key, value));
        }
    }
    Ok(())
}
