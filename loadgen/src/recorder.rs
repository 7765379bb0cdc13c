//! Where the facts of a load go: the one thing that the generator asks of whoever runs it.

use std::net::SocketAddr;

use shakedown_env::Time;
use shakedown_results::{Event, PodId};

/// Takes the facts of a load, and of calls, as they happen.
pub trait Recorder {
    /// Nanoseconds from 0 s, negative before it.
    fn nanos(&self, at: Time) -> i64;

    /// The replica behind an address, where there is one.
    fn pod_at(&self, address: SocketAddr) -> Option<PodId>;

    /// Takes a fact that is known from `now` on. Called in order of time.
    fn record(&self, now: Time, event: Event);
}
