//! A case: one row of a table. A configuration, upstreams and what they do, requests, and what the real Envoy answers.
//!
//! `wants` anchors a case: it is checked of Envoy's answers, so that two proxies which are both wrongly set up are not
//! taken for equal.

use shakedown_xds::proto::cluster::Cluster;
use shakedown_xds::proto::endpoint::ClusterLoadAssignment;
use shakedown_xds::proto::manager::HttpConnectionManager;
use shakedown_xds::proto::route::RouteConfiguration;

use crate::client::Asked;
use crate::upstream::{Act, Manner, OK};

/// The port of every service.
pub(crate) const PORT: u16 = 8080;

/// One row of a table.
pub(crate) struct Case {
    /// Unique; what it shows.
    pub(crate) name: &'static str,
    /// Where its configuration comes from.
    pub(crate) config: Config,
    /// The upstreams; where none is given there is one, `a` of `app`, that answers `ok`.
    pub(crate) hosts: Vec<Host>,
    /// Services without endpoints.
    pub(crate) empty: Vec<&'static str>,
    /// Where the caller runs, and its labels, if its proxy's pod is to be known.
    pub(crate) caller: Option<(&'static str, &'static [(&'static str, &'static str)])>,
    /// Requests to hosts that no service has are not let out.
    pub(crate) registry_only: bool,
    /// What is sent.
    pub(crate) steps: Vec<Step>,
    /// Status and flags of Envoy's answers: `503 UF, 200 -`; of requests at one time, in order of text.
    pub(crate) wants: &'static str,
    /// What is compared.
    pub(crate) compare: Compare,
}

/// Where a configuration comes from.
pub(crate) enum Config {
    /// Istio's YAML, through our control plane.
    Mesh(String),
    /// The same, and the requests go to the inbound listener.
    Inbound(String),
    /// Envoy's messages: the plainest that work, edited.
    Xds(Box<dyn Fn(&mut Xds) + Send + Sync>),
}

/// Envoy's messages of a case. One listener; route everything to the cluster `app`; a cluster for each service, by EDS.
pub(crate) struct Xds {
    /// What the listener does.
    pub(crate) manager: HttpConnectionManager,
    /// Its routes, by RDS.
    pub(crate) routes: RouteConfiguration,
    /// In order of the services' names.
    pub(crate) clusters: Vec<Cluster>,
    /// Of those clusters.
    pub(crate) endpoints: Vec<ClusterLoadAssignment>,
}

/// An upstream.
#[derive(Clone)]
pub(crate) struct Host {
    /// Its name, unique in the case.
    pub(crate) name: &'static str,
    /// Its service; or its cluster, of Envoy's messages.
    pub(crate) service: &'static str,
    /// Its script.
    pub(crate) acts: Vec<Act>,
    /// What it is.
    pub(crate) manner: Manner,
    /// For subsets.
    pub(crate) labels: Vec<(&'static str, &'static str)>,
    /// Region, zone and subzone, between slashes.
    pub(crate) locality: &'static str,
    /// For Envoy's messages.
    pub(crate) priority: u32,
    /// For Envoy's messages; 0 leaves it out.
    pub(crate) weight: u32,
    /// Whether it is fit to take requests.
    pub(crate) healthy: bool,
    /// Whether its cluster has it from the beginning; else by a change.
    pub(crate) early: bool,
}

/// What is done after what is before it.
pub(crate) enum Step {
    /// One request.
    One(Asked),
    /// Requests at one time.
    All(Vec<Asked>),
    /// Nothing, for so many milliseconds.
    Pause(u64),
    /// Another configuration.
    Change(Change),
    /// Requests at one time, and so many milliseconds after the first of them another configuration.
    Amid(Vec<Asked>, u64, Change),
}

/// Another configuration, of Envoy's messages: the case's first one, edited once more.
pub(crate) struct Change {
    /// The upstreams that there are now.
    pub(crate) hosts: &'static [&'static str],
    /// What else is other.
    pub(crate) edit: Box<dyn Fn(&mut Xds) + Send + Sync>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    /// All.
    All,
    /// All but which host of a service was chosen, where that is a matter of chance.
    AnyHost,
    /// How often each host and status came, in so many repetitions: the same distribution.
    Shares(u32),
    /// How often each host came in each step: by so many requests more or less at most. For balancers that draw nothing, so
    /// that only what the clock does differs.
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
    /// Of another service.
    pub(crate) fn of(mut self, service: &'static str) -> Host {
        self.service = service;
        self
    }

    /// With a script.
    pub(crate) fn does(mut self, acts: &[Act]) -> Host {
        self.acts = acts.to_vec();
        self
    }

    /// Not serving HTTP/1.1.
    pub(crate) fn is(mut self, manner: Manner) -> Host {
        self.manner = manner;
        self
    }

    /// With a label.
    pub(crate) fn label(mut self, name: &'static str, value: &'static str) -> Host {
        self.labels.push((name, value));
        self
    }

    /// Somewhere.
    pub(crate) fn at(mut self, locality: &'static str) -> Host {
        self.locality = locality;
        self
    }

    /// Of a priority, in Envoy's messages.
    pub(crate) fn priority(mut self, priority: u32) -> Host {
        self.priority = priority;
        self
    }

    /// Of a weight, in Envoy's messages.
    pub(crate) fn weight(mut self, weight: u32) -> Host {
        self.weight = weight;
        self
    }

    /// Not there until a change has it.
    pub(crate) fn later(mut self) -> Host {
        self.early = false;
        self
    }

    /// Found to be unhealthy.
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

/// A case of Istio's YAML.
pub(crate) fn mesh(name: &'static str) -> Case {
    case(name, Config::Mesh(String::new()))
}

/// A case of a pod's inbound side.
pub(crate) fn inbound(name: &'static str) -> Case {
    case(name, Config::Inbound(String::new()))
}

/// A case of Envoy's messages.
pub(crate) fn xds(name: &'static str, edit: impl Fn(&mut Xds) + Send + Sync + 'static) -> Case {
    case(name, Config::Xds(Box::new(edit)))
}

impl Case {
    /// Adds documents.
    pub(crate) fn yaml(mut self, text: &str) -> Case {
        let (Config::Mesh(all) | Config::Inbound(all)) = &mut self.config else {
            panic!("{}: YAML is for the mesh", self.name);
        };
        *all += "---\n";
        *all += text;
        *all += "\n";
        self
    }

    /// Adds a VirtualService of `app` with these HTTP routes, as a YAML list in one line or more.
    pub(crate) fn routes(self, http: &str) -> Case {
        let http = http.replace("TO_APP", "route: [{destination: {host: app}}]");
        self.yaml(&format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: app}}\nspec:\n  hosts: [app]\n  http: {http}"
        ))
    }

    /// Adds a DestinationRule of `app` with these fields, as the inside of a YAML map in one line.
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

    /// The one upstream of `app`, with this script.
    pub(crate) fn app(self, acts: &[Act]) -> Case {
        self.host(host("a").does(acts))
    }

    /// A service without endpoints.
    pub(crate) fn empty(mut self, service: &'static str) -> Case {
        self.empty.push(service);
        self
    }

    /// The proxies' own pods, as callers: where they run (region, zone and subzone) and their labels.
    pub(crate) fn caller(
        mut self,
        locality: &'static str,
        labels: &'static [(&'static str, &'static str)],
    ) -> Case {
        self.caller = Some((locality, labels));
        self
    }

    /// Requests to hosts that no service has are answered 502.
    pub(crate) fn registry_only(mut self) -> Case {
        self.registry_only = true;
        self
    }

    /// Sends a request when what is before it is over.
    pub(crate) fn send(mut self, asked: Asked) -> Case {
        self.steps.push(Step::One(asked));
        self
    }

    /// Sends requests at one time.
    pub(crate) fn together(mut self, all: Vec<Asked>) -> Case {
        self.steps.push(Step::All(all));
        self
    }

    /// Has its clusters other upstreams from now on: these.
    pub(crate) fn now(self, hosts: &'static [&'static str]) -> Case {
        self.change(hosts, |_| {})
    }

    /// Has both proxies another configuration from now on.
    pub(crate) fn change(
        mut self,
        hosts: &'static [&'static str],
        edit: impl Fn(&mut Xds) + Send + Sync + 'static,
    ) -> Case {
        self.steps.push(Step::Change(change(hosts, edit)));
        self
    }

    /// Sends requests at one time, with another configuration amid them.
    pub(crate) fn amid(mut self, all: Vec<Asked>, after: u64, change: Change) -> Case {
        self.steps.push(Step::Amid(all, after, change));
        self
    }

    /// Waits.
    pub(crate) fn pause(mut self, ms: u64) -> Case {
        self.steps.push(Step::Pause(ms));
        self
    }

    /// Sends a plain GET.
    pub(crate) fn get(self, path: &str) -> Case {
        self.send(get(path))
    }

    /// What Envoy answers.
    pub(crate) fn wants(mut self, answers: &'static str) -> Case {
        self.wants = answers;
        self
    }

    /// Which host of a service is chosen is not compared.
    pub(crate) fn any_host(mut self) -> Case {
        self.compare = Compare::AnyHost;
        self
    }

    /// Only how often each host came is compared, step by step.
    pub(crate) fn counts_within(mut self, most: u32) -> Case {
        self.compare = Compare::Counts(most);
        self
    }

    /// Only how often what came is compared.
    pub(crate) fn shares(mut self, repetitions: u32) -> Case {
        self.compare = Compare::Shares(repetitions);
        self
    }
}

/// Another configuration.
pub(crate) fn change(
    hosts: &'static [&'static str],
    edit: impl Fn(&mut Xds) + Send + Sync + 'static,
) -> Change {
    Change {
        hosts,
        edit: Box::new(edit),
    }
}

/// A GET of a path, of `app`.
pub(crate) fn get(path: &str) -> Asked {
    asked("GET", path)
}

/// A POST of a path and a body, to `app`.
pub(crate) fn post(path: &str, body: &str) -> Asked {
    let mut asked = asked("POST", path);
    asked.body = body.into();
    asked
}

/// A request of a method and a path, to `app`.
pub(crate) fn asked(method: &str, path: &str) -> Asked {
    Asked {
        method: method.into(),
        path: path.into(),
        host: Some("app".into()),
        ..Asked::default()
    }
}

/// These bytes.
pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Asked {
    Asked {
        raw: Some(bytes.into()),
        ..asked("GET", "/")
    }
}

/// A call of gRPC, by HTTP/1.1: what matters is the content type.
pub(crate) fn grpc(path: &str) -> Asked {
    asked("POST", path).header("content-type", "application/grpc")
}

impl Asked {
    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Asked {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Of a method, where its bytes are given: a response to HEAD has no body.
    pub(crate) fn of_method(mut self, method: &str) -> Asked {
        self.method = method.into();
        self
    }

    /// To another authority.
    pub(crate) fn to(mut self, host: &str) -> Asked {
        self.host = Some(host.into());
        self
    }

    /// By HTTP/2.
    pub(crate) fn h2(mut self) -> Asked {
        self.http2 = true;
        self
    }

    /// A request for a web socket: says this on it, and closes when so many bytes have come back; where that is none, it
    /// waits for the other to close.
    pub(crate) fn websocket(self, says: &'static str, wants: Option<usize>) -> Asked {
        let mut asked = self
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13");
        asked.talk = Some((says, wants));
        asked
    }

    /// The caller goes away after so many milliseconds.
    pub(crate) fn leaves_after(mut self, ms: u64) -> Asked {
        self.leaves_after = Some(ms);
        self
    }

    /// Sent so many milliseconds after the step began.
    pub(crate) fn after(mut self, ms: u64) -> Asked {
        self.after = ms;
        self
    }

    /// Whether the proxy closes the connection afterwards is compared.
    pub(crate) fn watch_close(mut self) -> Asked {
        self.watch_close = true;
        self
    }
}
