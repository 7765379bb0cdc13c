//! The system's two clocks.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::{Time, UnixTime};

/// The monotonic clock, counted from a world's beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: u64,
}

impl Clock {
    /// A clock that begins now.
    pub(super) fn start() -> Clock {
        Clock {
            origin: nanos(clock_gettime(ClockId::Monotonic)),
        }
    }

    pub(super) fn now(self) -> Time {
        Time::from_nanos(nanos(clock_gettime(ClockId::Monotonic)).saturating_sub(self.origin))
    }

    /// A moment of this clock on the system's scale.
    pub(super) fn system(self, time: Time) -> Timespec {
        let nanos = self.origin.saturating_add(time.as_nanos());
        Timespec {
            tv_sec: i64::try_from(nanos / 1_000_000_000).expect("2^64 ns are fewer than 2^63 s"),
            tv_nsec: (nanos % 1_000_000_000).try_into().expect("below a billion"),
        }
    }
}

/// The processor time of the calling thread.
pub(super) fn thread_time() -> Duration {
    Duration::from_nanos(nanos(clock_gettime(ClockId::ThreadCPUTime)))
}

/// The wall clock.
pub(super) fn unix_time() -> UnixTime {
    UnixTime::from_nanos(nanos(clock_gettime(ClockId::Realtime)))
}

/// A system time before 1970 counts as 1970.
fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}
