//! All pages of a tag list, one after the other, or the word that none has changed.
//!
//! In: a session, a predicate on tags, what an earlier listing left for comparison. Out: a whole
//! [`Listing`], never a part. Pages that carry an `ETag` are asked for by it the next time, and the
//! body of an only page is compared with the last one; when all are the same, no tag is read.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use reqwest::header::{ETAG, LINK};
use reqwest::{Method, Url};

use super::client::{Limits, texts};
use super::mark::Mark;
use super::page::Tags;
use super::session::{Answer, Ask, Same, Session, Want};
use super::{Error, link};
use crate::image::TagList;

/// Tags asked for in one page, as Flux asks; registries may give fewer or all.
const PAGE_TAGS: usize = 1000;

/// Pages of a listing that can be compared later; of a longer one all are read.
const MARKS_MAX: usize = 64;

/// Bytes of an `ETag` that is kept.
const ETAG_BYTES_MAX: usize = 512;

/// A complete list of a repository's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The tags that were kept, descending by bytes, each once.
    pub tags: TagList,
    /// How many tags the predicate dropped.
    pub n_excluded: usize,
    /// How many pages the registry gave.
    pub n_pages: usize,
    /// What tells later whether the list is still the same, where that can be told.
    pub validator: Option<Validator>,
}

/// What the pages of a listing were, for [`Client::tags_if_changed`](super::Client).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator(Vec<Mark>);

impl Validator {
    /// Returns what can be compared later: an only page by either mark, several by their tags
    /// alone. Bodies of several would have to be asked for twice once a later one has changed.
    fn new(mut marks: Vec<Mark>) -> Option<Self> {
        let is_one = marks.len() == 1;
        if !is_one {
            marks.iter_mut().for_each(|mark| mark.body = None);
        }
        let is_marked = |mark: &Mark| mark.etag.is_some() || mark.body.is_some();
        (marks.len() <= MARKS_MAX && marks.iter().all(is_marked)).then_some(Self(marks))
    }
}

/// What a walk over the pages brought.
pub(super) enum Walk {
    /// All tags.
    All(Listing),
    /// No page has changed.
    Same,
    /// The first pages have not changed and a later one has, so all must be read.
    Torn,
}

/// Walks over all pages. Fails when one is missing, broken, beyond a bound or elsewhere.
pub(super) async fn walk(
    session: &Session<'_>,
    limits: &Limits,
    keep: &(dyn Fn(&str) -> bool + Send + Sync),
    known: Option<&Validator>,
) -> Result<Walk, Error> {
    let tags = Mutex::new(Tags::new(keep, limits.tags_max));
    let mut known = known.map_or(&[][..], |known| &known.0);
    let mut marks = Vec::new();
    let mut seen = HashSet::new();
    let mut url = session.url(&format!("tags/list?n={PAGE_TAGS}"))?;
    loop {
        let refuse = |reason: String| Error::answer(&Method::GET, &url, reason);
        if !seen.insert(short(&url)) {
            return Err(refuse("Link leads to a page that was read before".into()));
        }
        if seen.len() > limits.pages_max {
            return Err(refuse(format!("more than {} pages", limits.pages_max)));
        }
        let mark = known.first().filter(|mark| mark.url == url);
        let answer = session.request(Ask {
            method: Method::GET,
            url: &url,
            want: Want::Tags(&tags, limits.body_bytes_max),
            known: mark,
        });
        let answer = answer.await?;
        crate::failpoint::hit("scan.after_page");
        let next = || next(&answer).map_err(refuse);
        match answer.same {
            Some(Same::Said) => {
                // The next URL is of the earlier listing: this answer may lack the Link.
                known = known.get(1..).unwrap_or_default();
                match known.first() {
                    Some(next) => url = next.url.clone(),
                    None => return Ok(Walk::Same),
                }
                continue;
            }
            // It was the only page, and it has one behind it now.
            Some(Same::Sent) if next()?.is_some() => return Ok(Walk::Torn),
            Some(Same::Sent) => return Ok(Walk::Same),
            None if seen.len() > 1 && !known.is_empty() => return Ok(Walk::Torn),
            None => known = &[],
        }
        if marks.len() <= MARKS_MAX {
            marks.push(mark_of(&url, &answer));
        }
        match next()? {
            Some(next) => url = next,
            None => break,
        }
    }
    let tags = tags.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (tags, n_excluded) = tags.finish();
    Ok(Walk::All(Listing {
        tags,
        n_excluded,
        n_pages: seen.len(),
        validator: Validator::new(marks),
    }))
}

/// Returns what tells one URL of a scan from another; a listing may have as many as it has tags.
fn short(url: &Url) -> u64 {
    let mut hasher = DefaultHasher::new();
    url.as_str().hash(&mut hasher);
    hasher.finish()
}

fn next(answer: &Answer) -> Result<Option<Url>, String> {
    let links = texts(&answer.headers, &LINK);
    link::next(&answer.url, links.iter().map(String::as_str))
}

/// Returns what a page is known by later.
fn mark_of(url: &Url, answer: &Answer) -> Mark {
    let etag = texts(&answer.headers, &ETAG).into_iter().next();
    Mark {
        url: url.clone(),
        etag: etag.filter(|etag| !etag.is_empty() && etag.len() <= ETAG_BYTES_MAX),
        body: answer.mark,
    }
}
