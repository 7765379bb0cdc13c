//! A test case, one row of a table: a configuration, scripted upstreams, requests, and the real Envoy's expected
//! answers.
//!
//! `wants` anchors a case: it is compared with Envoy's answers, because two proxies with the same wrong configuration
//! would otherwise count as equal.

use shakedown_xds::proto::cluster::Cluster;
use shakedown_xds::proto::endpoint::ClusterLoadAssignment;
use shakedown_xds::proto::manager::HttpConnectionManager;
use shakedown_xds::proto::route::RouteConfiguration;

use crate::client::ClientRequest;
use crate::upstream::{Act, Manner, OK};

/// The port of every service.
pub(crate) const PORT: u16 = 8080;

pub(crate) struct Case {
    /// Unique among all cases.
    pub(crate) name: &'static str,
    pub(crate) config: Config,
    /// The upstreams. If empty, the case has one, `a` of `app`, which answers `ok`.
    pub(crate) hosts: Vec<Host>,
    /// Services without endpoints.
    pub(crate) empty: Vec<&'static str>,
    /// The caller's locality and labels, if its proxy's pod is to be registered.
    pub(crate) caller: Option<(&'static str, &'static [(&'static str, &'static str)])>,
    /// True if requests to unknown hosts are refused.
    pub(crate) registry_only: bool,
    /// The steps, in order.
    pub(crate) steps: Vec<Step>,
    /// Status and flags of Envoy's answers, as `503 UF, 200 -`. Concurrent requests are sorted by text.
    pub(crate) wants: &'static str,
    pub(crate) compare: Compare,
}

/// The source of a configuration.
pub(crate) enum Config {
    /// Istio's YAML, translated by our control plane.
    Mesh(String),
    /// Like `Mesh`, with requests sent to the inbound listener.
    Inbound(String),
    /// Envoy's messages: a minimal configuration, edited.
    Xds(Box<dyn Fn(&mut Xds) + Send + Sync>),
}

/// Envoy's messages of a case. By default one listener routes everything to the cluster `app`, and each service has a
/// cluster with endpoints by EDS.
pub(crate) struct Xds {
    /// The listener's connection manager.
    pub(crate) manager: HttpConnectionManager,
    /// The listener's routes, sent by RDS.
    pub(crate) routes: RouteConfiguration,
    /// Sorted by the services' names.
    pub(crate) clusters: Vec<Cluster>,
    /// In the same order.
    pub(crate) endpoints: Vec<ClusterLoadAssignment>,
}

/// An upstream.
#[derive(Clone)]
pub(crate) struct Host {
    /// Unique in the case.
    pub(crate) name: &'static str,
    /// The service's name, or the cluster's name in Envoy's messages.
    pub(crate) service: &'static str,
    /// The action for each request, in order. The last is repeated.
    pub(crate) acts: Vec<Act>,
    pub(crate) manner: Manner,
    /// The labels that subsets select.
    pub(crate) labels: Vec<(&'static str, &'static str)>,
    /// Region, zone and subzone, separated by slashes.
    pub(crate) locality: &'static str,
    /// The endpoint's priority. Only for Envoy's messages.
    pub(crate) priority: u32,
    /// The endpoint's load-balancing weight; 0 leaves it out. Only for Envoy's messages.
    pub(crate) weight: u32,
    /// False if EDS marks the endpoint unhealthy.
    pub(crate) healthy: bool,
    /// True if the cluster contains the endpoint from the start. Otherwise a change adds it.
    pub(crate) early: bool,
}

/// A step of a case. Each starts after the previous one has finished.
pub(crate) enum Step {
    /// A single request.
    One(ClientRequest),
    /// Concurrent requests.
    All(Vec<ClientRequest>),
    /// A pause in milliseconds.
    Pause(u64),
    /// A new configuration.
    Change(Change),
    /// Concurrent requests, with a new configuration this number of milliseconds after the step's start.
    Amid(Vec<ClientRequest>, u64, Change),
}

/// A new configuration of Envoy's messages: the case's first one, edited further.
pub(crate) struct Change {
    /// The names of the upstreams that the clusters now contain.
    pub(crate) hosts: &'static [&'static str],
    pub(crate) edit: Box<dyn Fn(&mut Xds) + Send + Sync>,
}

/// The comparison of the two proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    All,
    /// All fields except the chosen host of a service, for balancers that choose at random.
    AnyHost,
    /// The distribution of hosts and statuses over this number of repetitions, by a statistical test.
    Shares(u32),
    /// The number of requests per host in each step, which may differ by this amount. For deterministic balancers, so
    /// that only timing causes a difference.
    Counts(u32),
}

/// An upstream of `app` that answers `ok`.
pub(crate) fn host(name: &'static str) -> Host {
    Host {
        name,
        service: "app",
        acts: vec![OK],
        manner: Manner::Http1,
        labels: Vec::new(),
        locality: "",
        priority: 0,
        weight: 0,
        healthy: true,
        early: true,
    }
}

impl Host {
    /// Assigns the upstream to another service.
    pub(crate) fn of(mut self, service: &'static str) -> Host {
        self.service = service;
        self
    }

    /// Sets the script.
    pub(crate) fn does(mut self, acts: &[Act]) -> Host {
        self.acts = acts.to_vec();
        self
    }

    /// Sets the kind of upstream; the default is HTTP/1.1.
    pub(crate) fn is(mut self, manner: Manner) -> Host {
        self.manner = manner;
        self
    }

    /// Adds a label.
    pub(crate) fn label(mut self, name: &'static str, value: &'static str) -> Host {
        self.labels.push((name, value));
        self
    }

    /// Sets the locality.
    pub(crate) fn at(mut self, locality: &'static str) -> Host {
        self.locality = locality;
        self
    }

    /// Sets the priority, for Envoy's messages.
    pub(crate) fn priority(mut self, priority: u32) -> Host {
        self.priority = priority;
        self
    }

    /// Sets the weight, for Envoy's messages.
    pub(crate) fn weight(mut self, weight: u32) -> Host {
        self.weight = weight;
        self
    }

    /// Leaves the upstream out of its cluster until a change adds it.
    pub(crate) fn later(mut self) -> Host {
        self.early = false;
        self
    }

    /// Marks the endpoint unhealthy.
    pub(crate) fn unhealthy(mut self) -> Host {
        self.healthy = false;
        self
    }
}

fn case(name: &'static str, config: Config) -> Case {
    Case {
        name,
        config,
        hosts: Vec::new(),
        empty: Vec::new(),
        caller: None,
        registry_only: false,
        steps: Vec::new(),
        wants: "",
        compare: Compare::All,
    }
}

/// A case configured by Istio's YAML.
pub(crate) fn mesh(name: &'static str) -> Case {
    case(name, Config::Mesh(String::new()))
}

/// A case that tests a pod's inbound listener.
pub(crate) fn inbound(name: &'static str) -> Case {
    case(name, Config::Inbound(String::new()))
}

/// A case configured by Envoy's messages.
pub(crate) fn xds(name: &'static str, edit: impl Fn(&mut Xds) + Send + Sync + 'static) -> Case {
    case(name, Config::Xds(Box::new(edit)))
}

impl Case {
    /// Adds mesh documents.
    pub(crate) fn yaml(mut self, text: &str) -> Case {
        let (Config::Mesh(all) | Config::Inbound(all)) = &mut self.config else {
            panic!("{}: YAML is for the mesh", self.name);
        };
        *all += "---\n";
        *all += text;
        *all += "\n";
        self
    }

    /// Adds a VirtualService for `app` with these HTTP routes, given as a YAML list.
    pub(crate) fn routes(self, http: &str) -> Case {
        let http = http.replace("TO_APP", "route: [{destination: {host: app}}]");
        self.yaml(&format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: app}}\nspec:\n  hosts: [app]\n  http: {http}"
        ))
    }

    /// Adds a DestinationRule for `app` with these fields, given as the inside of a one-line YAML map.
    pub(crate) fn rule(self, fields: &str) -> Case {
        self.yaml(&format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: app}}\nspec: {{host: app, {fields}}}"
        ))
    }

    /// Adds an upstream.
    pub(crate) fn host(mut self, host: Host) -> Case {
        self.hosts.push(host);
        self
    }

    /// Adds the single upstream of `app`, with this script.
    pub(crate) fn app(self, acts: &[Act]) -> Case {
        self.host(host("a").does(acts))
    }

    /// Adds a service without endpoints.
    pub(crate) fn empty(mut self, service: &'static str) -> Case {
        self.empty.push(service);
        self
    }

    /// Registers the proxies' own pods, with this locality (region, zone and subzone) and these labels.
    pub(crate) fn caller(
        mut self,
        locality: &'static str,
        labels: &'static [(&'static str, &'static str)],
    ) -> Case {
        self.caller = Some((locality, labels));
        self
    }

    /// Refuses requests to unknown hosts with 502.
    pub(crate) fn registry_only(mut self) -> Case {
        self.registry_only = true;
        self
    }

    /// Sends a request after the previous step has finished.
    pub(crate) fn send(mut self, request: ClientRequest) -> Case {
        self.steps.push(Step::One(request));
        self
    }

    /// Sends requests concurrently.
    pub(crate) fn together(mut self, all: Vec<ClientRequest>) -> Case {
        self.steps.push(Step::All(all));
        self
    }

    /// Replaces the upstreams of the clusters.
    pub(crate) fn now(self, hosts: &'static [&'static str]) -> Case {
        self.change(hosts, |_| {})
    }

    /// Replaces the configuration of both proxies.
    pub(crate) fn change(
        mut self,
        hosts: &'static [&'static str],
        edit: impl Fn(&mut Xds) + Send + Sync + 'static,
    ) -> Case {
        self.steps.push(Step::Change(change(hosts, edit)));
        self
    }

    /// Sends requests concurrently, and replaces the configuration while they are in progress.
    pub(crate) fn amid(mut self, all: Vec<ClientRequest>, after: u64, change: Change) -> Case {
        self.steps.push(Step::Amid(all, after, change));
        self
    }

    pub(crate) fn pause(mut self, ms: u64) -> Case {
        self.steps.push(Step::Pause(ms));
        self
    }

    pub(crate) fn get(self, path: &str) -> Case {
        self.send(get(path))
    }

    /// Sets the expected answers of Envoy.
    pub(crate) fn wants(mut self, answers: &'static str) -> Case {
        self.wants = answers;
        self
    }

    /// Excludes the chosen host of a service from the comparison.
    pub(crate) fn any_host(mut self) -> Case {
        self.compare = Compare::AnyHost;
        self
    }

    /// Compares only the number of requests per host in each step, which may differ by `most`.
    pub(crate) fn counts_within(mut self, most: u32) -> Case {
        self.compare = Compare::Counts(most);
        self
    }

    /// Compares only the distribution of hosts and statuses.
    pub(crate) fn shares(mut self, repetitions: u32) -> Case {
        self.compare = Compare::Shares(repetitions);
        self
    }
}

/// A new configuration.
pub(crate) fn change(
    hosts: &'static [&'static str],
    edit: impl Fn(&mut Xds) + Send + Sync + 'static,
) -> Change {
    Change {
        hosts,
        edit: Box::new(edit),
    }
}

/// A GET of a path on `app`.
pub(crate) fn get(path: &str) -> ClientRequest {
    request("GET", path)
}

/// A POST of a body to a path on `app`.
pub(crate) fn post(path: &str, body: &str) -> ClientRequest {
    let mut request = request("POST", path);
    request.body = body.into();
    request
}

/// A request to `app`.
pub(crate) fn request(method: &str, path: &str) -> ClientRequest {
    ClientRequest {
        method: method.into(),
        path: path.into(),
        host: Some("app".into()),
        ..ClientRequest::default()
    }
}

/// A request of exactly these bytes.
pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> ClientRequest {
    ClientRequest {
        raw: Some(bytes.into()),
        ..request("GET", "/")
    }
}

/// A gRPC call over HTTP/1.1, which the proxies recognise by its content type.
pub(crate) fn grpc(path: &str) -> ClientRequest {
    request("POST", path).header("content-type", "application/grpc")
}

impl ClientRequest {
    pub(crate) fn header(mut self, name: &str, value: &str) -> ClientRequest {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the method of a request given as bytes, because a response to HEAD has no body.
    pub(crate) fn of_method(mut self, method: &str) -> ClientRequest {
        self.method = method.into();
        self
    }

    /// Sets the authority.
    pub(crate) fn to(mut self, host: &str) -> ClientRequest {
        self.host = Some(host.into());
        self
    }

    /// Uses HTTP/2.
    pub(crate) fn h2(mut self) -> ClientRequest {
        self.http2 = true;
        self
    }

    /// Requests a web socket, sends this text on it, and closes after receiving `wants` bytes. `None` waits for the
    /// peer to close.
    pub(crate) fn websocket(self, says: &'static str, wants: Option<usize>) -> ClientRequest {
        let mut request = self
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13");
        request.talk = Some((says, wants));
        request
    }

    /// Closes the caller's connection after this number of milliseconds.
    pub(crate) fn leaves_after(mut self, ms: u64) -> ClientRequest {
        self.leaves_after = Some(ms);
        self
    }

    /// Sends the request this number of milliseconds after the start of the step.
    pub(crate) fn after(mut self, ms: u64) -> ClientRequest {
        self.after = ms;
        self
    }

    /// Also compares if the proxy closes the connection after the answer.
    pub(crate) fn watch_close(mut self) -> ClientRequest {
        self.watch_close = true;
        self
    }
}
