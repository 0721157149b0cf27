//! How an edge says who it is.

use sentinel_token::PlainEdgeKey;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};

/// The message with the edge's secret beside it.
pub(super) fn authorized<T>(key: &PlainEdgeKey, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", key.secret().expose());
    // The key is base64url, so the text is always a header value.
    if let Ok(mut value) = bearer.parse::<MetadataValue<Ascii>>() {
        value.set_sensitive(true);
        request.metadata_mut().insert("authorization", value);
    }
    request
}
