//! Property test: after any sequence of pushes, answers, refusals and reconnects the client has the newest snapshot.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::{DeltaRequest, DeltaResponse, Subscriptions};
use super::client::{Client, next_of, wildcard};
use crate::snapshot::tests::resources;
use crate::snapshot::{ConfigSnapshot, ResourceKind, Resources, SnapshotView};

/// A small mesh: clusters with versions, and listeners with a route to one of them.
#[derive(Clone, Debug)]
struct Plan {
    clusters: Vec<(usize, u8, u8)>,
    listeners: Vec<(usize, u8, usize)>,
    routes: Vec<(u8, usize)>,
    own: u8,
    bad: bool,
    /// The version of a cluster without a route to it, and true if it is hidden from the proxy.
    extra: (u8, bool),
}

fn plan() -> impl Strategy<Value = Plan> {
    let clusters = prop::collection::vec((0..5usize, 0..3u8, 0..3u8), 0..5);
    let listeners = prop::collection::vec((0..3usize, 0..3u8, 0..3usize), 0..3);
    let routes = prop::collection::vec((0..3u8, 0..5usize), 3);
    (
        clusters,
        listeners,
        routes,
        0..2u8,
        prop::bool::weighted(0.2),
        (0..2u8, any::<bool>()),
    )
        .prop_map(|(clusters, listeners, routes, own, bad, extra)| Plan {
            clusters,
            listeners,
            routes,
            own,
            bad,
            extra,
        })
}

impl Plan {
    /// The shared and the own resources. References never dangle: routes, and thus listeners, exist only if clusters
    /// do.
    fn resources(&self) -> (Resources, Resources) {
        let mut list: Vec<(ResourceKind, String, String)> = Vec::new();
        for (name, version, endpoints) in &self.clusters {
            list.push((
                ResourceKind::Cluster,
                format!("c{name}"),
                version.to_string(),
            ));
            list.push((
                ResourceKind::Endpoints,
                format!("c{name}"),
                endpoints.to_string(),
            ));
        }
        if !self.clusters.is_empty() {
            for (name, version, route) in &self.listeners {
                let bad = if self.bad { "bad" } else { "" };
                list.push((
                    ResourceKind::Listener,
                    format!("l{name}"),
                    format!("{bad}{version}>r{route}"),
                ));
            }
            for (name, (version, target)) in self.routes.iter().enumerate() {
                let target = self.clusters[target % self.clusters.len()].0;
                list.push((
                    ResourceKind::Routes,
                    format!("r{name}"),
                    format!("{version}>c{target}"),
                ));
            }
        }
        let (version, absent) = self.extra;
        for kind in [ResourceKind::Cluster, ResourceKind::Endpoints] {
            list.push((kind, "extra".into(), version.to_string()));
        }
        let list: Vec<(ResourceKind, &str, &str)> = list
            .iter()
            .map(|(kind, name, version)| (*kind, name.as_str(), version.as_str()))
            .collect();
        let own = self.own.to_string();
        let own = [
            (ResourceKind::Cluster, "inbound", own.as_str()),
            (ResourceKind::Endpoints, "inbound", "1"),
        ];
        let mut own = resources(&own);
        if absent {
            own.hide(ResourceKind::Cluster, "extra".into());
            own.hide(ResourceKind::Endpoints, "extra".into());
        }
        (resources(&list), own)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(Plan),
    /// The server sends one response, if any is due.
    Send,
    /// The client reads one response and answers it.
    Receive,
    /// The server reads one request.
    Answer,
    /// The stream breaks, and the client opens another.
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => plan().prop_map(Step::Push),
        6 => Just(Step::Send),
        6 => Just(Step::Receive),
        6 => Just(Step::Answer),
        1 => Just(Step::Reconnect),
    ]
}

struct World {
    newest: SnapshotView,
    server: Subscriptions,
    client: Client,
    to_client: VecDeque<DeltaResponse>,
    to_server: VecDeque<DeltaRequest>,
}

impl World {
    fn new() -> World {
        let newest = SnapshotView {
            shared: Arc::new(ConfigSnapshot::empty()),
            own: Arc::default(),
        };
        let client = Client::default();
        World {
            server: Subscriptions::new(newest.clone()),
            to_server: client.open().into(),
            to_client: VecDeque::new(),
            newest,
            client,
        }
    }

    fn push(&mut self, plan: &Plan) {
        let (shared, own) = plan.resources();
        self.newest = next_of(&self.newest, shared);
        self.newest.own = Arc::new(own);
        self.server.offer(self.newest.clone());
    }

    /// Returns true if the step had an effect.
    fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::Push(plan) => self.push(plan),
            Step::Send => {
                let Some(response) = self.server.next() else {
                    return false;
                };
                let same = |other: &&DeltaResponse| other.type_url == response.type_url;
                assert_eq!(
                    self.to_client.iter().find(same),
                    None,
                    "two unanswered of one type"
                );
                self.to_client.push_back(response);
            }
            Step::Receive => {
                let Some(response) = self.to_client.pop_front() else {
                    return false;
                };
                self.to_server.extend(self.client.receive(&response));
                self.client.check_routes();
            }
            Step::Answer => {
                let Some(request) = self.to_server.pop_front() else {
                    return false;
                };
                self.server.request(request).unwrap();
            }
            Step::Reconnect => {
                self.server = Subscriptions::new(self.newest.clone());
                self.to_client.clear();
                self.to_server = self.client.open().into();
            }
        }
        true
    }

    fn settle(&mut self) {
        let mut steps = 0;
        while [Step::Answer, Step::Send, Step::Receive]
            .iter()
            .any(|step| self.step(step))
        {
            steps += 1;
            assert!(steps < 1_000, "it never ends");
        }
    }

    fn check_converged(&self) {
        for kind in ResourceKind::ALL {
            let wanted = |name: &str| wildcard(kind) || self.client.wanted(kind).contains(name);
            let there: BTreeSet<(String, String)> = self
                .newest
                .of_kind(kind)
                .filter(|entry| wanted(&entry.name))
                .map(|entry| (entry.name.to_string(), entry.version.to_string()))
                .collect();
            let held: BTreeSet<(String, String)> = self.client.versions(kind).into_iter().collect();
            assert_eq!(held, there, "{kind}");
        }
        assert!(!self.server.waits());
        assert_eq!(self.server.acknowledged(), self.newest.push());
        assert_eq!(self.server.rejections(), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_client_that_applies_the_responses_has_the_snapshot_in_the_end(
        steps in prop::collection::vec(step(), 0..60),
        last in plan(),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.push(&Plan { bad: false, ..last });
        world.settle();
        world.check_converged();
    }
}
