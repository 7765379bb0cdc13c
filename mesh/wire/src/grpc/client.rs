//! A gRPC client channel: one HTTP/2 connection as a tower service.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use h2::Reason;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use shakedown_env::Env;
use tower_service::Service;

use super::H2Options;
use crate::h2::{RESET_STREAM_DURATION, RESET_STREAMS};
use crate::{EnvExecutor, EnvTimer};

/// Opens an HTTP/2 connection without TLS ("prior knowledge"), from the local address `from` if given.
///
/// The connection lives until its last [`Channel`] is dropped, the peer closes it, or a ping is not answered.
///
/// # Errors
/// The connect failed, or took longer than the options allow ([`io::ErrorKind::TimedOut`]).
pub async fn connect_h2(
    env: &Env,
    to: SocketAddr,
    from: Option<IpAddr>,
    options: &H2Options,
) -> io::Result<Channel> {
    let opening = async {
        let stream = env.connect(to, from).await?;
        let mut builder = http2::Builder::new(EnvExecutor::new(env.clone(), "h2-client"));
        builder
            .timer(EnvTimer::new(env.clone()))
            .initial_stream_window_size(options.stream_window)
            .initial_connection_window_size(options.connection_window)
            .reset_stream_duration(RESET_STREAM_DURATION)
            .max_concurrent_reset_streams(RESET_STREAMS)
            .keep_alive_interval(options.keep_alive_interval)
            .keep_alive_timeout(options.keep_alive_timeout)
            .keep_alive_while_idle(true);
        builder.handshake(stream).await.map_err(io::Error::other)
    };
    let (sender, connection) = env
        .timeout(options.connect_timeout, opening)
        .await
        .map_err(|_elapsed| io::ErrorKind::TimedOut)??;
    env.spawn("h2-client", async move {
        // The connection's calls report its error.
        let _ = connection.await;
    });
    let authority = to
        .to_string()
        .parse()
        .expect("a socket address is an authority");
    Ok(Channel { sender, authority })
}

/// An HTTP/2 connection as the tower service that tonic's generated clients call. Clones share it.
#[derive(Clone)]
pub struct Channel {
    sender: SendRequest<CallBody>,
    authority: Authority,
}

impl Channel {
    /// Returns true if the connection has ended. Every call fails then.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Adds the scheme and authority that HTTP/2 requires to a target without them.
    fn absolute(&self, uri: Uri) -> Uri {
        let mut parts = uri.into_parts();
        parts.scheme.get_or_insert(Scheme::HTTP);
        parts
            .authority
            .get_or_insert_with(|| self.authority.clone());
        if parts.path_and_query.is_none() {
            parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        }
        Uri::from_parts(parts).expect("scheme, authority and path make a URI")
    }
}

impl Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<ChannelBody>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ChannelBody>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> Self::Future {
        let uri = std::mem::take(request.uri_mut());
        *request.uri_mut() = self.absolute(uri);
        let tie = Arc::new(Tie::default());
        let request = request.map(|body| CallBody {
            body,
            tie: Arc::clone(&tie),
        });
        let response = self.sender.send_request(request);
        Box::pin(async move {
            Ok(response
                .await?
                .map(|incoming| ChannelBody { incoming, tie }))
        })
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("to", &self.authority)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The link between the two halves of a call: dropping the response ends the request, too. hyper alone would keep the
/// stream open until the request's messages end.
#[derive(Default)]
struct Tie {
    cut: AtomicBool,
    request: AtomicWaker,
}

/// The request of a call.
struct CallBody {
    body: tonic::body::Body,
    tie: Arc<Tie>,
}

impl HttpBody for CallBody {
    type Data = Bytes;
    type Error = tonic::codegen::StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.tie.request.register(cx.waker());
        if self.tie.cut.load(Ordering::Acquire) {
            // hyper resets the stream with this reason.
            return Poll::Ready(Some(Err(h2::Error::from(Reason::CANCEL).into())));
        }
        Pin::new(&mut self.body).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The response of a call. Dropping it ends the call, even if the request has further messages.
pub struct ChannelBody {
    incoming: Incoming,
    tie: Arc<Tie>,
}

impl HttpBody for ChannelBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for ChannelBody {
    fn drop(&mut self) {
        self.tie.cut.store(true, Ordering::Release);
        self.tie.request.wake();
    }
}

impl fmt::Debug for ChannelBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.incoming.fmt(f)
    }
}
