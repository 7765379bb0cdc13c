//! Closing of a connection whose peer floods it.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::Connection;
use shakedown_env::{Env, Sleep};
use tokio::io::{AsyncRead, AsyncWrite};

/// The time that a flooding client has for reading the reason of the close. Source: Envoy, `delayed_close_timeout`,
/// default 1 s.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The state of such a close.
#[derive(Default)]
pub(super) struct Expulsion(Option<Sleep>);

impl Expulsion {
    /// Sends ENHANCE_YOUR_CALM to the client, and ends its streams. Ready when the client takes too long to read that.
    pub(super) fn poll<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        env: &Env,
        connection: &mut Connection<T, Bytes>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| {
            connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            cx.waker().wake_by_ref();
            env.sleep(TIMEOUT)
        });
        sleep.as_mut().poll(cx)
    }
}
