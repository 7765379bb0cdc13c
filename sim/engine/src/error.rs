//! The errors that end a run.

use shakedown_env::{TaskName, Time};

/// The reason why a run cannot continue. Every later step returns the same error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// Every task waits, and no event is scheduled.
    #[error("deadlock at {at}: all tasks wait, and no event is scheduled")]
    Stalled {
        /// The time of the run.
        at: Time,
    },
    /// A task panicked, in a poll or when it was dropped.
    #[error(
        "task {task} of host {host}, spawned at {born}, panicked at {at} in {location}: {message}"
    )]
    Panicked {
        /// The name of the task's host; `network` for work of the simulated kernel.
        host: String,
        /// The task's name.
        task: TaskName,
        /// The time at which the task was spawned.
        born: Time,
        /// The time of the panic.
        at: Time,
        /// The panic's message.
        message: String,
        /// `file:line:column` of the panic.
        location: String,
    },
    /// Turmoil has no port left for another connection of a host. It has 16,384, and does not close connections to free one.
    #[error(
        "turmoil has no port left for {host} at {at}: it has 16,384 open connections, for example because requests arrive \
         faster than they are answered; lower the rate, or use the native engine"
    )]
    PortsExhausted {
        /// The name of the host.
        host: String,
        /// The time of the run.
        at: Time,
    },
    /// Tasks keep waking each other without time moving on.
    #[error("tasks wake each other endlessly at {at}; the last one was {task} of host {host}")]
    Spinning {
        /// The host of the last task polled.
        host: String,
        /// The last task polled.
        task: TaskName,
        /// The time of the run.
        at: Time,
    },
}
