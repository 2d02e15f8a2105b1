//! The tags of an ImageRepository as its scan would keep them, asked for once and kept nowhere.
//!
//! In: a client of the cluster that holds its Secrets, and the object. Out: its tags in the order in
//! which policies visit them, or why there are none. Used by the command line.

use kube::Client;

use super::image_access::{access, gated, timeout};
use crate::api::ImageRepository;
use crate::image::{Repository, TagList};
use crate::pattern::Pattern;
use crate::registry;

/// Why tags could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// A field cannot be read.
    #[error("ImageRepository {name}: {reason}")]
    Field {
        /// The object.
        name: String,
        /// Which field, and what is wrong.
        reason: String,
    },
    /// The registry did not answer.
    #[error("scan {image}: {source}")]
    Scan {
        /// The image.
        image: String,
        /// Why.
        #[source]
        source: registry::Error,
    },
}

/// Lists the tags that a scan of the object would keep. Fails where the scan would.
pub async fn list_tags(client: &Client, object: &ImageRepository) -> Result<TagList, ListError> {
    let name = object.metadata.name.clone().unwrap_or_default();
    let wrong = |reason: String| ListError::Field {
        name: name.clone(),
        reason,
    };
    if let Some(reason) = gated(&object.spec) {
        return Err(wrong(reason.to_owned()));
    }
    let image = &object.spec.image;
    let repository = Repository::parse_image_field(image).map_err(|e| wrong(e.to_string()))?;
    let patterns = object.spec.exclusion_list.iter().map(|text| {
        Pattern::new(text).map_err(|error| wrong(format!("spec.exclusionList: {error}")))
    });
    let patterns: Vec<Pattern> = patterns.collect::<Result<_, _>>()?;
    let timeout = timeout(&object.spec).map_err(wrong)?;
    let access = access(client, object, &repository, timeout).await;
    let access = access.map_err(|error| wrong(error.to_string()))?;
    let keep = |tag: &str| !patterns.iter().any(|pattern| pattern.is_match(tag));
    let listing = registry::Client::new()
        .tags(&repository, &access, &keep)
        .await;
    let listing = listing.map_err(|source| ListError::Scan {
        image: image.clone(),
        source,
    })?;
    Ok(listing.tags)
}
