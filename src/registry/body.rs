//! Reads an answer's body up to a bound.
//!
//! In: a response. Out: its bytes, or an error when it is longer than allowed or ends early.

use reqwest::{Method, Response};

use super::Error;

/// Returns the whole body. Fails when it has more than `bytes_max` bytes or ends early.
pub(super) async fn whole(
    method: &Method,
    mut response: Response,
    bytes_max: usize,
) -> Result<Vec<u8>, Error> {
    let url = response.url().clone();
    let expected = response.content_length().unwrap_or(0);
    let too_long = || {
        Error::answer(
            method,
            &url,
            format!("body is larger than {bytes_max} bytes"),
        )
    };
    let expected = usize::try_from(expected).map_err(|_| too_long())?;
    if expected > bytes_max {
        return Err(too_long());
    }
    // The header is the registry's word, so it reserves no more than a megabyte.
    let mut bytes = Vec::with_capacity(expected.min(1 << 20));
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|source| Error::exchange(method, &url, source))?
    {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Returns the first `bytes_max` bytes of a body, or fewer; for texts of errors only.
pub(super) async fn beginning(mut response: Response, bytes_max: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < bytes_max
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(bytes_max);
    bytes
}
