//! The part of a load's latency that the generator itself caused.
//!
//! The generator delays a request if it takes it from the schedule late, if it writes it some time after the connection
//! was available, and if the response is readable in its socket for some time before it is handled. The last part is
//! measured by a timer of the same event loop. Its descriptor becomes readable at a known time every millisecond and
//! waits for its turn as a socket does, whether the loop was busy or the process had no processor.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use shakedown_env::{Env, Owned, Time};
use shakedown_results::Histogram;

/// The interval between two samples of the loop's lateness.
const PERIOD: Duration = Duration::from_millis(1);

/// The generator's own latency, in ns, of requests that were sent after the warm-up. Lag and processor time are
/// measured while requests are due.
#[derive(Clone, Debug, Default)]
pub struct GeneratorLatency {
    /// The time from a request's intended time until the dispatcher took it from the schedule.
    pub late: Histogram,
    /// The time for which the response of each request was readable but not handled.
    pub handling: Histogram,
    /// The generator's part of each latency.
    pub all: Histogram,
    /// The latency, as measured and without the generator's part.
    pub latency: LatencyPair,
    /// The latency since the request was written, as measured and without the generator's part.
    pub uncorrected: LatencyPair,
    /// The lateness of a timer that needs only a turn of the loop.
    pub lag: Histogram,
    /// Processor time of the generator's thread, ns.
    pub cpu_ns: u64,
    /// The time over which it was used, ns.
    pub wall_ns: u64,
}

/// A latency as measured, and without the generator's own part.
#[derive(Clone, Debug, Default)]
pub struct LatencyPair {
    /// As measured.
    pub whole: Histogram,
    /// Without the generator's part.
    pub without: Histogram,
}

impl GeneratorLatency {
    /// Records a request that has ended. All spans are in ns.
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

impl LatencyPair {
    fn record(&mut self, whole: i64, own: i64) {
        self.whole.record(whole);
        self.without.record(whole - own);
    }
}

/// Measurements that do not belong to a single request.
#[derive(Debug, Default)]
pub(super) struct Figures {
    lag: Histogram,
    cpu_ns: u64,
    wall_ns: u64,
}

/// The time that readable data waits for its reader. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadLag(Rc<Cell<LatenessSample>>);

/// A sample of the lateness of the loop.
#[derive(Clone, Copy, Debug, Default)]
struct LatenessSample {
    at: Time,
    lag: Duration,
    /// The time at which the next sample is due.
    next: Time,
}

impl ReadLag {
    /// The time that recently readable data has waited at `now`: the lateness of the last timer, or the time by which
    /// the next one is overdue.
    pub(super) fn now(&self, now: Time) -> Duration {
        let sample = self.0.get();
        let is_fresh = now.since(sample.at) <= PERIOD;
        let last = if is_fresh { sample.lag } else { Duration::ZERO };
        last.max(now.since(sample.next))
    }
}

/// A measurement in progress.
pub(super) struct Watching {
    lag: ReadLag,
    lags: Rc<RefCell<Histogram>>,
    _task: Owned,
    from: Time,
    cpu: Option<Duration>,
    cpu_ns: u64,
    wall_ns: u64,
}

/// Starts to measure the loop and the processor, from `zero` on.
pub(super) fn watch(env: &Env, zero: Time) -> Watching {
    let lags: Rc<RefCell<Histogram>> = Rc::default();
    let lag = ReadLag::default();
    lag.0.set(LatenessSample {
        next: zero,
        ..LatenessSample::default()
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
            shared.0.set(LatenessSample { at, lag, next });
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
    pub(super) fn lag(&self) -> ReadLag {
        self.lag.clone()
    }

    /// Ends the measurement of processor time once all requests are sent, because the generator only waits afterwards.
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
