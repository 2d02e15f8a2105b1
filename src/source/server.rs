//! The file server of artifacts, as other consumers know it: GET and HEAD below the root.
//!
//! In: a path from a status. Out: the archive, with its digest as entity tag. It lists no folders;
//! what is not there is 404, which consumers take as "not yet". `GET /` is the readiness probe.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio_util::io::ReaderStream;

use super::Storage;

/// Returns the router that serves a storage's artifacts; HEAD is answered as GET without a body.
pub fn router<T: Clone + Send + Sync + 'static>(storage: Storage<T>) -> Router {
    Router::new()
        .route("/", get(async || StatusCode::OK))
        .route("/{*path}", get(serve::<T>))
        .with_state(storage)
}

async fn serve<T: Clone + Send + Sync + 'static>(
    State(storage): State<Storage<T>>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Response {
    let (record, file) = match storage.file(&path).await {
        Ok(Some(found)) => found,
        Ok(None) => return StatusCode::NOT_FOUND.into_response(),
        Err(cause) => {
            tracing::error!(%path, error = %cause, "The artifact could not be written.");
            return (StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()).into_response();
        }
    };
    let tag = format!("\"{}\"", record.digest);
    let asked = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    if asked == Some(tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    // Retention may have removed it meanwhile.
    let Ok(file) = tokio::fs::File::open(&file).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let modified = record
        .updated
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    let headers = [
        (header::CONTENT_TYPE, "application/gzip".to_owned()),
        (header::CONTENT_LENGTH, record.size.to_string()),
        (header::LAST_MODIFIED, modified),
        (header::ETAG, tag),
    ];
    (headers, Body::from_stream(ReaderStream::new(file))).into_response()
}
