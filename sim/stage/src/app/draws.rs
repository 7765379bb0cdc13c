//! The random streams of a replica: one for each place of the story that draws, so that an edit shifts no other draw.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use http::HeaderValue;
use shakedown_env::{Env, Rng};
use shakedown_scenarios::story::{Draw, Drawn, Place, Story, Timed};
use shakedown_scenarios::value::Share;

/// Streams by place, made when they are first drawn from.
pub(crate) struct Draws {
    env: Env,
    /// Draws what belongs to a request, whichever replica serves it.
    stage: Env,
    story: Rc<Story>,
    /// The number of earlier starts of the pod: a restarted pod does not repeat the draws of the first.
    life: u32,
    streams: RefCell<BTreeMap<Place, Rng>>,
}

impl Draws {
    /// `stage` is the same for all replicas.
    pub(crate) fn new(env: Env, stage: Env, story: Rc<Story>, life: u32) -> Draws {
        Draws {
            env,
            stage,
            story,
            life,
            streams: RefCell::default(),
        }
    }

    /// A duration. What is always the same draws nothing.
    pub(crate) fn span(&self, draw: &Draw) -> Duration {
        let nanos = draw.from.as_constant();
        let nanos = nanos.unwrap_or_else(|| self.with(draw.place, |rng| draw.from.sample_ns(rng)));
        Duration::from_nanos(nanos)
    }

    /// The time of a step, of an attempt that `call` names. A time that is the request's has a stream of its own for each
    /// call and place: all tries of the call, at whichever replica, draw the same. What has no call is an attempt by itself.
    pub(crate) fn time(&self, timed: &Timed, call: Option<&HeaderValue>) -> Duration {
        let Draw { from, place } = &timed.time;
        let call = call.and_then(|call| call.to_str().ok());
        match (timed.drawn, call) {
            (Drawn::Request, Some(call)) if from.as_constant().is_none() => {
                let path = &self.story.places[place.0 as usize];
                let mut rng = self.stage.rng(&format!("{path}@{call}"));
                Duration::from_nanos(from.sample_ns(&mut rng))
            }
            _ => self.span(&timed.time),
        }
    }

    /// A count. What is always the same draws nothing.
    pub(crate) fn count(&self, draw: &Draw) -> u64 {
        let count = draw.from.as_constant();
        count.unwrap_or_else(|| self.with(draw.place, |rng| draw.from.sample_count(rng)))
    }

    /// Draws true with a probability. Draws nothing if it is certain.
    pub(crate) fn chance(&self, place: Place, share: Share) -> bool {
        match share {
            Share::NONE => false,
            share if share >= Share::ALL => true,
            share => self.with(place, |rng| share.comes_true(rng)),
        }
    }

    fn with<T>(&self, place: Place, draw: impl FnOnce(&mut Rng) -> T) -> T {
        let mut streams = self.streams.borrow_mut();
        let stream = streams.entry(place).or_insert_with(|| {
            let path = &self.story.places[place.0 as usize];
            match self.life {
                0 => self.env.rng(path),
                life => self.env.rng(&format!("{path}@{life}")),
            }
        });
        draw(stream)
    }
}
