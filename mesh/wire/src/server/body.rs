//! The requirements on the body of a server's response.

use std::error::Error;

use bytes::Bytes;
use http_body::Body as HttpBody;

/// The body of a server's response. Implemented by every type that meets the requirements.
pub trait ServerBody:
    HttpBody<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + 'static
{
}

impl<B> ServerBody for B where
    B: HttpBody<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + 'static
{
}
