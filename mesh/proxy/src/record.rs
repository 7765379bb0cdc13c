//! What is remembered of a request, and told when it is over: events, and metrics per edge.
//!
//! A request is over when the last byte of its response has been handed over, or its caller has gone; whichever way its
//! future or its body is dropped, exactly one [`RequestEvent`] comes of it, and one [`AttemptEvent`] of each try.

mod body;
mod metrics;
mod names;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use shakedown_env::{AttemptEvent, Event, Flags, RequestEvent, RequestId, Side, Time};

pub(crate) use body::RecordedBody;
pub(crate) use metrics::{Edge, Ends, Metrics};
pub(crate) use names::Named;

use crate::proxy::Proxy;
use crate::state::{Busy, Host};

/// One request on its way through one side of the proxy.
#[derive(Debug)]
pub(crate) struct Record {
    proxy: Rc<Proxy>,
    side: Side,
    id: Option<RequestId>,
    started: Time,
    cluster: Arc<str>,
    /// What it counts under: the host reached last, or else the cluster, or else the proxy.
    edge: Rc<Edge>,
    /// 0 until there is an answer.
    status: u16,
    flags: Flags,
    details: Cow<'static, str>,
    attempts: u32,
    attempt: Option<Attempt>,
    /// Whether the caller got all that there was.
    complete: bool,
}

/// The try that is open.
#[derive(Debug)]
struct Attempt {
    busy: Busy,
    started: Time,
    status: u16,
}

impl Record {
    /// Begins with the request's headers.
    pub(crate) fn begin(proxy: &Rc<Proxy>, side: Side, id: Option<RequestId>) -> Record {
        Record {
            proxy: Rc::clone(proxy),
            side,
            id,
            started: proxy.env().now(),
            cluster: proxy.no_cluster(),
            edge: proxy.unrouted(side),
            status: 0,
            flags: Flags::NONE,
            details: Cow::Borrowed("downstream_remote_disconnect"),
            attempts: 0,
            attempt: None,
            complete: false,
        }
    }

    /// The route chose a cluster.
    pub(crate) fn routed(&mut self, cluster: &Arc<str>) {
        self.cluster = Arc::clone(cluster);
    }

    /// The cluster is there.
    pub(crate) fn found(&mut self, edge: &Rc<Edge>) {
        self.edge = Rc::clone(edge);
    }

    /// A try at this host begins.
    pub(crate) fn attempt(&mut self, host: Rc<Host>) {
        self.end_attempt(Flags::NONE);
        self.attempts += 1;
        self.edge = Rc::clone(host.edge());
        let started = self.proxy.env().now();
        self.attempt = Some(Attempt {
            busy: Busy::new(host),
            started,
            status: 0,
        });
    }

    /// The open try has given headers.
    pub(crate) fn attempt_answered(&mut self, status: u16) {
        if let Some(attempt) = &mut self.attempt {
            attempt.status = status;
        }
    }

    /// The open try is over.
    pub(crate) fn end_attempt(&mut self, flags: Flags) {
        let Some(attempt) = self.attempt.take() else {
            return;
        };
        if self.side == Side::Inbound {
            return;
        }
        self.proxy.env().emit(Event::Attempt(AttemptEvent {
            id: self.id,
            cluster: Arc::clone(&self.cluster),
            upstream: attempt.busy.host().address(),
            started: attempt.started,
            number: self.attempts,
            hedge: false,
            status: attempt.status,
            flags,
            plaintext: true,
        }));
    }

    /// The caller is answered with this status; `details` are Envoy's response code details.
    pub(crate) fn answered(&mut self, status: u16, flags: Flags, details: Cow<'static, str>) {
        self.details = details;
        self.status = status;
        self.flags = self.flags.with(flags);
    }

    /// The request is over: with all that there was, or with what went wrong after the headers.
    pub(crate) fn finish(mut self, flags: Flags) {
        self.complete = true;
        self.flags = self.flags.with(flags);
        self.end_attempt(flags);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.complete {
            // Nobody took the rest.
            self.flags = self.flags.with(Flags::DC);
            self.end_attempt(Flags::DC);
        }
        let env = self.proxy.env();
        let took = env.now().since(self.started);
        self.edge
            .observe(self.proxy.metrics(), self.status, self.flags, took);
        env.emit(Event::Request(RequestEvent {
            side: self.side,
            id: self.id,
            cluster: Arc::clone(&self.cluster),
            started: self.started,
            status: self.status,
            flags: self.flags,
            attempts: self.attempts,
            details: std::mem::take(&mut self.details),
        }));
    }
}
