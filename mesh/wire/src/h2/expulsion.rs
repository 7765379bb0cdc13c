//! The end of a connection whose peer floods it.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::Connection;
use shakedown_env::{Env, Sleep};
use tokio::io::{AsyncRead, AsyncWrite};

/// The time that a client that floods the connection has to read why it ends. Source: Envoy, `delayed_close_timeout`,
/// default 1 s.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The state of such an end.
#[derive(Default)]
pub(crate) struct Expulsion(Option<Sleep>);

impl Expulsion {
    /// Sends the client ENHANCE_YOUR_CALM, and ends its streams; ready when the client takes too long to read that.
    pub(crate) fn poll<T: AsyncRead + AsyncWrite + Unpin>(
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
