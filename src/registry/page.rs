//! One page of a tag list: its body and its `Link` to the next.
//!
//! In: bytes and header values of `GET /v2/<repository>/tags/list`. Out: the tags that are kept,
//! read straight from the JSON so that a refused tag costs no allocation, and the next URL if it
//! is on the same host. Pure.

use std::fmt;

use reqwest::Url;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Tags of one repository that are kept at most.
pub const TAGS_MAX: usize = 2_000_000;

/// Pages of one scan; with the usual thousand tags a page, as many tags as are kept.
pub const PAGES_MAX: usize = 2_000;

/// Bytes of one tag; a tag that can be pulled has at most 128.
pub const TAG_BYTES_MAX: usize = 1024;

/// Collects tags over the pages of a scan.
pub(super) struct Tags<'a> {
    keep: &'a (dyn Fn(&str) -> bool + Send + Sync),
    kept: Vec<String>,
    n_dropped: usize,
    tags_max: usize,
}

impl<'a> Tags<'a> {
    pub(super) fn new(keep: &'a (dyn Fn(&str) -> bool + Send + Sync), tags_max: usize) -> Self {
        Self {
            keep,
            kept: Vec::new(),
            n_dropped: 0,
            tags_max,
        }
    }

    /// Adds the tags of one page. Fails with a reason when the body is no tag list.
    pub(super) fn read(&mut self, body: &[u8]) -> Result<(), String> {
        let mut parser = serde_json::Deserializer::from_slice(body);
        Page(self)
            .deserialize(&mut parser)
            .and_then(|()| parser.end())
            .map_err(|error| format!("is not a tag list: {error}"))
    }

    /// Returns the kept tags, newest first by bytes (as Flux stores them), each once, and the
    /// number of dropped ones.
    pub(super) fn finish(self) -> (Vec<String>, usize) {
        let mut kept = self.kept;
        kept.sort_unstable_by(|a, b| b.cmp(a));
        kept.dedup();
        (kept, self.n_dropped)
    }

    fn take(&mut self, tag: &str) -> Result<(), String> {
        if tag.is_empty() || tag.len() > TAG_BYTES_MAX || tag.chars().any(char::is_control) {
            return Err(format!(
                "a tag of {} bytes is empty, too long or holds control characters",
                tag.len()
            ));
        }
        if !(self.keep)(tag) {
            self.n_dropped += 1;
            return Ok(());
        }
        if self.kept.len() == self.tags_max {
            return Err(format!("more than {} tags", self.tags_max));
        }
        self.kept.push(tag.to_owned());
        Ok(())
    }
}

/// The object `{"name": …, "tags": […]}`.
struct Page<'t, 'a>(&'t mut Tags<'a>);

impl<'de> DeserializeSeed<'de> for Page<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Page<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"name\" and \"tags\"")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut known = false;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match key.as_ref() {
                "tags" => {
                    map.next_value_seed(List(self.0))?;
                    known = true;
                }
                "name" => {
                    map.next_value::<IgnoredAny>()?;
                    known = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        // A login page or a list of errors with status 200 must not read as "no tags".
        match known {
            true => Ok(()),
            false => Err(serde::de::Error::custom(
                "neither \"name\" nor \"tags\" in it",
            )),
        }
    }
}

/// The list under `tags`; `null` is an empty list.
struct List<'t, 'a>(&'t mut Tags<'a>);

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tags")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Tag(self.0))?.is_some() {}
        Ok(())
    }
}

/// One tag, looked at in place.
struct Tag<'t, 'a>(&'t mut Tags<'a>);

impl<'de> DeserializeSeed<'de> for Tag<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Tag<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tag")
    }
    fn visit_str<E: serde::de::Error>(self, tag: &str) -> Result<(), E> {
        self.0.take(tag).map_err(E::custom)
    }
}

/// Returns the URL of the next page from the `Link` headers of the page at `url`. Fails with a
/// reason when it leads to another host, scheme or port.
pub(super) fn next<'a>(
    url: &Url,
    mut links: impl Iterator<Item = &'a str>,
) -> Result<Option<Url>, String> {
    let Some(target) = links.find_map(|link| targets(link).into_iter().next()) else {
        return Ok(None);
    };
    let next = url
        .join(target)
        .map_err(|error| format!("Link to the next page is no URL: {error}"))?;
    if next.origin() != url.origin() || !next.username().is_empty() {
        let host = next.host_str().unwrap_or("");
        return Err(format!(
            "Link to the next page leads to {}://{host}, which is not this registry",
            next.scheme()
        ));
    }
    Ok(Some(next))
}

/// Returns the targets with `rel="next"` of one header value.
fn targets(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else {
            break;
        };
        let end = after.find('<').unwrap_or(after.len());
        let is_next = after[..end].split([';', ',']).any(|parameter| {
            let Some((key, value)) = parameter.split_once('=') else {
                return false;
            };
            key.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_matches('"')
                    .split_ascii_whitespace()
                    .any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if is_next {
            found.push(target);
        }
        rest = &after[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<String>, String> {
        let keep = |tag: &str| !tag.ends_with(".sig");
        let mut tags = Tags::new(&keep, 4);
        tags.read(body.as_bytes())?;
        Ok(tags.finish().0)
    }

    #[test]
    fn tag_lists_are_read_filtered_and_sorted_descending() {
        for (body, want) in [
            (
                r#"{"name":"a","tags":["1","3","2","3"]}"#,
                &["3", "2", "1"][..],
            ),
            (r#"{"tags":["a.sig","b"],"x":{"tags":["z"]}}"#, &["b"]),
            (r#"{"name":"a","tags":null}"#, &[]),
            (r#"{"name":"a"}"#, &[]),
            (r#"{"tags":["A"]}"#, &["A"]),
        ] {
            let tags = read(body);
            assert_eq!(tags.as_deref(), Ok(&*owned(want)), "{body}");
        }
    }

    fn owned(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    #[test]
    fn what_is_no_tag_list_is_refused() {
        let long = format!(r#"{{"tags":["{}"]}}"#, "x".repeat(TAG_BYTES_MAX + 1));
        for (body, want) in [
            ("", "EOF"),
            (r#"{"tags":["a""#, "EOF"),
            ("<html>", "expected value"),
            (r#"{"errors":[]}"#, "neither"),
            (r#"{"tags":"a"}"#, "a list of tags"),
            (r#"{"tags":[1]}"#, "a tag"),
            (r#"{"tags":[""]}"#, "0 bytes"),
            (r#"{"tags":["a\nb"]}"#, "control characters"),
            (r#"{"tags":["1","2","3","4","5"]}"#, "more than 4 tags"),
            (r#"{"tags":[]}x"#, "trailing"),
            (&long, "too long"),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.contains(want), "{body}: {error}");
        }
    }

    #[test]
    fn links_are_followed_on_the_same_host_only() {
        let url = Url::parse("https://r.io/v2/a/tags/list?n=2").unwrap();
        for (link, want) in [
            (
                r#"</v2/a/tags/list?last=b&n=2>; rel="next""#,
                Ok(Some("https://r.io/v2/a/tags/list?last=b&n=2")),
            ),
            (
                r#"<https://r.io/v2/a/tags/list?x=1>; title="a"; rel=next"#,
                Ok(Some("https://r.io/v2/a/tags/list?x=1")),
            ),
            (
                r#"</first>; rel="first", </v2/x>; rel="last next""#,
                Ok(Some("https://r.io/v2/x")),
            ),
            (
                r#"<?last=b>; rel="next""#,
                Ok(Some("https://r.io/v2/a/tags/list?last=b")),
            ),
            (r#"</prev>; rel="prev""#, Ok(None)),
            ("nonsense", Ok(None)),
            (r#"<https://evil.io/>; rel="next""#, Err("https://evil.io")),
            (r#"<http://r.io/>; rel="next""#, Err("http://r.io")),
            (
                r#"<https://r.io:444/>; rel="next""#,
                Err("not this registry"),
            ),
            (
                r#"<//169.254.169.254/latest>; rel="next""#,
                Err("169.254.169.254"),
            ),
            (r#"<file:///etc/passwd>; rel="next""#, Err("file://")),
            (r#"<https://u@r.io/>; rel="next""#, Err("not this registry")),
        ] {
            let got = next(&url, [link].into_iter());
            match want {
                Ok(want) => assert_eq!(got.unwrap().map(String::from).as_deref(), want, "{link}"),
                Err(want) => {
                    let error = got.unwrap_err();
                    assert!(error.contains(want), "{link}: {error}");
                }
            }
        }
    }
}
