//! Random streams of a replica. Each source location of the scenario that draws has its own, so an edit elsewhere does
//! not shift its values.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use http::HeaderValue;
use shakedown_env::{Env, Rng};
use shakedown_scenarios::scenario::{Draw, DrawId, Drawn, ResolvedScenario, Timed};
use shakedown_scenarios::value::Share;

/// Random streams by source location, created at the first draw.
pub(crate) struct Draws {
    env: Env,
    /// The runner's host, which draws the values that belong to a request, independent of the replica that
    /// serves it.
    runner_env: Env,
    scenario: Rc<ResolvedScenario>,
    /// Number of earlier starts of the pod. A restarted pod must not repeat the draws of its first life.
    life: u32,
    streams: RefCell<BTreeMap<DrawId, Rng>>,
}

impl Draws {
    /// `runner_env` is the runner's host, the same for all replicas.
    pub(crate) fn new(
        env: Env,
        runner_env: Env,
        scenario: Rc<ResolvedScenario>,
        life: u32,
    ) -> Draws {
        Draws {
            env,
            runner_env,
            scenario,
            life,
            streams: RefCell::default(),
        }
    }

    /// Draws a duration. A constant distribution consumes no randomness.
    pub(crate) fn span(&self, draw: &Draw) -> Duration {
        let nanos = draw.from.as_constant();
        let nanos =
            nanos.unwrap_or_else(|| self.with(draw.draw_id, |rng| draw.from.sample_ns(rng)));
        Duration::from_nanos(nanos)
    }

    /// Draws the time of a step, for an attempt of the call identified by `call`. If the scenario says that
    /// the time belongs to the request, the random stream depends on the call and the source location, so all attempts
    /// of a call draw the same value at every replica. Without a call header each attempt draws its own.
    pub(crate) fn time(&self, timed: &Timed, call: Option<&HeaderValue>) -> Duration {
        let Draw { from, draw_id } = &timed.time;
        let call = call.and_then(|call| call.to_str().ok());
        match (timed.drawn, call) {
            (Drawn::Request, Some(call)) if from.as_constant().is_none() => {
                let path = self.scenario.draw_path(*draw_id);
                let mut rng = self.runner_env.rng(&format!("{path}@{call}"));
                Duration::from_nanos(from.sample_ns(&mut rng))
            }
            _ => self.span(&timed.time),
        }
    }

    /// Draws a count. A constant distribution consumes no randomness.
    pub(crate) fn count(&self, draw: &Draw) -> u64 {
        let count = draw.from.as_constant();
        count.unwrap_or_else(|| self.with(draw.draw_id, |rng| draw.from.sample_count(rng)))
    }

    /// Draws true with the given probability. Consumes no randomness if the outcome is certain.
    pub(crate) fn chance(&self, draw_id: DrawId, share: Share) -> bool {
        match share {
            Share::NONE => false,
            share if share >= Share::ALL => true,
            share => self.with(draw_id, |rng| share.comes_true(rng)),
        }
    }

    fn with<T>(&self, draw_id: DrawId, draw: impl FnOnce(&mut Rng) -> T) -> T {
        let mut streams = self.streams.borrow_mut();
        let stream = streams.entry(draw_id).or_insert_with(|| {
            let path = self.scenario.draw_path(draw_id);
            match self.life {
                0 => self.env.rng(path),
                life => self.env.rng(&format!("{path}@{life}")),
            }
        });
        draw(stream)
    }
}
