use super::*;
use crate::registry::{Mesh, Port, Registry, Service};
use crate::tree::parse;

/// Reads all documents of a text; they must be good.
pub(crate) fn documents(text: &str) -> Vec<Document> {
    parse("mesh.yaml", text)
        .unwrap()
        .iter()
        .map(|node| Document::read(node).unwrap())
        .collect()
}

fn error(text: &str) -> String {
    Document::read(&parse("mesh.yaml", text).unwrap()[0])
        .unwrap_err()
        .to_string()
}

/// What is wrong with documents in a mesh of `reviews` (9080) and `ratings` (80 and 90).
fn invalid(text: &str) -> String {
    let mut registry = Registry::new();
    registry.insert(Service::new("reviews", "default", vec![Port::http(9080)]));
    registry.insert(Service::new(
        "ratings",
        "default",
        vec![Port::http(80), Port::http(90)],
    ));
    let mesh = Mesh {
        registry,
        documents: documents(text),
        ..Default::default()
    };
    validate(&mesh).to_string()
}

const SUBSETS: &str = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---";

fn routes(http: &str) -> String {
    let head = "\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: r}\nspec:\n  hosts: [reviews]\n";
    format!("{SUBSETS}{head}  http:\n{http}")
}

#[test]
fn an_unknown_field_is_told_with_its_document_and_the_field_that_was_meant() {
    let text = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: payment}
spec:
  host: payment
  trafficPolicy:
    loadBalancers: {simple: RANDOM}
    connectionPool: {tcp: {connectTimeout: 5}}
  subset: []
";
    assert_eq!(
        error(text),
        "\
mesh.yaml:8:5: DestinationRule payment: unknown field `loadBalancers`: did you mean `loadBalancer`?
mesh.yaml:9:44: DestinationRule payment: `5` has no unit: a duration is written `5s`, `250ms`, `1m30s`
mesh.yaml:10:3: DestinationRule payment: unknown field `subset`: did you mean `subsets`?"
    );
}

#[test]
fn a_field_of_istio_that_comes_later_is_refused_and_not_unknown() {
    let text = "
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: r}
spec: {hosts: [r], tcp: [], http: [{fault: {abort: {}}, route: [{destination: {host: r}}]}]}
";
    assert_eq!(
        error(text),
        "\
mesh.yaml:5:20: VirtualService r: not supported yet: `tcp`
mesh.yaml:5:37: VirtualService r: not supported yet: `fault`"
    );
}

#[test]
fn an_unknown_or_later_kind_or_version_is_told_at_its_place() {
    let text = |version: &str, kind: &str| {
        format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: x}}, spec: {{host: h}}}}")
    };
    let v1 = "networking.istio.io/v1";
    assert_eq!(
        error(&text(v1, "VirtualServices")),
        "mesh.yaml:1:44: unknown kind `VirtualServices`: did you mean `VirtualService`?"
    );
    assert_eq!(
        error(&text(v1, "Sidecar")),
        "mesh.yaml:1:44: not supported yet: kind `Sidecar`"
    );
    assert_eq!(
        error(&text("v1", "DestinationRule")),
        "mesh.yaml:1:14: DestinationRule x: unknown apiVersion `v1`: expected `networking.istio.io/v1`, \
         `networking.istio.io/v1beta1` or `networking.istio.io/v1alpha3`"
    );
}

#[test]
fn a_document_without_a_head_is_told_what_is_missing() {
    assert_eq!(
        error("kin: VirtualService"),
        "mesh.yaml:1:1: `apiVersion` is missing\nmesh.yaml:1:1: unknown field `kin`: did you mean `kind`?\n\
         mesh.yaml:1:1: `metadata` is missing: write `metadata: {name: ...}`"
    );
    assert_eq!(
        error("[a]"),
        "mesh.yaml:1:1: expected a document with `apiVersion` and `kind`, found a list"
    );
}

#[test]
fn what_a_cluster_adds_to_a_document_is_taken() {
    let read = documents("
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: shop, uid: 1-2, generation: 3, creationTimestamp: 2025-01-01T00:00:00Z}
spec: {host: a}
status: {}
");
    assert_eq!(read[0].key().to_string(), "DestinationRule/a.shop");
    assert_eq!(
        read[0].meta().created.as_deref(),
        Some("2025-01-01T00:00:00Z")
    );
}

#[test]
fn a_key_reads_back_as_it_is_written() {
    for text in ["DestinationRule/payment", "VirtualService/a.shop"] {
        assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
    }
    for text in ["payment", "/x", "A/", "A/b/c"] {
        assert!(text.parse::<Key>().is_err(), "{text}");
    }
}

#[test]
fn a_condition_of_several_kinds_is_refused() {
    let text = "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: r}, spec: {hosts: [r], http: [
      {match: [{uri: {exact: /a, prefix: /b}}], route: [{destination: {host: r}}]}]}}";
    assert_eq!(
        error(text),
        "mesh.yaml:2:22: VirtualService r: expected one of `exact`, `prefix` or `regex`, found several"
    );
}

#[test]
fn good_documents_have_nothing_wrong() {
    let text = routes("    - match: [{headers: {end-user: {exact: jason}}, uri: {regex: '/r.*'}}]
      route: [{destination: {host: reviews, subset: v2}}]
      retries: {attempts: 3, retryOn: '5xx,503'}
    - route: [{destination: {host: reviews, subset: v1}, weight: 90}, {destination: {host: ratings, port: {number: 90}}, weight: 10}]
");
    assert_eq!(invalid(&text), "");
}

#[test]
fn all_that_only_the_mesh_can_tell_is_found_by_place() {
    let text = routes("    - match: [{headers: {end-user: {regex: '(['}, Cookie: {}, uri: {exact: x}}}]
      route: [{destination: {host: reviws, subset: v9}}]
    - route: [{destination: {host: reviews, subset: v9}, weight: 0}, {destination: {host: ratings, port: {number: 91}, subset: x}, weight: 0}]
    - route: [{destination: {host: reviews}, weight: -1}, {destination: {host: reviews}, weight: 9}]
      retries: {attempts: 2, retryOn: 'conect-failure,999'}
    - retries: {attempts: 0, perTryTimeout: 1s}
");
    assert_eq!(
        invalid(&text),
        "\
mesh.yaml:13:36: VirtualService r: `([` is no regular expression (RE2): unclosed character class
mesh.yaml:13:51: VirtualService r: names of headers are in lower case: write `cookie`
mesh.yaml:13:63: VirtualService r: `uri` is no header: write `uri:` beside `headers`, or `:uri`
mesh.yaml:14:36: VirtualService r: no service `reviws`: did you mean `reviews`?
mesh.yaml:15:53: VirtualService r: no subset `v9` of `reviews`: expected `v1` or `v2`
mesh.yaml:15:66: VirtualService r: the weights of the destinations sum to 0: expected 1 or more, as in 90 and 10
mesh.yaml:15:115: VirtualService r: service `ratings` has no port 91: expected `80` or `90`
mesh.yaml:15:128: VirtualService r: no subset `x` of `ratings`: no DestinationRule of that host defines one
mesh.yaml:16:54: VirtualService r: weight -1: expected 0 to 4294967295
mesh.yaml:17:39: VirtualService r: unknown condition `conect-failure`: did you mean `connect-failure`?
mesh.yaml:17:39: VirtualService r: `999` is no status: expected 100 to 599
mesh.yaml:18:7: VirtualService r: `route` is empty: expected at least one destination
mesh.yaml:18:16: VirtualService r: `attempts: 0` means no retries: leave `perTryTimeout` and `retryOn` out, or say how many"
    );
}

#[test]
fn a_destination_rule_must_have_a_host_and_subsets_of_its_own() {
    let text = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec: {host: review, subsets: [{name: v1}, {name: v1}, {name: 'a b'}]}
";
    assert_eq!(
        invalid(text),
        "\
mesh.yaml:5:14: DestinationRule a: no service `review`: did you mean `reviews`?
mesh.yaml:5:51: DestinationRule a: subset `v1` stands here twice; the first is at 5:39
mesh.yaml:5:63: DestinationRule a: `a b` is no name of a subset: expected letters, digits, `-`, `.`, `_`"
    );
}

#[test]
fn without_a_registry_hosts_are_not_looked_up() {
    let text = routes("    - route: [{destination: {host: anything}}]\n");
    let mesh = Mesh {
        documents: documents(&text),
        ..Default::default()
    };
    assert_eq!(validate(&mesh).to_string(), "");
}

#[test]
fn of_two_documents_with_one_key_only_the_later_is_looked_at() {
    let bad = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: nobody}\n";
    let good = bad.replace("nobody", "reviews");
    assert_eq!(invalid(&format!("{bad}---\n{good}")), "");
    assert_ne!(invalid(&format!("{good}---\n{bad}")), "");
}
