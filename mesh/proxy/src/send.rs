//! Sends one try to one host, within its time.

use http::{Request, Response};
use shakedown_env::{Env, Time};
use shakedown_wire::{Body, Pool, SendError};

use crate::respond::ResetReason;

/// When a try must have given its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) at: Time,
    pub(crate) bound: Bound,
}

/// Which of its bounds a try meets first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Its own.
    Try,
    /// The route's, which covers all tries.
    Route,
}

/// How a try ended.
#[derive(Debug)]
pub(crate) enum Sent {
    /// With headers.
    Response(Response<Body>),
    /// Without.
    Reset { reason: ResetReason, on_wire: bool },
    /// In time out of time.
    TimedOut(Bound),
    /// The caller's body broke off: it has gone.
    CallerGone,
}

/// Sends a request through a pool. Without a deadline it waits as long as its caller does, as under Istio, where a route has
/// no timeout unless it is given one. Dropping the future cancels the try.
pub(crate) async fn send(
    env: &Env,
    pool: &Pool,
    request: Request<Body>,
    deadline: Option<Deadline>,
) -> Sent {
    let sending = pool.send(request);
    let result = match deadline {
        None => sending.await,
        Some(Deadline { at, bound }) => match env.deadline(at, sending).await {
            Ok(result) => result,
            Err(_elapsed) => return Sent::TimedOut(bound),
        },
    };
    match result {
        Ok(response) => Sent::Response(response),
        Err(error) => ended(&error),
    }
}

/// What a pool's error means.
fn ended(error: &SendError) -> Sent {
    let reason = match error {
        SendError::Connect(_) => ResetReason::RemoteConnectionFailure,
        SendError::ConnectTimeout => ResetReason::ConnectionTimeout,
        SendError::Terminated { .. } => ResetReason::ConnectionTermination,
        SendError::Protocol(_) => ResetReason::ProtocolError,
        SendError::RequestBody(_) => return Sent::CallerGone,
    };
    Sent::Reset {
        reason,
        on_wire: error.on_wire(),
    }
}
