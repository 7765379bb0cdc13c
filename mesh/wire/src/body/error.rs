//! Errors of bodies that were cut off.

use std::error::Error;
use std::io;

use crate::BadHead;

/// A body was cut off before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection failed, or the peer violated HTTP's framing.
    #[error("read the body from its connection")]
    Connection(#[from] hyper::Error),
    /// The stream was reset, or its connection failed.
    #[error("read the body from its stream")]
    Stream(#[from] h2::Error),
    /// A body was read again after it had grown too long to be kept, or had been cut off.
    #[error("replay a body that was not kept")]
    Forgotten,
    /// A body was read again after its sender had violated HTTP/1.1's framing.
    #[error("replay a body whose framing is invalid")]
    Malformed,
}

impl BodyError {
    /// Returns true if the sender violated HTTP/1.1's framing. Otherwise a connection failed, or a stream was reset.
    pub fn is_malformed(&self) -> bool {
        match self {
            BodyError::Connection(error) => is_malformed(error),
            BodyError::Malformed => true,
            BodyError::Stream(_) | BodyError::Forgotten => false,
        }
    }

    /// Returns true if the sender reset an HTTP/2 stream. Otherwise a connection failed, or HTTP's framing was
    /// violated.
    pub fn is_reset_stream(&self) -> bool {
        let h2 = match self {
            BodyError::Stream(error) => Some(error),
            BodyError::Connection(error) => error
                .source()
                .and_then(|source| source.downcast_ref::<h2::Error>()),
            BodyError::Forgotten | BodyError::Malformed => None,
        };
        h2.is_some_and(|error| error.is_reset() && error.is_remote())
    }
}

/// A body could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The body exceeds the caller's limit.
    #[error("collect a body of more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body was cut off.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Returns true if an error was caused by an invalid message rather than by its connection.
pub(crate) fn is_malformed(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let here = if let Some(error) = error.downcast_ref::<io::Error>() {
            error.get_ref().is_some_and(|inner| inner.is::<BadHead>())
        } else if let Some(error) = error.downcast_ref::<hyper::Error>() {
            error.is_parse()
        } else {
            // This error has no source: a replayed body of a malformed message.
            matches!(error.downcast_ref(), Some(BodyError::Malformed))
        };
        if here {
            return true;
        }
        cause = error.source();
    }
    false
}
