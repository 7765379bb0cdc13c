//! The sink for the events of a load, which the user of the generator must implement.

use std::net::SocketAddr;

use http::HeaderValue;
use shakedown_env::Time;
use shakedown_results::{Event, ParticipantId, PodId, Root};

/// Receives the events of loads and calls as they happen.
pub trait Recorder {
    /// Nanoseconds since 0 s, negative before it.
    fn nanos(&self, at: Time) -> i64;

    /// The replica at an address, if any.
    fn pod_at(&self, address: SocketAddr) -> Option<PodId>;

    /// Records an event that is known from `now` on. Must be called in order of time.
    fn record(&self, now: Time, event: Event);

    /// Announces a call by the value of its [`CALL_HEADER`](crate::CALL_HEADER), under which proxies report its
    /// routing. Without proxies nothing is reported.
    fn begin_call(
        &self,
        _call: &HeaderValue,
        _root: Option<Root>,
        _from: PodId,
        _to: ParticipantId,
    ) {
    }

    /// Ends a call that was announced. Returns the service to which it was routed, if that is not the requested one.
    fn end_call(&self, _call: &HeaderValue) -> Option<ParticipantId> {
        None
    }
}
