//! Fields of Istio and Flagger that are not modelled, each with the effect of skipping it.

use shakedown_yaml::decode::Unsupported;
use shakedown_yaml::{Location, Spanned};

use super::{Canary, Fault, Omission, Resource, VirtualService};
use crate::gateways::{SIDECARS, include_sidecars};

const NO_TLS: &str = "sidecars connect without TLS: a mode that the server does not accept causes 503 in a cluster, but not here";
const NO_RESOURCE_OF_FLAGGER: &str = "the canary does not change the referenced resource";
const NOT_IN_ROUTE: &str = "the canary's route is created without it";

/// Keyed by the serde name of the struct or enum. Fields with an empty text do not affect modelled behaviour.
pub(super) const NOT_MODELLED: Unsupported = &[
    (
        "Canary",
        &[
            ("metricsServer", ""),
            ("autoscalerRef", "the autoscaler is not used"),
            ("ingressRef", NO_RESOURCE_OF_FLAGGER),
            ("routeRef", NO_RESOURCE_OF_FLAGGER),
            ("upstreamRef", NO_RESOURCE_OF_FLAGGER),
            ("revertOnDeletion", ""),
            (
                "suspend",
                "a suspended canary is rolled out anyway: results are wrong if it is `true`",
            ),
        ],
    ),
    (
        "CanaryService",
        &[
            ("portName", ""),
            ("targetPort", ""),
            (
                "portDiscovery",
                "the other ports of the pods are not served",
            ),
            (
                "appProtocol",
                "the port has the protocol of the service in the topology",
            ),
            ("gatewayRefs", "no Gateway API routes are created"),
            (
                "match",
                "the canary's route is created without conditions: requests that match none of them are forwarded instead of answered with 404",
            ),
            (
                "rewrite",
                "paths and hosts are forwarded unchanged: results are wrong if the rewrite changes them",
            ),
            ("headers", NOT_IN_ROUTE),
            ("mirror", NOT_IN_ROUTE),
            ("corsPolicy", NOT_IN_ROUTE),
            ("backends", "no AWS App Mesh backends are created"),
            ("apex", ""),
            ("primary", ""),
            ("canary", ""),
            (
                "delegation",
                "the canary's VirtualService has its own hosts: results are wrong if another VirtualService delegates to it",
            ),
            ("unmanagedMetadata", ""),
        ],
    ),
    (
        "Analysis",
        &[
            (
                "mirror",
                "no requests are mirrored to the new version before its first step",
            ),
            (
                "mirrorWeight",
                "no requests are mirrored to the new version before its first step",
            ),
            (
                "webhooks",
                "webhooks are not called: tests and gates that would pause the rollout or roll it back are treated as passed",
            ),
            ("alerts", ""),
            (
                "primaryReadyThreshold",
                "all pods of the primary must be ready",
            ),
            (
                "canaryReadyThreshold",
                "all pods of the new version must be ready",
            ),
            (
                "sessionAffinity",
                "requests of one user may reach both versions",
            ),
            ("canaryService", "no such service is created"),
        ],
    ),
    (
        "VirtualService",
        &[
            (
                "tls",
                "TLS routes are not applied: connections that match them use the default route",
            ),
            (
                "tcp",
                "TCP routes are not applied: connections that match them use the default route",
            ),
        ],
    ),
    (
        "HttpRoute",
        &[
            (
                "mirror_percent",
                "Istio's schema has only `mirrorPercentage`, and all requests are mirrored without it",
            ),
            (
                "websocketUpgrade",
                "Istio ignores it, too: WebSocket upgrades are allowed without it",
            ),
        ],
    ),
    (
        "Delay",
        &[("exponentialDelay", "Istio does not implement it either")],
    ),
    (
        "Abort",
        &[("http2Error", "Istio does not implement it either")],
    ),
    (
        "TrafficPolicy",
        &[
            ("tls", NO_TLS),
            ("tunnel", "requests are sent directly to their endpoints"),
            ("proxyProtocol", "connections are opened without its header"),
        ],
    ),
    ("PortPolicy", &[("tls", NO_TLS)]),
    (
        "RetryBudget",
        &[(
            "budgetInterval",
            "Envoy's budget depends on the requests in flight, not on an interval",
        )],
    ),
    (
        "SimpleLb",
        &[(
            "PASSTHROUGH",
            "requests are balanced over the service's endpoints: results are wrong if callers choose the address",
        )],
    ),
    (
        "TcpPool",
        &[(
            "tcpKeepalive",
            "connections have no keepalive probes: a dead peer is detected only by timeouts",
        )],
    ),
    (
        "OutlierDetection",
        &[(
            "consecutiveErrors",
            "Istio removed it, so it ejects no endpoints; write `consecutive5xxErrors` or `consecutiveGatewayErrors`",
        )],
    ),
];

fn omission<T>(
    of: &Resource<T>,
    kind: &str,
    field: &str,
    place: &Location,
    effect: &str,
) -> Omission {
    Omission {
        document: super::DocumentKey {
            kind: kind.into(),
            namespace: of.meta.namespace.clone(),
            name: of.meta.name.clone(),
        },
        field: Some(field.into()),
        place: place.clone(),
        effect: Some(effect.into()),
    }
}

/// Removes the values of a VirtualService that are not modelled, and faults that are empty without skipped fields.
/// Returns false if nothing is left of the document, because it routes only TCP or TLS.
pub(super) fn pass_over_routes(of: &mut Resource<VirtualService>, out: &mut Vec<Omission>) -> bool {
    let passed = |fields: &[&str]| {
        let mut passed = out.iter().filter_map(|omission| omission.field.as_deref());
        passed.any(|field| fields.contains(&field))
    };
    let (no_delay, no_abort) = (passed(&["exponentialDelay"]), passed(&["http2Error"]));
    let is_left = !of.spec.value.http.is_empty() || !passed(&["tcp", "tls"]);
    let mut found: Vec<Location> = Vec::new();
    for route in &mut of.spec.value.http {
        if let Some(fault) = &mut route.value.fault {
            let (delay, abort) = (&mut fault.value.delay, &mut fault.value.abort);
            delay.take_if(|delay| no_delay && delay.fixed_delay.is_none());
            abort.take_if(|abort| {
                no_abort && abort.http_status.is_none() && abort.grpc_status.is_none()
            });
        }
        let is_nothing = |fault: &mut Spanned<Fault>| fault.value == Fault::default();
        if no_delay || no_abort {
            route.value.fault.take_if(is_nothing);
        }
        let retries = route.value.retries.as_mut();
        let remote = retries.map(|retries| &mut retries.value.retry_remote_localities);
        if let Some(remote) = remote
            && let Some(Spanned { value: true, place }) = remote
        {
            found.push(place.clone());
            *remote = None;
        }
    }
    let effect = "retries use the endpoints that the load balancer selects";
    out.extend(
        found
            .iter()
            .map(|place| omission(of, "VirtualService", "retryRemoteLocalities", place, effect)),
    );
    is_left
}

/// Removes the values of a Canary that are not modelled: gateways, and metrics other than the built-in ones.
pub(super) fn pass_over_canary(of: &mut Resource<Canary>, out: &mut Vec<Omission>) {
    let gateways = std::mem::take(&mut of.spec.value.service.gateways);
    let inside = include_sidecars(&gateways);
    for gateway in gateways {
        if gateway.value == SIDECARS {
            of.spec.value.service.gateways.push(gateway);
            continue;
        }
        let effect = if inside {
            "the mesh has no gateways, so no request enters through it"
        } else {
            "the mesh has no gateways: the canary applies to callers inside the mesh, to which it would not apply in a cluster"
        };
        let field = format!("gateways: {}", gateway.value);
        out.push(omission(of, "Canary", &field, &gateway.place, effect));
    }
    let metrics = std::mem::take(&mut of.spec.value.analysis.value.metrics);
    for metric in metrics {
        match &metric.value.custom {
            Some(custom) => {
                let effect = format!(
                    "the metric `{}` is not checked: a version that fails it may be promoted",
                    metric.value.name
                );
                out.push(omission(of, "Canary", custom.value, &custom.place, &effect));
            }
            None => of.spec.value.analysis.value.metrics.push(metric),
        }
    }
}
