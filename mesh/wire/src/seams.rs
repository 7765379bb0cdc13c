//! Implementations of hyper's runtime traits, its timer and its executor, on [`Env`].

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Executor, Sleep, Timer};
use shakedown_env::{Env, TaskName, Time};

/// The origin of the `Instant`s given to hyper. hyper represents points in time by `std::time::Instant`, which cannot
/// be created without reading the clock once. Only differences from this anchor are used, so its value influences
/// nothing.
static ANCHOR: LazyLock<Instant> = LazyLock::new(anchor);

#[expect(
    clippy::disallowed_methods,
    reason = "a reference point for durations: its value has no effect"
)]
fn anchor() -> Instant {
    Instant::now()
}

/// hyper's timer, on the environment's clock.
#[derive(Clone, Debug)]
pub struct EnvTimer(Env);

impl EnvTimer {
    /// Creates a timer on the clock of `env`.
    pub fn new(env: Env) -> EnvTimer {
        EnvTimer(env)
    }
}

impl Timer for EnvTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(EnvSleep(self.0.sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(EnvSleep(self.0.sleep_until(time_of(deadline))))
    }

    fn now(&self) -> Instant {
        *ANCHOR + Duration::from_nanos(self.0.now().as_nanos())
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<EnvSleep>() {
            Some(sleep) => sleep.get_mut().0.as_mut().reset(time_of(deadline)),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

/// Converts an `Instant` relative to [`ANCHOR`] to the environment's time.
fn time_of(instant: Instant) -> Time {
    Time::ZERO + instant.saturating_duration_since(*ANCHOR)
}

struct EnvSleep(shakedown_env::Sleep);

impl Future for EnvSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Sleep for EnvSleep {}

/// hyper's executor. Spawns tasks on the environment, all under one name.
#[derive(Clone, Debug)]
pub struct EnvExecutor(Env, TaskName);

impl EnvExecutor {
    /// Creates an executor that spawns on `env`, under `name`.
    pub fn new(env: Env, name: TaskName) -> EnvExecutor {
        EnvExecutor(env, name)
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for EnvExecutor {
    fn execute(&self, task: F) {
        self.0.spawn(self.1, task);
    }
}
