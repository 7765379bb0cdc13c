use std::collections::BTreeMap;
use std::time::Duration;

use shakedown_istio::Document;
use shakedown_istio::registry::{Endpoint, Locality, Mesh, Port, Registry, Service};
use shakedown_xds::compile::{compile_cluster, compile_listener};
use shakedown_xds::proto::{cluster, listener};
use shakedown_xds::table::{
    AdaptiveConcurrency, AdaptiveThrottle, Cluster, Filter, HedgePolicy, LbPolicy, Listener, Shed,
    UpstreamPolicy,
};
use shakedown_yaml::tree::parse;

use crate::InboundPolicy;
use crate::tests::documents;

const POD: &str = "127.1.0.1";

fn mesh(text: &str) -> Mesh {
    let mut registry = Registry::new();
    let mut leaf = Service::new("leaf", "default", vec![Port::http(9080)]);
    leaf.endpoints.push(Endpoint {
        address: format!("{POD}:9080").parse().unwrap(),
        labels: BTreeMap::from([("app".into(), "leaf".into())]),
        locality: Locality::default(),
        ready: true,
        workload: "leaf-v1".into(),
    });
    registry.insert(leaf);
    registry.insert(Service::new("other", "default", vec![Port::http(80)]));
    Mesh {
        registry,
        documents: documents(text),
        ..Mesh::default()
    }
}

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: shakedown.dev/v1\nkind: ProxyPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"
    )
}

/// The cluster of a host, as its callers compile it.
fn callers(mesh: &Mesh, host: &str) -> Cluster {
    let name = |resource: &&shakedown_xds::proto::Resource| resource.name.contains(host);
    let outbound = crate::outbound(mesh);
    let resource = outbound.clusters.iter().find(name).unwrap();
    compile_cluster(&resource.message::<cluster::Cluster>().unwrap()).unwrap()
}

/// The listener of the leaf's port, as its proxy compiles it.
fn inbound(mesh: &Mesh) -> Listener {
    let address = POD.parse().unwrap();
    let own = crate::own(
        &mesh.registry.pod(address),
        &InboundPolicy::for_pod(mesh, address),
    );
    let named = |resource: &&shakedown_xds::proto::Resource| resource.name.ends_with("_9080");
    let resource = own.listeners.iter().find(named).unwrap();
    compile_listener(&resource.message::<listener::Listener>().unwrap()).unwrap()
}

fn wrong(spec: &str) -> String {
    crate::validate(&mesh(&policy(spec))).to_string()
}

#[test]
fn what_callers_do_reaches_the_cluster_of_the_host_and_no_other() {
    let mesh = mesh(&policy(
        "{host: leaf, balancer: peakEwma, hedge: {after: 10ms, times: 2, budget: 5%}, adaptiveThrottle: {k: 1.5, window: 30s}}",
    ));
    let leaf = callers(&mesh, "leaf");
    let hedge = HedgePolicy {
        on_per_try_timeout: false,
        after: Some(Duration::from_millis(10)),
        times: 2,
        budget_ppm: Some(50_000),
    };
    let throttle = AdaptiveThrottle {
        k_milli: 1500,
        window: Duration::from_secs(30),
    };
    let expected = UpstreamPolicy {
        hedge: Some(hedge),
        throttle: Some(throttle),
    };
    assert_eq!(leaf.policy, expected);
    assert!(matches!(leaf.lb, LbPolicy::PeakEwma(_)));
    let other = callers(&mesh, "other");
    assert_eq!(other.policy, UpstreamPolicy::default());
    assert_eq!(other.lb, LbPolicy::LEAST_REQUEST);
}

#[test]
fn what_is_left_out_has_its_default() {
    let mesh = mesh(&policy(
        "{host: leaf, hedge: {after: 10ms}, adaptiveThrottle: {}}",
    ));
    let policy = callers(&mesh, "leaf").policy;
    let hedge = policy.hedge.unwrap();
    assert_eq!((hedge.times, hedge.budget_ppm), (1, None));
    assert_eq!(policy.throttle, Some(AdaptiveThrottle::default()));
}

#[test]
fn what_a_workload_does_stands_before_its_app_and_nowhere_else() {
    let text = policy(
        "{selector: {matchLabels: {app: leaf}}, rateLimit: {local: {requests: 10, per: 1s, burst: 20}},
          adaptiveConcurrency: {max: 50, min: 2, interval: 200ms, measureEvery: 10s}, shed: {concurrency: 8, queue: 5, target: 3ms, interval: 60ms}}",
    );
    let listener = inbound(&mesh(&text));
    let [
        Filter::RateLimit(Some(limit)),
        Filter::AdaptiveConcurrency(adaptive),
        Filter::Shed(shed),
        ..,
    ] = listener.filters.as_slice()
    else {
        panic!("{:?}", listener.filters);
    };
    assert_eq!(
        limit.bucket.map(|bucket| (bucket.max, bucket.per_fill)),
        Some((20, 10))
    );
    let expected = AdaptiveConcurrency {
        limit_max: 50,
        limit_min: 2,
        update_interval: Duration::from_millis(200),
        min_rtt_interval: Duration::from_secs(10),
        ..AdaptiveConcurrency::default()
    };
    assert_eq!(**adaptive, expected);
    let expected = Shed {
        concurrency: 8,
        queue_max: 5,
        target: Duration::from_millis(3),
        interval: Duration::from_millis(60),
    };
    assert_eq!(**shed, expected);
    let others = policy("{selector: {matchLabels: {app: other}}, shed: {concurrency: 8}}");
    let filters = inbound(&mesh(&others)).filters;
    assert!(
        !filters
            .iter()
            .any(|filter| matches!(filter, Filter::Shed(_)))
    );
}

#[test]
fn of_two_documents_that_say_the_same_the_older_counts() {
    let document = |name: &str, age: &str, ms: u32| {
        format!(
            "apiVersion: shakedown.dev/v1\nkind: ProxyPolicy\nmetadata: {{name: {name}, creationTimestamp: \"{age}\"}}\nspec: {{host: leaf, hedge: {{after: {ms}ms}}}}\n---\n"
        )
    };
    let text =
        document("young", "2025-02-01T00:00:00Z", 1) + &document("old", "2025-01-01T00:00:00Z", 2);
    let hedge = callers(&mesh(&text), "leaf").policy.hedge.unwrap();
    assert_eq!(hedge.after, Some(Duration::from_millis(2)));
}

#[test]
fn each_field_belongs_to_one_side() {
    let both = wrong("{host: leaf, shed: {concurrency: 1}}");
    assert!(
        both.contains("`shed` applies to inbound requests: expected `selector` instead of `host`"),
        "{both}"
    );
    let both = wrong("{selector: {matchLabels: {app: leaf}}, hedge: {after: 1s}}");
    assert!(
        both.contains(
            "`hedge` applies to outbound requests: expected `host` instead of `selector`"
        ),
        "{both}"
    );
    assert!(wrong("{hedge: {after: 1s}}").contains("it applies to no proxy"));
    assert!(wrong("{host: leaf}").contains("it has no settings"));
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for (spec, part) in [
        ("{host: leaf, hedge: {after: 1s, times: 0}}", "`times: 0`"),
        (
            "{host: leaf, adaptiveThrottle: {k: 0.5}}",
            "`k: 0.5`: expected 1 or more",
        ),
        (
            "{selector: {matchLabels: {a: b}}, shed: {concurrency: 0}}",
            "`concurrency: 0`",
        ),
        (
            "{selector: {matchLabels: {}}, shed: {concurrency: 1}}",
            "`matchLabels` is empty",
        ),
        (
            "{selector: {matchLabels: {a: b}}, rateLimit: {local: {requests: 5, per: 1ms}}}",
            "expected 50ms or more",
        ),
        (
            "{selector: {matchLabels: {a: b}}, rateLimit: {local: {requests: 5, per: 1s, burst: 1}}}",
            "is below `requests: 5`",
        ),
        (
            "{selector: {matchLabels: {a: b}}, adaptiveConcurrency: {min: 9, max: 3}}",
            "`min: 9` is above `max: 3`",
        ),
    ] {
        let text = wrong(spec);
        assert!(text.contains(part), "{spec}: {text}");
    }
    let no_time = parse("mesh.yaml", &policy("{host: leaf, hedge: {after: 0s}}")).unwrap();
    let error = Document::read(&no_time[0]).unwrap_err().to_string();
    assert!(error.contains("`0s` is too short"), "{error}");
}
