//! Tests that callers in two namespaces reach the same service under their own DestinationRules.

use shakedown::Scenario;

/// Half of `stock` is slow and fails. The shoppers' rule ejects the failing half, and the clerks' rule allows hardly
/// any concurrent requests. The rule of a third namespace applies to neither.
const SCENARIO: &str = "\
scenario: two-namespaces
story: Two callers in two namespaces meet the same service under other rules.
duration: 60s
topology:
  services:
    stock:
      namespace: store
      versions: {v1: 2}
      workers: 64
      endpoints: {GET /: [work: 20ms]}
load:
  shoppers: {to: stock GET /, rate: 100/s, arrivals: poisson, timeout: 2s, namespace: web}
  clerks: {to: stock GET /, rate: 100/s, arrivals: poisson, timeout: 2s, namespace: bank}
chaos:
  - {name: sick, at: 20s, do: fail, target: stock/v1/0, rate: 100%, with: 500}
mesh:
  - apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: eject, namespace: web}
    spec:
      host: stock.store.svc.cluster.local
      trafficPolicy:
        outlierDetection: {consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 120s, maxEjectionPercent: 100}
  - apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: bound, namespace: bank}
    spec:
      host: stock.store.svc.cluster.local
      workloadSelector: {matchLabels: {app: clerks}}
      trafficPolicy:
        connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}
  - apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: nobody, namespace: elsewhere}
    spec:
      host: stock.store.svc.cluster.local
      exportTo: ['*']
      trafficPolicy:
        connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}
expect:
  - unbounded: success(shoppers before sick) == 100%
  - bounded: success(clerks before sick) < 95%
  - ejects: success(shoppers during 30s..60s) >= 99%
  - suffers: success(clerks during 30s..60s) < 70%
variants:
  everybody:
    story: The same rules where all look for them, exported to one and hidden from the other.
    mesh:
      - {remove: DestinationRule/eject.web}
      - {remove: DestinationRule/bound.bank}
      - apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: eject, namespace: store}
        spec:
          host: stock
          exportTo: [bank]
          trafficPolicy:
            outlierDetection: {consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 120s, maxEjectionPercent: 100}
    breaks: [bounded, ejects, suffers]
  default:
    story: Where rules are for their own namespace unless they say otherwise, that of the service is for its own callers.
    control: {default-destination-rule-export-to: '.'}
    mesh:
      - {remove: DestinationRule/eject.web}
      - {remove: DestinationRule/bound.bank}
      - apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: eject, namespace: store}
        spec:
          host: stock
          trafficPolicy:
            outlierDetection: {consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 120s, maxEjectionPercent: 100}
    breaks: [bounded, ejects]
";

#[test]
fn callers_of_two_namespaces_meet_the_limits_and_ejections_of_their_own() {
    Scenario::yaml(SCENARIO).run().unwrap().assert_pass();
}

#[test]
fn a_rule_exported_to_one_caller_protects_that_alone() {
    let run = Scenario::yaml(SCENARIO).variant("everybody").run().unwrap();
    run.assert_breaks(&["bounded", "ejects", "suffers"]);
}

#[test]
fn without_an_export_rules_are_for_whom_the_mesh_says() {
    let run = Scenario::yaml(SCENARIO).variant("default").run().unwrap();
    run.assert_breaks(&["bounded", "ejects"]);
}

#[test]
fn two_runs_of_callers_apart_are_the_same_run() {
    let run = || Scenario::yaml(SCENARIO).seed(7).run().unwrap();
    assert_eq!(run().document.digest, run().document.digest);
}
