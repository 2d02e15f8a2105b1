//! Laws of what registries send: challenges, links to the next page, tag lists.
//!
//! In: any bytes. Out: nothing; a law that is broken panics. Fuzzed and replayed as `crate::laws`
//! says.

use reqwest::Url;

use super::page::{Page, TAG_BYTES_MAX, Tags};
use super::{challenge as challenges, link as links};

/// The page that links are followed from.
const PAGE: &str = "https://registry.example:8443/v2/acme/app/tags/list?n=1000";
/// Tags that a page may have here.
const TAGS_MAX: usize = 64;

/// A challenge is read the same twice, and a realm is part of what was sent.
pub fn challenge(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let found = challenges::strongest([text].into_iter());
    assert_eq!(found, challenges::strongest([text].into_iter()));
    if let Some(challenges::Challenge::Bearer { realm, service, .. }) = found {
        assert!(realm.len() + service.len() <= text.len());
    }
}

/// A link never leads to another registry, nor carries a name.
pub fn link(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let page = Url::parse(PAGE).expect("because it is a URL");
    if let Ok(Some(next)) = links::next(&page, [text].into_iter()) {
        assert_eq!(next.origin(), page.origin(), "{text:?}");
        assert!(next.username().is_empty(), "{text:?}");
        assert_eq!(next.scheme(), "https");
    }
}

/// A page is read alike in pieces of any size; tags come newest first, each once, none hostile.
pub fn tags(bytes: &[u8]) {
    let whole = read(bytes, bytes.len().max(1));
    for size in [1, 2, 7] {
        assert_eq!(read(bytes, size), whole, "in pieces of {size}");
    }
    let Ok(tags) = whole else { return };
    assert!(tags.is_sorted_by(|a, b| a > b), "{tags:?}");
    for tag in &tags {
        assert!((1..=TAG_BYTES_MAX).contains(&tag.len()));
        assert!(!tag.chars().any(char::is_control), "{tag:?}");
    }
}

fn read(bytes: &[u8], size: usize) -> Result<Vec<String>, String> {
    let mut tags = Tags::new(&|_| true, TAGS_MAX);
    let mut page = Page::default();
    for piece in bytes.chunks(size) {
        page.read(piece, &mut tags)?;
    }
    page.end()?;
    Ok(tags.finish().0.to_strings())
}
