//! The part of a load's latency that the generator itself caused.
//!
//! A request is late by the generator's fault where it was taken up after it was due, where it was written some time after it
//! had a connection, and where its answer lay readable in its socket some time before it was handled. The last is measured by
//! a timer of the same event loop: its descriptor becomes readable at a known time every millisecond, and waits for its turn
//! as a socket's does, be it because the loop was busy with others or because the process had no processor.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use shakedown_env::{Env, Owned, Time};
use shakedown_results::Histogram;

/// Between two looks at how late the loop is.
const PERIOD: Duration = Duration::from_millis(1);

/// The generator's own latency, ns. Of requests that were sent, from the warm-up's end on; loop and processor over the time
/// in which requests were due.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// From a request's intended time to when it was taken up.
    pub late: Histogram,
    /// The time for which the answer of each request was readable and not handled.
    pub handling: Histogram,
    /// The generator's part of each latency.
    pub all: Histogram,
    /// Latency, and what it would have been without its own part.
    pub latency: Pair,
    /// The same from when the request was written.
    pub uncorrected: Pair,
    /// The lateness of a timer that needs only a turn of the loop.
    pub lag: Histogram,
    /// Processor time of the generator's thread, ns.
    pub cpu_ns: u64,
    /// The time in which it was used, ns.
    pub wall_ns: u64,
}

/// A latency as it is reported, and without the generator's own part.
#[derive(Clone, Debug, Default)]
pub struct Pair {
    /// As reported.
    pub whole: Histogram,
    /// Without the generator's part.
    pub without: Histogram,
}

impl Own {
    /// A request has ended: each span in ns.
    pub(super) fn ended(&mut self, latency: i64, uncorrected: i64, sending: i64, handling: i64) {
        let own = sending + handling;
        self.handling.record(handling);
        self.all.record(own);
        self.latency.record(latency, own);
        self.uncorrected.record(uncorrected, handling);
    }

    pub(super) fn measured(&mut self, figures: Figures) {
        self.lag = figures.lag;
        self.cpu_ns = figures.cpu_ns;
        self.wall_ns = figures.wall_ns;
    }

    /// The share of one core that the generator used, parts per million.
    pub fn cpu_ppm(&self) -> u64 {
        let ppm = u128::from(self.cpu_ns) * 1_000_000 / u128::from(self.wall_ns.max(1));
        u64::try_from(ppm).unwrap_or(u64::MAX)
    }
}

impl Pair {
    fn record(&mut self, whole: i64, own: i64) {
        self.whole.record(whole);
        self.without.record(whole - own);
    }
}

/// Measurements beside the requests.
#[derive(Debug, Default)]
pub(super) struct Figures {
    lag: Histogram,
    cpu_ns: u64,
    wall_ns: u64,
}

/// The time that readable data waits for its reader. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Lag(Rc<Cell<Look>>);

/// A sample of the lateness of the loop.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    /// Time of the sample.
    at: Time,
    /// The lateness.
    lag: Duration,
    /// Time at which the next sample is due.
    next: Time,
}

impl Lag {
    /// The time that recently readable data has waited at `now`: as long as the last timer, or as long as the next one
    /// is overdue.
    pub(super) fn now(&self, now: Time) -> Duration {
        let look = self.0.get();
        let is_fresh = now.since(look.at) <= PERIOD;
        let last = if is_fresh { look.lag } else { Duration::ZERO };
        last.max(now.since(look.next))
    }
}

/// A measurement in progress.
pub(super) struct Watching {
    lag: Lag,
    lags: Rc<RefCell<Histogram>>,
    _task: Owned,
    from: Time,
    cpu: Option<Duration>,
    cpu_ns: u64,
    wall_ns: u64,
}

/// Begins to measure loop and processor, from `zero` on.
pub(super) fn watch(env: &Env, zero: Time) -> Watching {
    let lags: Rc<RefCell<Histogram>> = Rc::default();
    let lag = Lag::default();
    lag.0.set(Look {
        next: zero,
        ..Look::default()
    });
    let (own, into, shared) = (env.clone(), Rc::clone(&lags), lag.clone());
    let task = env.spawn_owned("load-lag", async move {
        let mut sleep = own.sleep_until(zero);
        let mut due = zero;
        loop {
            sleep.as_mut().await;
            let at = own.now();
            let (lag, next) = (at.since(due), at + PERIOD);
            into.borrow_mut().record(nanos(lag));
            shared.0.set(Look { at, lag, next });
            due = next;
            sleep.as_mut().reset(due);
        }
    });
    Watching {
        lag,
        lags,
        _task: task,
        from: zero,
        cpu: env.cpu_time(),
        cpu_ns: 0,
        wall_ns: 0,
    }
}

impl Watching {
    pub(super) fn lag(&self) -> Lag {
        self.lag.clone()
    }

    /// All is sent: what the processor does from here on is waiting.
    pub(super) fn sent(&mut self, env: &Env) {
        let used = env.cpu_time().zip(self.cpu);
        let used = used.map_or(Duration::ZERO, |(now, then)| now.saturating_sub(then));
        self.cpu_ns = nanos(used).unsigned_abs();
        self.wall_ns = nanos(env.now().since(self.from)).unsigned_abs();
    }

    pub(super) fn end(self) -> Figures {
        Figures {
            lag: self.lags.take(),
            cpu_ns: self.cpu_ns,
            wall_ns: self.wall_ns,
        }
    }
}

pub(super) fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
