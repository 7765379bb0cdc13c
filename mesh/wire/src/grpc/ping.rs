//! Keep-alive pings of a server, on Env's clock. hyper's clients have their own pings, on
//! [`EnvTimer`](crate::EnvTimer).

use std::task::{Context, Poll};

use h2::{Ping, PingPong};
use shakedown_env::{Env, Sleep};

use super::H2Options;

/// Pings the peer at an interval, and detects a missing answer.
pub(super) struct KeepAlive<'a> {
    env: &'a Env,
    options: &'a H2Options,
    /// `None` when pings are off.
    pings: Option<(PingPong, Sleep)>,
    awaits_pong: bool,
}

impl<'a> KeepAlive<'a> {
    pub(super) fn new(
        env: &'a Env,
        options: &'a H2Options,
        pings: Option<PingPong>,
    ) -> KeepAlive<'a> {
        let pings = pings
            .zip(options.keep_alive_interval)
            .map(|(pings, interval)| (pings, env.sleep(interval)));
        KeepAlive {
            env,
            options,
            pings,
            awaits_pong: false,
        }
    }

    /// Ready when the peer did not answer in time.
    pub(super) fn poll_dead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some((pings, sleep)), Some(interval)) =
            (&mut self.pings, self.options.keep_alive_interval)
        else {
            return Poll::Pending;
        };
        loop {
            // Checked before the timer, so that an answer that has arrived by the deadline counts.
            if self.awaits_pong
                && let Poll::Ready(pong) = pings.poll_pong(cx)
            {
                if pong.is_err() {
                    // The connection has ended, and reports that itself.
                    self.pings = None;
                    return Poll::Pending;
                }
                self.awaits_pong = false;
                sleep.as_mut().reset(self.env.now() + interval);
            }
            std::task::ready!(sleep.as_mut().poll(cx));
            if self.awaits_pong || pings.send_ping(Ping::opaque()).is_err() {
                return Poll::Ready(());
            }
            self.awaits_pong = true;
            sleep
                .as_mut()
                .reset(self.env.now() + self.options.keep_alive_timeout);
        }
    }
}
