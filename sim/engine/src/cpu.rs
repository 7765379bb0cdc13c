//! A host's virtual CPU for declared costs: FIFO over a number of workers, on a clock that stops while the
//! host is paused.

use std::time::Duration;

use shakedown_env::Time;

/// The CPU of one host. Charged work is completed even if the task that declared it no longer waits, as on a
/// real CPU.
pub(crate) struct HostCpu {
    /// Time at which each worker becomes free, on this CPU's clock.
    free_at: Vec<Time>,
    /// Total length of all completed pauses.
    paused: Duration,
    paused_since: Option<Time>,
}

impl HostCpu {
    /// Creates a CPU with `workers` workers, at least one.
    pub(crate) fn new(workers: u32) -> HostCpu {
        HostCpu {
            free_at: vec![Time::ZERO; workers.max(1) as usize],
            paused: Duration::ZERO,
            paused_since: None,
        }
    }

    /// Converts a time to the CPU's clock.
    pub(crate) fn clock(&self, now: Time) -> Time {
        self.paused_since.unwrap_or(now) - self.paused
    }

    /// Charges work, and returns the time of its completion on the CPU's clock.
    pub(crate) fn charge(&mut self, now: Time, cost: Duration) -> Time {
        let now = self.clock(now);
        // Assigning each piece of work to the worker that is free first is equivalent to one queue for all
        // workers.
        let worker = self
            .free_at
            .iter_mut()
            .min()
            .expect("there is at least one worker");
        *worker = (*worker).max(now) + cost;
        *worker
    }

    pub(crate) fn pause(&mut self, now: Time) {
        self.paused_since.get_or_insert(now);
    }

    pub(crate) fn resume(&mut self, now: Time) {
        if let Some(since) = self.paused_since.take() {
            self.paused += now.since(since);
        }
    }

    /// Discards all work in progress after a power loss.
    pub(crate) fn reset(&mut self, now: Time) {
        self.resume(now);
        self.free_at.fill(Time::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Duration = Duration::from_nanos(10);

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    #[test]
    fn work_beyond_the_workers_waits_its_turn() {
        let mut cpu = HostCpu::new(2);
        assert_eq!(cpu.charge(at(0), COST), at(10));
        assert_eq!(cpu.charge(at(3), COST), at(13));
        assert_eq!(cpu.charge(at(4), COST), at(20));
        assert_eq!(cpu.charge(at(100), COST), at(110));
    }

    #[test]
    fn the_clock_stands_still_in_a_pause() {
        let mut cpu = HostCpu::new(1);
        let done = cpu.charge(at(0), COST);
        cpu.pause(at(4));
        assert_eq!(cpu.clock(at(90)), at(4));
        cpu.resume(at(100));
        assert_eq!(cpu.clock(at(100)), at(4));
        assert_eq!(cpu.clock(at(106)), done);
    }
}
