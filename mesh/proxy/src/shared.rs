//! State that all requests of a proxy share. Request-path modules take a reference to it; the proxy's lifecycle is above
//! them, in `proxy` and `run`.

use std::rc::Rc;
use std::sync::Arc;

use shakedown_env::{Env, Sleep};
use shakedown_types::Side;

use crate::bootstrap::Bootstrap;
use crate::date::DateHeader;
use crate::header_writer::HeaderWriter;
use crate::limit::limiters::Limiters;
use crate::listener::ActiveListeners;
use crate::object_pool::ObjectPool;
use crate::outgoing::HeaderBuffers;
use crate::overload::Overload;
use crate::random::RandomStreams;
use crate::secrets::Secrets;
use crate::state::ProxyState;
use crate::telemetry::{EdgeLabeler, EdgeSeries, Metrics};

/// The shared state of one proxy. Fields are public to the crate because every one of them guards itself: a shared reference
/// gives no way to replace a part.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) bootstrap: Bootstrap,
    /// The configuration in force, and the clusters in use.
    pub(crate) state: ProxyState,
    pub(crate) listeners: ActiveListeners,
    pub(crate) secrets: Secrets,
    pub(crate) metrics: Metrics,
    pub(crate) random: RandomStreams,
    pub(crate) rate_limits: Limiters,
    pub(crate) overload: Overload,
    /// The cached `date` header.
    pub(crate) dates: DateHeader,
    /// The writer of header values, which reuses its buffers.
    pub(crate) header_writer: HeaderWriter,
    /// Idle timers, for reuse by the next request.
    pub(crate) sleeps: ObjectPool<Sleep>,
    /// Idle header buffers, for reuse by the next request.
    pub(crate) heads: Rc<ObjectPool<HeaderBuffers>>,
    no_cluster: Arc<str>,
    /// Edges of requests for which no cluster was found: outbound, inbound.
    unrouted: [Rc<EdgeSeries>; 2],
}

impl Shared {
    /// The state of a proxy without a configuration.
    pub(crate) fn new(env: Env, bootstrap: Bootstrap, secrets: Secrets) -> Shared {
        let labeler = EdgeLabeler::new(&bootstrap);
        let unrouted = |side| Rc::new(EdgeSeries::new(labeler.unrouted(side)));
        Shared {
            unrouted: [unrouted(Side::Outbound), unrouted(Side::Inbound)],
            state: ProxyState::new(env.clone(), bootstrap.address, labeler, secrets.clone()),
            secrets,
            listeners: ActiveListeners::default(),
            metrics: Metrics::new(),
            random: RandomStreams::new(&env),
            rate_limits: Limiters::default(),
            overload: Overload::new(env.clone()),
            dates: DateHeader::default(),
            header_writer: HeaderWriter::default(),
            sleeps: ObjectPool::default(),
            heads: Rc::default(),
            no_cluster: Arc::from(""),
            bootstrap,
            env,
        }
    }

    /// The empty cluster name, of a request for which no cluster was found.
    pub(crate) fn no_cluster(&self) -> Arc<str> {
        Arc::clone(&self.no_cluster)
    }

    /// The edge of a request for which no cluster has been found yet.
    pub(crate) fn unrouted(&self, side: Side) -> Rc<EdgeSeries> {
        Rc::clone(&self.unrouted[usize::from(side == Side::Inbound)])
    }
}
