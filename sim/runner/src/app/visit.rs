//! A request at an app, from its arrival to the one `Served` that it records in the Journal.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::HeaderMap;
use http::header::HOST;
use shakedown_env::{Env, Time};
use shakedown_loadgen::{CALL_HEADER, REQUEST_ID_HEADER, decode, parse_call, read_timeout};
use shakedown_results::{Answer, Event, Fate, Outcome, PodId, Root};
use shakedown_types::RequestId;

use crate::journal::Journal;

/// A flag that the caller of a request has disconnected. The connection sets it, the request reads it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gone(Rc<Cell<bool>>);

impl Gone {
    pub(crate) fn set(&self) {
        self.0.set(true);
    }

    pub(crate) fn is(&self) -> bool {
        self.0.get()
    }

    /// Waits until the caller has disconnected. No waker is registered, because [`Gone::set`] is followed by
    /// a spawn of the request's work as a new task, which polls it again.
    pub(crate) async fn wait(&self) {
        poll_fn(|_| {
            if self.is() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// The origin of a request, from its headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestOrigin {
    pub(crate) root: Option<Root>,
    pub(crate) from: Option<PodId>,
    /// The caller's timeout, if its headers have one.
    pub(crate) timeout: Option<Duration>,
    /// True if the request is a mirrored copy of a request to another service.
    pub(crate) copy: bool,
}

/// Suffix of the host of a mirrored request. Source: Envoy, `RouteAction.request_mirror_policies`.
const SHADOW: &[u8] = b"-shadow";

impl RequestOrigin {
    pub(crate) fn from_headers(headers: &HeaderMap, service: &str) -> RequestOrigin {
        let id = headers.get(&REQUEST_ID_HEADER);
        RequestOrigin {
            root: id
                .and_then(|value| RequestId::parse(value.as_bytes()))
                .and_then(decode),
            from: headers.get(&CALL_HEADER).and_then(parse_call),
            timeout: read_timeout(headers),
            copy: is_copy(headers, service),
        }
    }
}

/// Returns true if a proxy mirrored this request. Not detected for services whose own name has the suffix.
fn is_copy(headers: &HeaderMap, service: &str) -> bool {
    let host = headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
    let end = host.iter().position(|byte| *byte == b':');
    let host = &host[..end.unwrap_or(host.len())];
    host.ends_with(SHADOW) && !service.as_bytes().ends_with(SHADOW)
}

/// A request in progress. If it is dropped before its end, it died with its pod.
pub(crate) struct VisitGuard {
    env: Env,
    journal: Arc<Journal>,
    pod: PodId,
    origin: RequestOrigin,
    endpoint: u16,
    arrived: Time,
    waited: Cell<Duration>,
    gone: Gone,
    ended: bool,
}

impl VisitGuard {
    pub(crate) fn arrive(
        env: &Env,
        journal: &Arc<Journal>,
        pod: PodId,
        origin: RequestOrigin,
        endpoint: u16,
        queued: bool,
        gone: Gone,
    ) -> VisitGuard {
        let arrived = env.now();
        let RequestOrigin {
            root, from, copy, ..
        } = origin;
        journal.record(
            arrived,
            Event::Arrived {
                root,
                pod,
                endpoint,
                from,
                queued,
                copy,
            },
        );
        let (env, journal) = (env.clone(), Arc::clone(journal));
        let waited = Cell::new(Duration::ZERO);
        VisitGuard {
            env,
            journal,
            pod,
            origin,
            endpoint,
            arrived,
            waited,
            gone,
            ended: false,
        }
    }

    /// The load's request that this one descends from.
    pub(crate) fn root(&self) -> Option<Root> {
        self.origin.root
    }

    /// Time at which the caller gives up, if its headers have a timeout.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.origin.timeout.map(|timeout| self.arrived + timeout)
    }

    /// Index into the service's endpoints.
    pub(crate) fn endpoint(&self) -> u16 {
        self.endpoint
    }

    pub(crate) fn gone(&self) -> &Gone {
        &self.gone
    }

    /// Marks the request as queued since its arrival, which has recorded that already.
    pub(crate) fn waits_since_it_arrived(&self) -> QueuedGuard<'_> {
        QueuedGuard {
            visit: self,
            since: self.arrived,
        }
    }

    /// Records that the request starts to wait for a core.
    pub(crate) fn waits(&self) -> QueuedGuard<'_> {
        let since = self.env.now();
        let (pod, endpoint) = (self.pod, self.endpoint);
        self.journal.record(since, Event::Queued { pod, endpoint });
        QueuedGuard { visit: self, since }
    }

    /// Records the response, or an abandoned request if its caller has already disconnected.
    pub(crate) fn serve(self, outcome: Outcome) {
        if self.gone.is() {
            self.end(NO_ANSWER, Fate::Abandoned);
        } else {
            self.end(outcome, Fate::Done);
        }
    }

    /// Records that the request was refused with this outcome.
    pub(crate) fn refuse(self, outcome: Outcome) {
        self.end(outcome, Fate::Refused);
    }

    /// Records that the request was dropped from the queue.
    pub(crate) fn shed(self) {
        self.end(NO_ANSWER, Fate::Shed);
    }

    fn end(mut self, outcome: Outcome, fate: Fate) {
        self.ended = true;
        self.record(outcome, fate);
    }

    fn record(&self, outcome: Outcome, fate: Fate) {
        let wait = self.waited.get().as_nanos();
        self.journal.record(
            self.env.now(),
            Event::Served {
                root: self.origin.root,
                pod: self.pod,
                endpoint: self.endpoint,
                from: self.origin.from,
                arrived_ns: self.journal.nanos(self.arrived),
                queue_wait_ns: i64::try_from(wait).unwrap_or(i64::MAX),
                outcome,
                fate,
                copy: self.origin.copy,
            },
        );
    }
}

impl Drop for VisitGuard {
    fn drop(&mut self) {
        if !self.ended {
            self.record(Outcome::none(Answer::Error), Fate::Crashed);
        }
    }
}

/// A request in a queue. Dropping it ends the wait, whether the request is served, shed or dead with its pod.
pub(crate) struct QueuedGuard<'a> {
    visit: &'a VisitGuard,
    since: Time,
}

impl Drop for QueuedGuard<'_> {
    fn drop(&mut self) {
        let visit = self.visit;
        let now = visit.env.now();
        visit.waited.set(visit.waited.get() + now.since(self.since));
        visit.journal.record(
            now,
            Event::Dequeued {
                pod: visit.pod,
                endpoint: visit.endpoint,
            },
        );
    }
}

const NO_ANSWER: Outcome = Outcome::none(Answer::Cancelled);
