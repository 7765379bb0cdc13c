//! A proxy without a wire: the request line as it is, but for the connections. A try is answered by a function, at once.
//!
//! What a request costs the proxy itself, in time and in allocations, is measured with it; and how a configuration treats a
//! request can be seen without a network.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use shakedown_env::Env;
use shakedown_wire::{Body, Bound, Permit, Pool, SendError};
use shakedown_xds::proto::discovery::DeltaDiscoveryResponse;
use shakedown_xds::table::Table;

use crate::ads::Session;
use crate::connection::Connection;
use crate::handle::handle;
use crate::hash::Ends;
use crate::listener::ActiveListener;
use crate::send::{Carrier, Mark, Sent, ended};
use crate::shared::Shared;
use crate::{Bootstrap, ResourceCache};

/// A proxy that listens nowhere and connects to nobody, and one connection to it.
#[derive(Debug)]
pub struct DryRun {
    shared: Rc<Shared>,
    listener: ActiveListener,
    connection: Connection,
    ends: Ends,
    /// What the conversation with a control plane would keep.
    _session: Option<Session>,
}

impl DryRun {
    /// A proxy with this configuration, as the listener of this name sees it; `None` if there is no such listener.
    pub fn new(env: Env, bootstrap: Bootstrap, table: Table, listener: &str) -> Option<DryRun> {
        let config = table.listeners.get(listener)?.clone();
        let ends = Ends {
            caller: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
            own: config.address,
        };
        let shared = Rc::new(Shared::new(env, bootstrap));
        shared.state.swap(table);
        Some(DryRun {
            shared,
            listener: ActiveListener::new(config.address, &config),
            connection: Connection::default(),
            ends,
            _session: None,
        })
    }

    /// A proxy that its control plane has sent these responses, as the listener of this name sees it; `None` if there is no such
    /// listener.
    pub fn configured(
        env: Env,
        bootstrap: Bootstrap,
        cache: ResourceCache,
        responses: Vec<DeltaDiscoveryResponse>,
        listener: &str,
    ) -> Option<DryRun> {
        let mut session = Session::new(cache);
        for response in responses {
            session.receive(response, &|_| Ok(()));
        }
        session.stop_waiting();
        let table = session.publish()?.table;
        // To a store that is not in memory.
        drop(session.unsaved());
        let dry = DryRun::new(env, bootstrap, table, listener)?;
        Some(DryRun {
            _session: Some(session),
            ..dry
        })
    }

    /// Answers one request. Each try of it that the cluster's limits allow has what `upstream` says to the host's address and
    /// the try's request; limits on connections are not met, since there are none.
    pub async fn answer(
        &self,
        request: Request<Body>,
        upstream: &dyn Fn(SocketAddr, Request<Body>) -> Response<Body>,
    ) -> Response<impl HttpBody<Data = Bytes> + use<>> {
        let carrier = Function(upstream);
        let (shared, listener) = (&self.shared, &self.listener);
        // In its place: awaited as it is, it would be moved there first.
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

/// Answers tries.
struct Function<'a>(&'a dyn Fn(SocketAddr, Request<Body>) -> Response<Body>);

impl Carrier for Function<'_> {
    async fn carry(&self, pool: Pool, request: Request<Body>, mark: Mark<'_>) -> Sent {
        let bound = Bound::Requests;
        let permit: Option<Permit> = match pool.quota().map(|quota| quota.take(bound)) {
            Some(None) => return ended(&SendError::Overflow { bound }),
            Some(permit) => permit,
            None => None,
        };
        mark.set();
        let response = (self.0)(pool.address(), request);
        drop(permit);
        Sent::Response(response)
    }
}
