//! The target of a load, its options, the request to stop it, and the receiver of its records.

use std::cell::Cell;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use shakedown_results::{ParticipantId, PodId, Record};
use shakedown_scenarios::scenario::Success;
use shakedown_wire::TlsClient;

use super::template::RequestTemplate;

/// The target of a load: a server and the requests to it.
#[derive(Clone, Debug)]
pub struct LoadTarget {
    pub address: SocketAddr,
    /// TLS settings; `None` for plaintext.
    pub tls: Option<TlsClient>,
    /// The request template of each entry of the load's mix, in order. Never empty.
    pub aims: Vec<RequestTemplate>,
}

/// Options of a load.
#[derive(Clone, Debug)]
pub struct SendOptions {
    /// The id of the load in its records.
    pub participant: ParticipantId,
    /// The id of the client host in its records.
    pub pod: PodId,
    /// The time from when the dispatcher takes a due request from the schedule until the request is abandoned.
    pub timeout: Duration,
    /// Statuses that count as success: inclusive ranges.
    pub ok: Success,
    /// The maximum number of requests in flight. Further requests are dropped.
    pub in_flight: u64,
    /// True for HTTP/2: with prior knowledge, or by ALPN over TLS. Requests share connections.
    pub http2: bool,
    /// The number of connections, which are opened before the first request and share the load. `None` opens a
    /// connection for each request that finds none free (over HTTP/2: no free stream).
    pub connections: Option<NonZeroU32>,
    /// True if a connection serves more than one request.
    pub reuse: bool,
    /// Only requests that are due from this time on are counted.
    pub warm_up: Duration,
    /// True if gaps are random and must not be rounded.
    pub precise: bool,
}

/// A request to end a load early. Requests that are due after it are not sent, and those in flight are completed.
/// Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Rc<Cell<bool>>);

impl Stop {
    /// Requests the end of the load.
    pub fn ask(&self) {
        self.0.set(true);
    }

    /// Returns true if the end of the load was requested.
    pub fn is_asked(&self) -> bool {
        self.0.get()
    }
}

/// Receives the records of a load, in order of time.
pub type RecordSink = Rc<dyn Fn(&Record)>;
