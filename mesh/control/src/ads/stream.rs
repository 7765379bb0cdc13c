//! Drives the state machine of one proxy's stream. The connection pulls it: when there is room, it reads requests and
//! produces a response in the same poll. There is neither a queue nor a task in between.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use shakedown_env::{Env, Sleep};
use shakedown_wire::Messages;
use tonic::Status;

use super::message::{DeltaResponse, ResponseFrames};
use super::{DeltaRequest, Subscriptions};
use crate::node::ProxyNode;
use crate::push::{Current, Hub, ProxyResources};
use crate::status::ProxyConnection;
use crate::watch::Watcher;

/// The maximum number of requests read before the next response, so that a proxy that floods the stream still receives
/// its responses.
const REQUESTS_PER_TURN: usize = 64;

/// The responses to one proxy, as the body of its stream.
pub(crate) struct DeltaStream {
    env: Env,
    hub: Arc<Hub>,
    requests: Messages<tonic::body::Body>,
    watcher: Watcher<Current>,
    patience: Duration,
    /// The time limit for the proxy's next acknowledgement, or its first request. `None` while nothing is expected.
    deadline: Option<Sleep>,
    /// Set by the first request.
    proxy: Option<StreamProxy>,
    /// The rest of the response that is being sent.
    sending: Option<ResponseFrames>,
    ended: bool,
}

struct StreamProxy {
    node: ProxyNode,
    own: ProxyResources,
    subscriptions: Subscriptions,
    connected: ProxyConnection,
}

/// The result of reading requests.
enum ReadOutcome {
    /// No further request is available yet.
    Waits,
    /// Further requests may be available.
    More,
    /// The proxy has closed its side of the stream.
    Closed,
}

impl DeltaStream {
    /// `patience` is the time within which a proxy must send its first request and answer each response.
    pub(crate) fn new(
        env: Env,
        hub: Arc<Hub>,
        requests: Messages<tonic::body::Body>,
        patience: Duration,
    ) -> DeltaStream {
        let watcher = hub.watcher();
        let deadline = Some(env.sleep(patience));
        DeltaStream {
            env,
            hub,
            requests,
            watcher,
            patience,
            deadline,
            proxy: None,
            sending: None,
            ended: false,
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<ReadOutcome, Status> {
        for _ in 0..REQUESTS_PER_TURN {
            if self
                .proxy
                .as_ref()
                .is_some_and(|proxy| !proxy.subscriptions.has_room())
            {
                return Ok(ReadOutcome::More);
            }
            match self.requests.poll_next(cx)? {
                Poll::Pending => return Ok(ReadOutcome::Waits),
                Poll::Ready(None) => return Ok(ReadOutcome::Closed),
                Poll::Ready(Some(request)) => self.take(DeltaRequest::decode(&request)?)?,
            }
        }
        Ok(ReadOutcome::More)
    }

    fn take(&mut self, request: DeltaRequest) -> Result<(), Status> {
        // Any request shows that the proxy is alive, so its time limit restarts.
        self.deadline = None;
        let proxy = match &mut self.proxy {
            Some(proxy) => proxy,
            None => {
                let id = request.node.as_deref().unwrap_or_default();
                let node =
                    ProxyNode::parse(id).map_err(|e| Status::invalid_argument(e.to_string()))?;
                let connected = self.hub.status().connected(node.clone());
                let (view, own) = self.hub.view(&node, None);
                let subscriptions = Subscriptions::sharing(view, self.hub.held());
                self.proxy.insert(StreamProxy {
                    node,
                    own,
                    subscriptions,
                    connected,
                })
            }
        };
        proxy
            .subscriptions
            .request(request)
            .map_err(|e| Status::resource_exhausted(e.to_string()))
    }

    fn poll_pushes(&mut self, cx: &mut Context<'_>) {
        while self.watcher.poll_changed(cx).is_ready() {
            if let Some(proxy) = &mut self.proxy {
                let (view, own) = self.hub.view(&proxy.node, Some(&proxy.own));
                proxy.own = own;
                proxy.subscriptions.offer(view);
            }
        }
    }

    /// The next part of the response that is being sent, if any.
    fn next_part(&mut self) -> Option<Bytes> {
        self.sending.as_mut()?.next()
    }

    fn next_response(&mut self) -> Option<DeltaResponse> {
        let proxy = self.proxy.as_mut()?;
        let response = proxy.subscriptions.next();
        let subscriptions = &proxy.subscriptions;
        proxy
            .connected
            .report(subscriptions.acknowledged(), subscriptions.rejections());
        response
    }

    /// Returns ready if the proxy has exceeded its time limit.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let owes = self
            .proxy
            .as_ref()
            .is_none_or(|proxy| proxy.subscriptions.waits());
        if !owes {
            self.deadline = None;
            return Poll::Pending;
        }
        let deadline = self
            .deadline
            .get_or_insert_with(|| self.env.sleep(self.patience));
        deadline.as_mut().poll(cx)
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        // The current response is finished before requests are read, because an invalid request ends the stream, which
        // must not happen within a message.
        if let Some(part) = self.next_part() {
            return Poll::Ready(Some(Ok(part)));
        }
        loop {
            let read = match self.read(cx) {
                Ok(ReadOutcome::Closed) => return Poll::Ready(None),
                Ok(read) => read,
                Err(status) => return Poll::Ready(Some(Err(status))),
            };
            self.poll_pushes(cx);
            self.sending = self.next_response().map(DeltaResponse::into_parts);
            if let Some(part) = self.next_part() {
                return Poll::Ready(Some(Ok(part)));
            }
            if let ReadOutcome::Waits = read {
                break;
            }
        }
        self.poll_deadline(cx).map(|()| {
            let late = format!("no response from the proxy within {:?}", self.patience);
            Some(Err(Status::deadline_exceeded(late)))
        })
    }
}

impl Stream for DeltaStream {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let next = this.poll_response(cx);
        this.ended = matches!(next, Poll::Ready(None | Some(Err(_))));
        if this.ended {
            // Removes the proxy from the status now, instead of when the connection drops this stream.
            this.proxy = None;
        }
        next
    }
}
