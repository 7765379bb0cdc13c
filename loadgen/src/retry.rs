//! The retries of a caller: the outcomes to retry, the backoff, and the budget.

use std::collections::VecDeque;
use std::time::Duration;

use rand::RngExt as _;
use shakedown_env::{Rng, Time};
use shakedown_results::{Answer, Outcome};
use shakedown_scenarios::scenario::AppRetries;
use shakedown_types::{GrpcStatus, ResponseFlags};

use crate::Exchange;

/// The window over which a budget counts first attempts and retries.
const WINDOW: Duration = Duration::from_secs(10);
/// Shares are counted in parts per billion.
const BILLION: u128 = 1_000_000_000;

/// The state of a policy in a caller process: its random stream, and the budget used.
#[derive(Debug)]
pub(crate) struct Retrier {
    rng: Rng,
    firsts: RetryWindow,
    retries: RetryWindow,
}

/// Times of events over the last ten seconds.
#[derive(Debug, Default)]
struct RetryWindow(VecDeque<Time>);

impl Retrier {
    /// A retrier that has counted no attempts. `rng` draws the jitter.
    pub(crate) fn new(rng: Rng) -> Retrier {
        Retrier {
            rng,
            firsts: RetryWindow::default(),
            retries: RetryWindow::default(),
        }
    }

    /// Records a first attempt. Counted only if there is a budget.
    pub(crate) fn note_first(&mut self, policy: &AppRetries, now: Time) {
        if policy.budget.is_some() {
            self.firsts.add(now);
        }
    }

    /// Draws the backoff after the attempt with this number, counted from 1.
    pub(crate) fn wait(&mut self, policy: &AppRetries, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(31);
        let wait = policy.backoff.saturating_mul(1 << doublings);
        let wait = wait.min(policy.max_backoff);
        if !policy.full_jitter || wait.is_zero() {
            return wait;
        }
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rng.random_range(0..=nanos))
    }

    /// Returns true if the budget allows a retry now, and takes it from the budget.
    pub(crate) fn spend(&mut self, policy: &AppRetries, now: Time) -> bool {
        let Some(budget) = policy.budget else {
            return true;
        };
        let firsts = self.firsts.count(now) as u128;
        let retries = self.retries.count(now) as u128 + 1;
        let may = retries * BILLION <= firsts * u128::from(budget.ppb());
        if may {
            self.retries.add(now);
        }
        may
    }
}

impl RetryWindow {
    fn add(&mut self, now: Time) {
        self.forget(now);
        self.0.push_back(now);
    }

    fn count(&mut self, now: Time) -> usize {
        self.forget(now);
        self.0.len()
    }

    fn forget(&mut self, now: Time) {
        while self.0.front().is_some_and(|at| *at + WINDOW <= now) {
            self.0.pop_front();
        }
    }
}

/// Returns true if a policy retries after this outcome of the attempt with this number.
pub(crate) fn wants(policy: &AppRetries, exchange: &Exchange, tries: u32) -> bool {
    if tries > policy.times {
        return false;
    }
    match exchange.outcome.answer {
        Answer::Ok | Answer::Dropped | Answer::Cancelled => false,
        Answer::Timeout => policy.on_timeout,
        // A response that ended early has both a status and a flag.
        Answer::Error
            if exchange.flags != ResponseFlags::empty() || exchange.outcome.status == 0 =>
        {
            policy.on_reset
        }
        Answer::Error => {
            let Outcome { status, grpc, .. } = exchange.outcome;
            let status = grpc.map_or(status, GrpcStatus::to_http);
            policy.on_5xx && (500..600).contains(&status)
        }
    }
}

#[cfg(test)]
mod tests {
    use shakedown_env::stream_seed;
    use shakedown_scenarios::scenario::DrawId;
    use shakedown_scenarios::value::Share;

    use super::*;

    fn policy() -> AppRetries {
        AppRetries {
            times: 3,
            on_5xx: true,
            on_reset: true,
            on_timeout: true,
            backoff: Duration::from_millis(10),
            max_backoff: Duration::from_millis(25),
            full_jitter: false,
            budget: None,
            draw_id: DrawId(0),
        }
    }

    fn retrier() -> Retrier {
        Retrier::new(stream_seed(1, "test", "retries"))
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn end(status: u16, answer: Answer, flags: ResponseFlags) -> Exchange {
        Exchange {
            outcome: Outcome::new(status, answer),
            flags,
        }
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        let mut retrier = retrier();
        let waits: Vec<_> = (1..5).map(|tries| retrier.wait(&policy(), tries)).collect();
        let millis = |millis| Duration::from_millis(millis);
        assert_eq!(waits, [millis(10), millis(20), millis(25), millis(25)]);
    }

    #[test]
    fn full_jitter_draws_evenly_from_nothing_to_the_whole_wait() {
        let mut retrier = retrier();
        let policy = AppRetries {
            full_jitter: true,
            ..policy()
        };
        let waits: Vec<_> = (0..10_000).map(|_| retrier.wait(&policy, 1)).collect();
        let mean = waits.iter().sum::<Duration>() / 10_000;
        assert!(waits.iter().all(|wait| *wait <= policy.backoff));
        assert!(mean.abs_diff(policy.backoff / 2) < Duration::from_micros(100));
    }

    #[test]
    fn a_budget_is_a_share_of_the_first_tries_of_ten_seconds() {
        let mut retrier = retrier();
        let policy = AppRetries {
            budget: Some(Share::parse("20%").unwrap()),
            ..policy()
        };
        for first in 0..10 {
            retrier.note_first(&policy, at(first * 1_000));
        }
        assert!(retrier.spend(&policy, at(9_500)));
        assert!(retrier.spend(&policy, at(9_500)));
        assert!(!retrier.spend(&policy, at(9_500)), "two of ten are 20%");
        // All but one of the first attempts have left the window. At 19.5 s the retries have, too.
        assert!(!retrier.spend(&policy, at(18_900)));
        assert!(!retrier.spend(&policy, at(19_500)));
    }

    #[test]
    fn without_first_tries_a_budget_allows_nothing() {
        let policy = AppRetries {
            budget: Some(Share::ALL),
            ..policy()
        };
        assert!(!retrier().spend(&policy, at(0)));
    }

    #[test]
    fn each_kind_of_end_has_a_switch_of_its_own() {
        let ends = [
            end(503, Answer::Error, ResponseFlags::empty()),
            end(0, Answer::Error, ResponseFlags::UC),
            Exchange::TIMEOUT,
        ];
        let only = |on_5xx, on_reset, on_timeout| {
            let policy = AppRetries {
                on_5xx,
                on_reset,
                on_timeout,
                ..policy()
            };
            ends.map(|end| wants(&policy, &end, 1))
        };
        assert_eq!(only(true, false, false), [true, false, false]);
        assert_eq!(only(false, true, false), [false, true, false]);
        assert_eq!(only(false, false, true), [false, false, true]);
        let fine = [
            end(200, Answer::Ok, ResponseFlags::empty()),
            end(404, Answer::Error, ResponseFlags::empty()),
        ];
        assert_eq!(fine.map(|end| wants(&policy(), &end, 1)), [false, false]);
    }

    #[test]
    fn no_more_retries_than_the_policy_says() {
        let tries: Vec<bool> = (1..6)
            .map(|tries| wants(&policy(), &Exchange::TIMEOUT, tries))
            .collect();
        assert_eq!(tries, [true, true, true, false, false]);
    }
}
