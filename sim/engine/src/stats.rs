//! Counts of a run.

/// Counts of a run so far, for benches and tests of leaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Polls of tasks.
    pub polls: u64,
    /// Events: timers, packets, acknowledgements that an endpoint waited for, retransmissions.
    pub events: u64,
    /// Packets sent between hosts, acknowledgements and lost ones included.
    pub packets: u64,
    /// Events that are scheduled.
    pub live_timers: usize,
    /// Tasks that have not ended.
    pub tasks: u64,
    /// Ends of connections in the simulated kernels.
    pub connections: usize,
}
