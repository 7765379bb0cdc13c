//! The request path without connections: a function answers each attempt at once.
//!
//! Measures the proxy's own cost in time and allocations, and shows how a configuration treats a request without a
//! network.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use shakedown_env::Env;
use shakedown_wire::{Body, Permit, Pool, QuotaBound, ResponseBody, SendError};
use shakedown_xds::proto::discovery::DeltaDiscoveryResponse;
use shakedown_xds::table::Table;

use crate::ads::AdsSession;
use crate::connection::DownstreamConnection;
use crate::handle::handle;
use crate::hash::ConnectionEnds;
use crate::listener::ActiveListener;
use crate::send::{AttemptResult, Carrier, ConnectMark, ended};
use crate::shared::Shared;
use crate::{Bootstrap, ResourceCache, Secrets};

/// A proxy without sockets, and one connection to it.
#[derive(Debug)]
pub struct DryRun {
    shared: Rc<Shared>,
    listener: ActiveListener,
    connection: DownstreamConnection,
    ends: ConnectionEnds,
    /// The session with the control plane, kept because its memory is part of a proxy's.
    _session: Option<AdsSession>,
}

impl DryRun {
    /// A proxy with this configuration. Requests arrive at the listener of this name; `None` if there is none.
    pub fn new(env: Env, bootstrap: Bootstrap, table: Table, listener: &str) -> Option<DryRun> {
        let config = table.listeners.get(listener)?.clone();
        let ends = ConnectionEnds {
            caller: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
            own: config.address,
        };
        let shared = Rc::new(Shared::new(env.clone(), bootstrap, Secrets::new(env)));
        shared.state.swap(table);
        Some(DryRun {
            shared,
            listener: ActiveListener::new(config.address, &config),
            connection: DownstreamConnection::default(),
            ends,
            _session: None,
        })
    }

    /// A proxy that has received these responses from its control plane. Requests arrive at the listener of this name;
    /// `None` if there is none.
    pub fn configured(
        env: Env,
        bootstrap: Bootstrap,
        cache: ResourceCache,
        responses: Vec<DeltaDiscoveryResponse>,
        listener: &str,
    ) -> Option<DryRun> {
        let mut session = AdsSession::new(cache);
        for response in responses {
            session.receive(response, &|_| Ok(()));
        }
        session.stop_waiting();
        let table = session.publish()?.table;
        // The stored copy is dropped, because a real store is not in memory.
        drop(session.unsaved());
        let dry = DryRun::new(env, bootstrap, table, listener)?;
        Some(DryRun {
            _session: Some(session),
            ..dry
        })
    }

    /// Answers one request. `upstream` answers each attempt that the cluster's limits admit, given the host's address
    /// and the attempt's request. Connection limits do not apply, because nothing connects.
    pub async fn answer(
        &self,
        request: Request<Body>,
        upstream: &dyn Fn(SocketAddr, Request<Body>) -> Response<ResponseBody>,
    ) -> Response<impl HttpBody<Data = Bytes> + use<>> {
        let carrier = Function(upstream);
        let (shared, listener) = (&self.shared, &self.listener);
        // Pinned in place, because awaiting the future by value would move it first.
        let handled = pin!(handle(
            shared,
            &carrier,
            listener,
            &self.connection,
            self.ends,
            request
        ));
        handled.await
    }
}

/// Answers attempts by a function.
struct Function<'a>(&'a dyn Fn(SocketAddr, Request<Body>) -> Response<ResponseBody>);

impl Carrier for Function<'_> {
    async fn carry(
        &self,
        pool: Pool,
        request: Request<Body>,
        mark: ConnectMark<'_>,
    ) -> AttemptResult {
        let bound = QuotaBound::Requests;
        let permit: Option<Permit> = match pool.quota().map(|quota| quota.take(bound)) {
            Some(None) => return ended(&SendError::Overflow { bound }),
            Some(permit) => permit,
            None => None,
        };
        mark.set();
        let response = (self.0)(pool.address(), request);
        drop(permit);
        AttemptResult::Response(response)
    }
}
