//! The system's monotonic and wall clocks.

use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::{Time, UnixTime};

/// The monotonic clock, counted from the start of the runtime.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: u64,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock {
            origin: read(ClockId::CLOCK_MONOTONIC),
        }
    }

    pub(super) fn now(self) -> Time {
        Time::from_nanos(read(ClockId::CLOCK_MONOTONIC).saturating_sub(self.origin))
    }

    /// Converts an instant of this clock to the system's scale.
    pub(super) fn system(self, time: Time) -> TimeSpec {
        let nanos = self.origin.saturating_add(time.as_nanos());
        TimeSpec::new(
            (nanos / 1_000_000_000)
                .try_into()
                .expect("2^64 ns are fewer than 2^63 s"),
            (nanos % 1_000_000_000).try_into().expect("below a billion"),
        )
    }
}

/// The processor time of the calling thread.
pub(super) fn thread_time() -> Duration {
    Duration::from_nanos(read(ClockId::CLOCK_THREAD_CPUTIME_ID))
}

pub(super) fn unix_time() -> UnixTime {
    UnixTime::from_nanos(read(ClockId::CLOCK_REALTIME))
}

/// Nanoseconds of a system clock, read by the C library because valgrind replaces its vDSO and maps no other.
fn read(clock: ClockId) -> u64 {
    nanos(clock_gettime(clock).expect("the system has these clocks"))
}

/// A system time before 1970 counts as 1970.
fn nanos(time: TimeSpec) -> u64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec()).unwrap_or(0))
}
