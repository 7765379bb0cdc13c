use crate::validate_documents;

use super::*;
use crate::registry::Mesh;

/// Reads all documents of a text like `check` does.
fn read(text: &str) -> Vec<Manifest> {
    let nodes = documents_of("mesh.yaml", text.as_bytes()).unwrap();
    nodes
        .iter()
        .map(|node| Manifest::read(node).unwrap())
        .collect()
}

fn warnings(read: &[Manifest]) -> String {
    let omissions = read.iter().flat_map(|manifest| &manifest.omissions);
    let lines: Vec<String> = omissions
        .map(|omission| omission.warning().to_string())
        .collect();
    lines.join("\n")
}

#[test]
fn a_kind_that_is_not_modelled_is_passed_over_with_its_effect() {
    let found = read(
        "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: deny}, spec: {}}",
    );
    assert_eq!(found[0].content, Content::Nothing);
    assert_eq!(
        warnings(&found),
        "mesh.yaml:1:42: AuthorizationPolicy deny: passed over: this kind is not modelled: access control is not applied: requests that it would deny are allowed"
    );
}

#[test]
fn a_kind_in_an_unknown_api_group_is_skipped_without_a_name() {
    let found = read("{apiVersion: cert-manager.io/v1, kind: Certificate}");
    assert_eq!(
        warnings(&found),
        "mesh.yaml:1:40: Certificate: passed over: this kind is not modelled: `cert-manager.io` is an unknown API group: results do not include the effect of this document"
    );
}

#[test]
fn a_misspelt_kind_of_istio_is_an_error_and_not_passed_over() {
    let text = "{apiVersion: networking.istio.io/v1, kind: VirtualServise, metadata: {name: a}}";
    let nodes = documents_of("mesh.yaml", text.as_bytes()).unwrap();
    assert_eq!(
        Manifest::read(&nodes[0]).unwrap_err().to_string(),
        "mesh.yaml:1:44: unknown kind `VirtualServise`: did you mean `VirtualService`?"
    );
}

#[test]
fn a_kind_without_an_effect_reports_none_except_the_mesh_config_map() {
    let found = read(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: b}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio}, data: {mesh: x}}",
    );
    let omissions: Vec<Omission> = found
        .into_iter()
        .flat_map(|manifest| manifest.omissions)
        .collect();
    assert!(
        omissions[..3]
            .iter()
            .all(|omission| omission.effect.is_none())
    );
    let effect = omissions[3].effect.as_deref();
    assert!(effect.is_some_and(|effect| effect.starts_with("its mesh settings are not applied")));
}

#[test]
fn a_field_that_is_passed_over_does_not_sink_its_document() {
    let found = read(
        "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec:
  host: a
  trafficPolicy:
    tls: {mode: ISTIO_MUTUAL}
    connectionPool: {tcp: {tcpKeepalive: {time: 7200s}, maxConnections: 3}}
    loadBalancer: {simple: PASSTHROUGH}
  subsets: [{name: v1, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a], http: [{retries: {attempts: 1, retryRemoteLocalities: true}, route: [{destination: {host: a, subset: v1}}]}]}
",
    );
    let fields = found.iter().flat_map(|manifest| &manifest.omissions);
    let fields: Vec<String> = fields
        .map(|omission| {
            format!(
                "{} {}",
                omission.place,
                omission.field.as_deref().unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(
        fields,
        [
            "mesh.yaml:7:5 tls",
            "mesh.yaml:8:28 tcpKeepalive",
            "mesh.yaml:9:28 PASSTHROUGH",
            "mesh.yaml:15:74 retryRemoteLocalities"
        ]
    );
    let documents = found.into_iter().map(|manifest| match manifest.content {
        Content::Document(document) => document,
        other => panic!("{other:?}"),
    });
    let mesh = Mesh {
        documents: documents.collect(),
        ..Mesh::default()
    };
    assert_eq!(validate_documents(&mesh, None).to_string(), "");
}

#[test]
fn what_is_nothing_without_its_fields_is_passed_over_with_them() {
    let text = |spec: &str| {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: a}}, spec: {{hosts: [a], {spec}}}}}"
        )
    };
    let found = read(&text("tcp: [{route: [{destination: {host: a}}]}]"));
    assert_eq!(found[0].content, Content::Nothing);
    assert_eq!(found[0].omissions[0].field.as_deref(), Some("tcp"));
    let faults = "http: [{fault: {delay: {exponentialDelay: 1s}, abort: {http2Error: x}}, route: [{destination: {host: a}}]}]";
    let found = read(&text(faults));
    let Content::Document(Document::VirtualService(routes)) = &found[0].content else {
        panic!("{found:?}");
    };
    assert_eq!(routes.spec.http[0].fault, None);
}

#[test]
fn a_canary_of_flaggers_own_examples_is_read() {
    let found = read(
        "apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo, namespace: test}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  progressDeadlineSeconds: 60
  autoscalerRef: {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, name: podinfo}
  service:
    port: 9898
    targetPort: 9898
    gateways: [istio-system/public-gateway, mesh]
    hosts: [app.example.com]
    retries: {attempts: 3, perTryTimeout: 1s, retryOn: \"gateway-error,connect-failure,refused-stream\"}
  canaryAnalysis:
    interval: 30s
    threshold: 10
    maxWeight: 50
    stepWeight: 5
    metrics:
    - {name: request-success-rate, threshold: 99, interval: 1m}
    - {name: not-found, templateRef: {name: not-found}, thresholdRange: {max: 5}, interval: 1m}
    webhooks:
    - {name: load, type: rollout, url: http://loadtester.test/, timeout: 15s}
",
    );
    let Content::Document(Document::Canary(canary)) = &found[0].content else {
        panic!("{found:?}");
    };
    assert_eq!(canary.spec.analysis.metrics.len(), 1);
    let range = &canary.spec.analysis.metrics[0].threshold_range;
    assert_eq!(range.min.unwrap().to_string(), "99");
    let warnings = warnings(&found);
    for text in [
        "autoscalerRef",
        "gateways: istio-system/public-gateway",
        "templateRef",
        "webhooks",
    ] {
        assert!(warnings.contains(text), "{text}: {warnings}");
    }
}

#[test]
fn a_service_gives_its_name_and_the_ports_that_speak_over_tcp() {
    let found = read(
        "apiVersion: v1
kind: Service
metadata: {name: shop, namespace: prod}
spec:
  ports: [{port: 80, name: http}, {port: 81, name: grpc-api}, {port: 53, protocol: UDP}, {port: 90, appProtocol: kubernetes.io/h2c}]
",
    );
    let Content::Services(services) = &found[0].content else {
        panic!("{found:?}");
    };
    assert_eq!(services[0].hostname.as_str(), "shop.prod.svc.cluster.local");
    let ports: Vec<_> = services[0]
        .ports
        .iter()
        .map(|port| (port.number, port.protocol))
        .collect();
    assert_eq!(
        ports,
        [
            (80, PortProtocol::Http),
            (81, PortProtocol::Grpc),
            (90, PortProtocol::Http2)
        ]
    );
    assert_eq!(found[0].omissions, []);
}

#[test]
fn a_service_entry_is_passed_over_and_its_hosts_are_known() {
    let found = read(
        "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: api},
  spec: {hosts: [api.example.com, '*.example.org'], ports: [{number: 443, name: https, protocol: HTTPS}]}}",
    );
    let Content::Services(services) = &found[0].content else {
        panic!("{found:?}");
    };
    let hosts: Vec<_> = services
        .iter()
        .map(|service| service.hostname.as_str())
        .collect();
    assert_eq!(hosts, ["api.example.com", "*.example.org"]);
    assert_eq!(
        (services[0].ports.len(), &*services[0].other_ports),
        (0, &[443][..])
    );
    assert!(warnings(&found).contains("requests to them fail"));
}

#[test]
fn a_list_is_its_items_and_json_is_read_as_yaml_is() {
    let text = r#"{
	"apiVersion": "v1", "kind": "List", "items": [
		{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}},
		{"apiVersion": "networking.istio.io/v1", "kind": "VirtualServiceList", "items": [
			{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"}, "spec": {"hosts": ["a"]}}
]}]}"#;
    let found = read(text);
    assert!(matches!(found[0].content, Content::Services(_)));
    assert!(matches!(
        found[1].content,
        Content::Document(Document::VirtualService(_))
    ));
    assert_eq!(found.len(), 2);
}

#[test]
fn a_port_speaks_what_its_app_protocol_or_its_name_says() {
    // Source: Istio, `ConvertProtocol`.
    for (port, expected) in [
        ("{port: 80}", Ok(PortProtocol::Http)),
        ("{port: 80, name: tcp}", Err("TCP")),
        ("{port: 80, name: http-tcp}", Ok(PortProtocol::Http)),
        ("{port: 80, name: TCP-x}", Err("TCP")),
        ("{port: 80, name: web-http}", Ok(PortProtocol::Http)),
        ("{port: 80, name: https-web}", Err("HTTPS")),
        ("{port: 80, name: grpc-web-x}", Ok(PortProtocol::Grpc)),
        (
            "{port: 80, name: tcp, appProtocol: http2}",
            Ok(PortProtocol::Http2),
        ),
        ("{port: 80, name: http, appProtocol: redis}", Err("Redis")),
        (
            "{port: 80, name: tcp, appProtocol: other.io/x}",
            Ok(PortProtocol::Http),
        ),
        ("{port: 80, appProtocol: kubernetes.io/wss}", Err("HTTPS")),
        (
            "{port: 80, appProtocol: kubernetes.io/ws}",
            Ok(PortProtocol::Http),
        ),
        ("{port: 3306}", Err("TCP")),
        ("{port: 3306, name: http}", Ok(PortProtocol::Http)),
    ] {
        let found = read(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{ports: [{port}]}}\n"
        ));
        let Content::Services(services) = &found[0].content else {
            panic!("{found:?}");
        };
        let service = &services[0];
        match expected {
            Ok(protocol) => {
                assert_eq!(service.ports[0].protocol, protocol, "{port}");
                assert_eq!(
                    (service.other_ports.len(), found[0].omissions.len()),
                    (0, 0)
                );
            }
            Err(protocol) => {
                assert_eq!(
                    (service.ports.len(), service.other_ports.len()),
                    (0, 1),
                    "{port}"
                );
                assert!(warnings(&found).contains(&format!("protocol is {protocol}, not HTTP")));
            }
        }
    }
}
