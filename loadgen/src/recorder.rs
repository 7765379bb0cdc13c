//! The sink for the facts of a load: all that the generator needs from its caller.

use std::net::SocketAddr;

use http::HeaderValue;
use shakedown_env::Time;
use shakedown_results::{Event, PartyId, PodId, Root};

/// Takes the facts of a load, and of calls, as they happen.
pub trait Recorder {
    /// Nanoseconds from 0 s, negative before it.
    fn nanos(&self, at: Time) -> i64;

    /// The replica behind an address, where there is one.
    fn pod_at(&self, address: SocketAddr) -> Option<PodId>;

    /// Takes a fact that is known from `now` on. Called in order of time.
    fn record(&self, now: Time, event: Event);

    /// Announces a call by the value of its [`CALL_HEADER`](crate::CALL_HEADER), under which proxies report where they route
    /// it. Without proxies there is nothing to follow.
    fn begin_call(&self, _call: &HeaderValue, _root: Option<Root>, _from: PodId, _to: PartyId) {}

    /// Ends a call that was announced. Returns the service to which routes led it, if that is not the one it asked for.
    fn end_call(&self, _call: &HeaderValue) -> Option<PartyId> {
        None
    }
}
