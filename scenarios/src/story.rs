//! A scenario as it is run: every short form written out, defaults merged, names resolved to indices. What the stage, the
//! load generator, the judge and the reports read. Plain data that cannot be wrong inside.

mod chaos;
mod path;
mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use shakedown_config::api::{Document, Omission};
use shakedown_config::registry::DefaultExport;

use crate::check::Check;
use crate::value::{Distribution, Rate};

pub use chaos::{Action, Chaos, Part, Selector, Target, When};
pub(crate) use path::{find_endpoint, replicas};
pub use steps::{
    Bound, Call, Drawn, Failure, Hedge, OnError, Retries, Seats, Status, Step, Success, Timed,
};

/// One story, in one of its variants.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its name, as in a command.
    pub name: String,
    /// What happens and what must hold (the variant's own words where it has some).
    pub story: String,
    /// `base`, or the variant's name.
    pub variant: String,
    /// The seed of a plain run.
    pub seed: u64,
    /// First and last seed of a sweep.
    pub seeds: (u64, u64),
    /// How long load and chaos last, from 0 s.
    pub duration: Duration,
    /// Left out of windows that do not name an earlier time.
    pub warm_up: Duration,
    /// How long what is in flight may take after `duration`.
    pub drain: Duration,
    /// The wall clock at 0 s, ns since 1970.
    pub epoch_unix_ns: u64,
    /// Zones in the file's order; never empty.
    pub zones: Vec<Zone>,
    /// One-way latency between pods.
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
    /// What deserves a warning, each a line with its place.
    pub warnings: Vec<String>,
    /// What of the mesh's documents is not modelled and was passed over, in the order in which it was met.
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
    /// Where.
    pub place: Place,
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its subzone, empty where none is named.
    pub subzone: String,
}

/// One-way latencies, the most specific first.
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
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The account that gives its identity.
    pub account: String,
    /// Its port.
    pub port: u16,
    /// What it speaks.
    pub protocol: Protocol,
    /// All endpoints that any of its versions declares, in the file's order.
    pub endpoints: Vec<Path>,
    /// Its versions, the stable one first.
    pub versions: Vec<Version>,
}

/// A host that no service has. Requests to it speak HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
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

/// What a service speaks.
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
    /// Whether connections are HTTP/2's.
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
    /// Its name.
    pub name: String,
    /// How many replicas at 0 s.
    pub replicas: u32,
    /// Replicas go round these zones (indices), never empty.
    pub zones: Vec<u16>,
    /// Pod labels, `app` and `version` among them.
    pub labels: BTreeMap<String, String>,
    /// Requests in hand at once, per replica; `None`: no limit.
    pub workers: Option<u32>,
    /// Work in progress at once, per replica; `None`: no limit.
    pub cores: Option<u32>,
    /// How work shares the cores.
    pub cpu: Cpu,
    /// The queue for a worker (or a core).
    pub queue: Queue,
    /// What becomes of a request whose caller has gone.
    pub abandoned: Abandoned,
    /// When the app closes a connection that is idle.
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

/// How work shares the cores of a replica.
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
    /// How many may wait; `None`: no limit.
    pub limit: Option<u32>,
    /// Who is next.
    pub order: Order,
    /// What one that finds it full gets.
    pub full: Failure,
}

/// Who is next in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The first that came.
    Fifo,
    /// The last that came.
    Lifo,
}

/// What becomes of a queued request whose caller has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// It is served all the same.
    Finish,
    /// It is dropped when its turn comes.
    Drop,
}

/// The control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its zone.
    pub zone: u16,
    /// Whether proxies pass on calls to hosts that the mesh does not know.
    pub outbound_allow_any: bool,
    /// Quiet time before a push; at most 100 times as long.
    pub debounce: Duration,
    /// Until a proxy's workers see an ejection.
    pub ejection_delay: Duration,
    /// Whether the canary controller runs.
    pub canaries: bool,
    /// How often a canary's metrics are read.
    pub telemetry: Duration,
    /// The trust domain.
    pub trust_domain: String,
    /// Where mesh-wide documents live.
    pub root_namespace: String,
    /// Whom DestinationRules without `exportTo` are for.
    pub destination_rules_for: DefaultExport,
    /// Whom VirtualServices without `exportTo` are for.
    pub virtual_services_for: DefaultExport,
}

/// One stream of requests.
#[derive(Clone, Debug)]
pub struct Load {
    /// Its name.
    pub name: String,
    /// What it sends; one unnamed entry where there is no mix.
    pub entries: Vec<Entry>,
    /// When it sends.
    pub arrivals: Arrivals,
    /// Its rate over time, never empty; after the last, that level holds.
    pub stages: Vec<Stage>,
    /// Bound of a try.
    pub timeout: Duration,
    /// The client's own tries after the first, all inside one request of the statistics.
    pub retries: Option<Retries>,
    /// Statuses that count as success.
    pub ok: Success,
    /// When it starts.
    pub start: Duration,
    /// When it stops.
    pub stop: Duration,
    /// Client hosts go round these zones.
    pub zones: Vec<u16>,
    /// How many client hosts.
    pub clients: u32,
    /// Clients have a sidecar.
    pub sidecar: bool,
    /// A new connection for each request.
    pub new_connections: bool,
    /// Past so many in flight a request is dropped.
    pub in_flight: u64,
    /// Its namespace.
    pub namespace: String,
    /// The account that gives its identity.
    pub account: String,
    /// The URL of the real server that `shakedown load` sends it to.
    pub target: Option<String>,
    /// Where arrivals and the choice among entries are drawn.
    pub place: Place,
}

/// One entry of a load's mix.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name; empty where there is no mix.
    pub name: String,
    /// Its weight.
    pub weight: u64,
    /// Index into [`Story::services`]; past them, into [`Story::hosts`].
    pub service: usize,
    /// Index into that service's endpoints; `None` where only another service has it, to which routes lead.
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

/// How arrivals are spaced.
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
    /// How long; `None`: to the end.
    pub length: Option<Duration>,
    /// The rate at its start.
    pub from: Rate,
    /// The rate at its end; between them it is linear.
    pub to: Rate,
}
