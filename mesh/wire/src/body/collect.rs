//! Reading of a whole body into memory.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};

use super::error::{BodyError, CollectError};

/// Reads a body to its end, and drops its trailers. A body that arrives in one piece is not copied.
///
/// # Errors
/// The body is longer than `limit` bytes, or was cut off.
pub(crate) async fn collect<B>(mut body: B, limit: usize) -> Result<Bytes, CollectError>
where
    B: HttpBody<Data = Bytes, Error = BodyError> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(CollectError::TooLarge { limit });
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = next_frame(&mut body).await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if first.len() + rest.len() + data.len() > limit {
            return Err(CollectError::TooLarge { limit });
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

async fn next_frame<B: HttpBody + Unpin>(body: &mut B) -> Option<Result<Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}
