//! The noise check: real sleeps between polls.
//!
//! Two fast runs that agree prove little: a run shorter than a second may hide a leak of real time. A run with
//! noise must agree with them, too.

use std::time::Duration;

use rand::RngExt as _;
use shakedown_env::{Rng, stream_seed};

/// Maximum number of polls between two sleeps.
const POLLS_MAX: u64 = 1024;
/// Upper bound of a sleep in us, exclusive.
const SLEEP_US_MAX: u64 = 200;

pub(crate) struct Noise {
    rng: Rng,
    polls_left: u64,
}

impl Noise {
    pub(crate) fn new(seed: u64) -> Noise {
        Noise {
            rng: stream_seed(seed, "engine", "noise"),
            polls_left: 1,
        }
    }

    /// Sleeps occasionally. Must be called between two polls.
    #[expect(
        clippy::disallowed_methods,
        reason = "the purpose is to disturb real time"
    )]
    pub(crate) fn between_polls(&mut self) {
        self.polls_left -= 1;
        if self.polls_left > 0 {
            return;
        }
        self.polls_left = self.rng.random_range(1..=POLLS_MAX);
        let nap = Duration::from_micros(self.rng.random_range(0..SLEEP_US_MAX));
        std::thread::sleep(nap);
    }
}
