mod refusals;
mod routing;
mod strictness;

use shakedown_yaml::tree::parse;

use super::*;
use crate::registry::{Mesh, Port, Registry, Service};

/// Reads all documents of a text, which must be valid.
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

/// Returns the errors of documents in a mesh of `reviews` (9080) and `ratings` (80 and 90).
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
    validate_documents(&mesh, None).to_string()
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
fn an_unknown_field_is_reported_with_its_document_and_a_suggested_field() {
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
mesh.yaml:9:44: DestinationRule payment: duration `5` has no unit: expected a form like `5s`, `250ms` or `1m30s`
mesh.yaml:10:3: DestinationRule payment: unknown field `subset`: did you mean `subsets`?"
    );
}

#[test]
fn an_unmodelled_field_is_rejected_where_omissions_are_not_allowed() {
    let text = "
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: r}
spec: {hosts: [r], tcp: [{route: []}], http: [{mirror_percent: 5, route: [{destination: {host: r}}]}]}
";
    assert_eq!(
        error(text),
        "\
mesh.yaml:5:20: VirtualService r: `tcp` is not modelled: TCP routes are not applied: connections that match them use the default route
mesh.yaml:5:48: VirtualService r: `mirror_percent` is not modelled: Istio's schema has only `mirrorPercentage`, and all requests are mirrored without it"
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
        "mesh.yaml:1:44: Sidecar x: this kind is not modelled: every caller sees every service, including those that it would hide"
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
        assert_eq!(text.parse::<DocumentKey>().unwrap().to_string(), text);
    }
    for text in ["payment", "/x", "A/", "A/b/c"] {
        assert!(text.parse::<DocumentKey>().is_err(), "{text}");
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
mesh.yaml:13:36: VirtualService r: invalid regular expression `([` (RE2): unclosed character class
mesh.yaml:13:63: VirtualService r: `uri` is not a header: write `uri:` next to `headers`, or `:uri`
mesh.yaml:15:66: VirtualService r: the weights of the destinations sum to 0: expected 1 or more, as in 90 and 10
mesh.yaml:16:54: VirtualService r: invalid weight -1: expected 0 to 4294967295
mesh.yaml:17:39: VirtualService r: unknown condition `conect-failure`: did you mean `connect-failure`?
mesh.yaml:17:39: VirtualService r: invalid status `999` in `retryOn`: expected a registered status, as in `503`
mesh.yaml:18:7: VirtualService r: `route` is empty: expected at least one destination
mesh.yaml:18:16: VirtualService r: `attempts: 0` means no retries: remove `perTryTimeout`, `retryOn` and `retryRemoteLocalities`, or set `attempts` to 1 or more"
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
mesh.yaml:5:51: DestinationRule a: duplicate subset `v1`; the first is at 5:39
mesh.yaml:5:63: DestinationRule a: invalid subset name `a b`: expected at most 63 letters, digits and `-`"
    );
}

#[test]
fn without_a_registry_hosts_are_not_looked_up() {
    let text = routes("    - route: [{destination: {host: anything}}]\n");
    let mesh = Mesh {
        documents: documents(&text),
        ..Default::default()
    };
    assert_eq!(validate_documents(&mesh, None).to_string(), "");
}

#[test]
fn of_two_documents_with_one_key_only_the_later_is_looked_at() {
    let bad = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: 'a..b'}\n";
    let good = bad.replace("'a..b'", "reviews");
    assert_eq!(invalid(&format!("{bad}---\n{good}")), "");
    assert_ne!(invalid(&format!("{good}---\n{bad}")), "");
}

fn canary(spec: &str) -> String {
    format!(
        "apiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {{name: reviews}}\nspec:\n{spec}\n"
    )
}

fn analysed(analysis: &str) -> String {
    canary(&format!(
        "  targetRef: {{apiVersion: apps/v1, kind: Deployment, name: reviews}}\n  \
         service: {{port: 9080}}\n  analysis: {{{analysis}}}"
    ))
}

/// Returns the errors of an analysis, without source locations and names.
fn wrong(analysis: &str) -> Vec<String> {
    let errors = invalid(&analysed(analysis));
    let words = |line: &str| {
        line.split_once("Canary reviews: ")
            .map(|(_, words)| words.to_owned())
    };
    errors.lines().filter_map(words).collect()
}

#[test]
fn a_canary_is_read_with_flaggers_defaults() {
    let text = analysed(
        "stepWeight: 10, maxWeight: 50, metrics: [{name: request-success-rate, thresholdRange: {min: 99.5}}]",
    );
    assert_eq!(invalid(&text), "");
    let Document::Canary(read) = documents(&text).remove(0) else {
        panic!("another kind");
    };
    assert_eq!(read.spec.service_name().value, "reviews");
    let minute = std::time::Duration::from_secs(60);
    let analysis = &read.spec.analysis;
    assert_eq!((analysis.every(), analysis.failures_max()), (minute, 1));
    assert_eq!(analysis.promotion_step(), 100);
    assert_eq!(read.spec.progress_deadline(), minute * 10);
    let metric = &analysis.metrics[0];
    assert_eq!(metric.window(), minute);
    assert_eq!(metric.threshold_range.min.unwrap().to_string(), "99.5");
}

#[test]
fn the_rest_of_flagger_is_passed_over_and_slips_are_unknown() {
    let text = canary(
        "  targetRef: {kind: Deployment, name: reviews}
  service: {port: 9080, targetPort: 1}
  analysis: {stepWeight: 5, mirror: true, webhooks: [], threshold: 1}",
    );
    let read = Manifest::read(&parse("mesh.yaml", &text).unwrap()[0]).unwrap();
    let passed = read.omissions.iter().map(|omission| {
        let field = omission.field.as_deref().unwrap_or_default();
        (omission.place.to_string(), field, omission.effect.is_some())
    });
    let expected = [
        ("mesh.yaml:6:25", "targetPort", false),
        ("mesh.yaml:7:29", "mirror", true),
    ];
    assert!(passed.eq(expected.map(|(at, field, counts)| (at.to_owned(), field, counts))));
    assert_eq!(
        error(&text.replace("threshold", "treshold")),
        "mesh.yaml:7:57: Canary reviews: unknown field `treshold`: did you mean `threshold`?"
    );
}

#[test]
fn a_canarys_version_is_flaggers() {
    let text = analysed("stepWeight: 5").replace("flagger.app/v1beta1", "flagger.app/v1");
    assert_eq!(
        error(&text),
        "mesh.yaml:1:13: Canary reviews: unknown apiVersion `flagger.app/v1`: expected `flagger.app/v1beta1`"
    );
}

#[test]
fn weights_of_a_canary_are_percents_that_rise() {
    assert_eq!(
        wrong("stepWeight: 0, maxWeight: 101"),
        [
            "`stepWeight` 0: expected 1 to 100 (percent)",
            "`maxWeight` 101: expected 1 to 100 (percent)"
        ]
    );
    assert_eq!(
        wrong("stepWeights: [10, 10, 5]"),
        [
            "`stepWeights` must increase: 10 follows 10",
            "`stepWeights` must increase: 5 follows 10"
        ]
    );
    assert_eq!(
        wrong("stepWeight: 5, stepWeights: [10]"),
        ["expected one of `stepWeight` and `stepWeights`, found both"]
    );
}

#[test]
fn an_analysis_says_its_steps_or_its_test() {
    let says = |analysis: &str, words: &str| {
        let errors = wrong(analysis);
        assert!(errors.len() == 1 && errors[0].contains(words), "{errors:?}");
    };
    says("threshold: 1", "the analysis has no steps");
    says("iterations: 3", "`iterations` without `match`");
    says(
        "match: [{headers: {x-a: {exact: b}}}]",
        "`match` needs `iterations`",
    );
    says(
        "iterations: 3, stepWeight: 5, match: [{headers: {x-a: {exact: b}}}]",
        "weight steps together with `match`",
    );
    says(
        "interval: 15m, stepWeight: 5",
        "no check would finish in time",
    );
    assert!(wrong("iterations: 3, match: [{headers: {x-a: {exact: b}}}]").is_empty());
}

#[test]
fn a_canarys_metrics_are_known_and_have_bounds() {
    assert_eq!(
        wrong(
            "stepWeight: 5, metrics: [{name: request-sucess-rate, thresholdRange: {min: 9}}, \
             {name: request-success-rate, thresholdRange: {min: 101}}, \
             {name: request-duration, thresholdRange: {}}, \
             {name: request-duration, thresholdRange: {min: 5, max: 1}}]"
        ),
        [
            "unknown metric `request-sucess-rate`: did you mean `request-success-rate`?",
            "invalid success rate 101%: expected 0 to 100",
            "`thresholdRange` is empty: expected `min`, `max` or both",
            "`min` 5 is above `max` 1: no value would pass"
        ]
    );
}

#[test]
fn a_canary_routes_its_service_alone() {
    let both = format!(
        "{}---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: r}}\n\
         spec: {{hosts: [reviews], http: [{{route: [{{destination: {{host: reviews}}}}]}}]}}\n",
        analysed("stepWeight: 5")
    );
    let errors = invalid(&both);
    assert!(
        errors.contains("VirtualService r also routes `reviews.default"),
        "{errors}"
    );
    assert!(
        errors.contains("VirtualService r: not supported yet: Canary reviews also routes"),
        "{errors}"
    );
    let twice = format!(
        "{0}---\n{1}",
        analysed("stepWeight: 5"),
        analysed("stepWeight: 5").replace("metadata: {name: reviews}", "metadata: {name: other}")
    );
    assert!(invalid(&twice).contains("also rolled out by Canary other"));
}

proptest::proptest! {
    /// Any text results in documents or errors, but not in a panic.
    #[test]
    fn no_document_makes_the_reader_panic(text in "[\\[\\]{}:,\\- \n a-e1\"]{0,80}|(apiVersion|kind|metadata|spec|name|to|: |\n|\n  |- |[a-z0-9]|\\[|\\]|\\{|\\}|,){0,30}") {
        for node in parse("f", &text).unwrap_or_default() {
            let _ = Document::read(&node);
        }
    }
}
