//! A scenario as it is run: every short form written out, defaults merged, names resolved to indices. What the stage, the
//! load generator, the judge and the reports read. Plain data that cannot be wrong inside.

mod chaos;
mod path;
mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use shakedown_istio::registry::DefaultExport;
use shakedown_istio::{Document, Omission};

use crate::check::Check;
use crate::value::{Distribution, Rate};

pub use chaos::{Action, Chaos, Part, Selector, Target, When};
pub(crate) use path::{find_endpoint, replicas};
pub use steps::{
    Bound, Call, Drawn, Failure, Hedge, OnError, Retries, Seats, Status, Step, Success, Timed,
};

/// A story, in one of its variants.
#[derive(Clone, Debug)]
pub struct Story {
    /// The name, as in a command.
    pub name: String,
    /// The description: the variant's own, if it has one.
    pub story: String,
    /// `base`, or the variant's name.
    pub variant: String,
    /// The seed of a plain run.
    pub seed: u64,
    /// First and last seed of a sweep.
    pub seeds: (u64, u64),
    /// Length of load and chaos, from 0 s.
    pub duration: Duration,
    /// Left out of windows that do not name an earlier time.
    pub warm_up: Duration,
    /// The time that requests in flight have after `duration`.
    pub drain: Duration,
    /// The wall clock at 0 s, ns since 1970.
    pub epoch_unix_ns: u64,
    /// Zones in the file's order; never empty.
    pub zones: Vec<Zone>,
    /// Latency between pods, one way.
    pub latency: LatencyRules,
    /// Services in the file's order.
    pub services: Vec<Service>,
    /// Hosts that loads and calls ask for although no service has them: routes may take their requests.
    pub hosts: Vec<Host>,
    /// Mesh documents after all edits, in order.
    pub mesh: Vec<Document>,
    /// The control plane.
    pub control: Control,
    /// Loads in the file's order.
    pub loads: Vec<Load>,
    /// Chaos items in the file's order.
    pub chaos: Vec<Chaos>,
    /// Checks in the file's order.
    pub checks: Vec<Check>,
    /// Names of the checks that this variant must turn false; `None` in `base`, and in a variant that must pass.
    pub breaks: Option<Vec<String>>,
    /// Paths of all places that draw at random, by [`Place`].
    pub places: Vec<String>,
    /// The whole, written out in the scenario language, included files in it: what the digest covers and `show` prints.
    pub expanded: String,
    /// Warnings, each a line with its place.
    pub warnings: Vec<String>,
    /// Ignored parts of the mesh's documents that are not modelled, in the order of reading.
    pub omissions: Vec<Omission>,
}

/// Index into [`Story::places`]: each place of the file that draws has its own random stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub u32);

/// A distribution and the place that draws from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// From what.
    pub from: Distribution,
    /// The place.
    pub place: Place,
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The name.
    pub name: String,
    /// The region.
    pub region: String,
    /// The subzone, empty where none is named.
    pub subzone: String,
}

/// Latencies in one direction, the most specific first.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyRules {
    /// Between two zones, by index, in one direction; a later rule for the same pair has already replaced the earlier.
    pub zones: BTreeMap<(u16, u16), Distribution>,
    /// Between two parties (services or loads) by name, in one direction.
    pub parties: BTreeMap<(String, String), Distribution>,
    /// Within a zone.
    pub same_zone: Distribution,
    /// Between zones of a region.
    pub cross_zone: Distribution,
    /// Between regions.
    pub cross_region: Distribution,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// The name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// The account that gives its identity.
    pub account: String,
    /// The port.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// All endpoints that any of its versions declares, in the file's order.
    pub endpoints: Vec<Path>,
    /// The versions, the stable one first.
    pub versions: Vec<Version>,
}

/// A host that no service has. Requests to it speak HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name.
    pub name: String,
    /// The port that is asked for.
    pub port: u16,
}

impl Story {
    /// The protocol of a callee ([`Entry::service`], [`Call::service`]).
    pub fn protocol(&self, callee: usize) -> Protocol {
        let service = self.services.get(callee);
        service.map_or(Protocol::Http, |service| service.protocol)
    }

    /// The index of a callee ([`Entry::service`], [`Call::service`]) among the parties of the cast.
    pub fn party(&self, callee: usize) -> usize {
        match callee.checked_sub(self.services.len()) {
            None => callee,
            // Behind services, loads and the control plane.
            Some(host) => self.services.len() + self.loads.len() + 1 + host,
        }
    }
}

/// The protocol of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2, without TLS, by prior knowledge.
    Http2,
    /// gRPC, over HTTP/2: paths are `/pkg.Service/Method`, failures are statuses of gRPC.
    Grpc,
}

impl Protocol {
    /// Returns true if connections are HTTP/2's.
    pub const fn is_http2(self) -> bool {
        matches!(self, Protocol::Http2 | Protocol::Grpc)
    }
}

/// A declared endpoint: a method and a path whose `:name` segments stand for one segment each and whose last `*` stands for
/// the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The method.
    pub method: Method,
    /// The path as declared.
    pub path: String,
}

/// A version of a service.
#[derive(Clone, Debug)]
pub struct Version {
    /// The name.
    pub name: String,
    /// Replicas at 0 s.
    pub replicas: u32,
    /// Replicas go round these zones (indices), never empty.
    pub zones: Vec<u16>,
    /// Pod labels, `app` and `version` among them.
    pub labels: BTreeMap<String, String>,
    /// Requests in hand at once, per replica; `None`: no limit.
    pub workers: Option<u32>,
    /// Work in progress at once, per replica; `None`: no limit.
    pub cores: Option<u32>,
    /// The scheduling of work on the cores.
    pub cpu: Cpu,
    /// The queue for a worker (or a core).
    pub queue: Queue,
    /// The treatment of a request whose caller has gone.
    pub abandoned: Abandoned,
    /// The time after which the app closes an idle connection.
    pub keep_alive_idle: Duration,
    /// After how many requests the app closes a connection; `None`: never.
    pub keep_alive_requests: Option<u32>,
    /// Time to ready after a start during the run.
    pub boot: Duration,
    /// Has a sidecar.
    pub sidecar: bool,
    /// Request headers copied to calls.
    pub forward: Vec<HeaderName>,
    /// Steps of each endpoint of the service (same index as [`Service::endpoints`]); `None` answers 404.
    pub endpoints: Vec<Option<Vec<Step>>>,
}

/// The scheduling of work on the cores of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// Processor sharing: evenly.
    Ps,
    /// In order.
    Fifo,
}

/// A bounded queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The maximum length; `None`: no limit.
    pub limit: Option<u32>,
    /// The order.
    pub order: Order,
    /// The answer to a request that finds it full.
    pub full: Failure,
}

/// The order of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The first that came.
    Fifo,
    /// The last that came.
    Lifo,
}

/// The treatment of a queued request whose caller has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// Served.
    Finish,
    /// Dropped when a worker takes it.
    Drop,
}

/// The control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The zone.
    pub zone: u16,
    /// True if proxies pass on calls to hosts that the mesh does not know.
    pub outbound_allow_any: bool,
    /// Quiet time before a push; at most 100 times as long.
    pub debounce: Duration,
    /// Until a proxy's workers see an ejection.
    pub ejection_delay: Duration,
    /// True if the canary controller runs.
    pub canaries: bool,
    /// The interval at which a canary's metrics are read.
    pub telemetry: Duration,
    /// The trust domain.
    pub trust_domain: String,
    /// The namespace of mesh-wide documents.
    pub root_namespace: String,
    /// The default `exportTo` of DestinationRules.
    pub destination_rules_for: DefaultExport,
    /// The default `exportTo` of VirtualServices.
    pub virtual_services_for: DefaultExport,
}

/// A stream of requests.
#[derive(Clone, Debug)]
pub struct Load {
    /// The name.
    pub name: String,
    /// The requests; one unnamed entry if there is no mix.
    pub entries: Vec<Entry>,
    /// The spacing of arrivals.
    pub arrivals: Arrivals,
    /// The rate over time, never empty; after the last, that level holds.
    pub stages: Vec<Stage>,
    /// Bound of a try.
    pub timeout: Duration,
    /// The client's own tries after the first, all inside one request of the statistics.
    pub retries: Option<Retries>,
    /// Statuses that count as success.
    pub ok: Success,
    /// Start.
    pub start: Duration,
    /// Stop.
    pub stop: Duration,
    /// Client hosts go round these zones.
    pub zones: Vec<u16>,
    /// The number of client hosts.
    pub clients: u32,
    /// Clients have a sidecar.
    pub sidecar: bool,
    /// A new connection for each request.
    pub new_connections: bool,
    /// The number of requests in flight beyond which a request is dropped.
    pub in_flight: u64,
    /// The namespace.
    pub namespace: String,
    /// The account that gives its identity.
    pub account: String,
    /// The URL of the real server that `shakedown load` sends it to.
    pub target: Option<String>,
    /// The place of the random streams for arrivals and the choice among entries.
    pub place: Place,
}

/// An entry of a load's mix.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name; empty where there is no mix.
    pub name: String,
    /// The weight.
    pub weight: u64,
    /// Index into [`Story::services`]; past them, into [`Story::hosts`].
    pub service: usize,
    /// Index into that service's endpoints; `None` if only another service has it, to which routes lead.
    pub endpoint: Option<usize>,
    /// The method.
    pub method: Method,
    /// The path asked for.
    pub path: String,
    /// Request headers, the load's own among them, cookies folded in.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Bytes of request body.
    pub size: u64,
}

/// The spacing of arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// As a Poisson process.
    Poisson,
}

/// A stretch of a load's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Length; `None`: to the end.
    pub length: Option<Duration>,
    /// The rate at its start.
    pub from: Rate,
    /// The rate at its end; between them it is linear.
    pub to: Rate,
}
