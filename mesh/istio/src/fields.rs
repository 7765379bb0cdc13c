//! Fields of Istio and Flagger that are not modelled, each with the effect of skipping it.

use shakedown_yaml::decode::Unsupported;
use shakedown_yaml::{Location, Spanned};

use super::{Canary, Fault, Omission, Resource, VirtualService};
use crate::gateways::{SIDECARS, include_sidecars};

const NO_TLS: &str = "connections between sidecars are neither encrypted nor refused for want of TLS: a mode that does not fit \
                      the server answers 503 in a cluster, and not here";
const NO_RESOURCE_OF_FLAGGER: &str = "what the canary changes there is not changed";
const NOT_IN_ROUTE: &str = "the route that Flagger writes lacks it";

/// Keyed by the serde name of the struct or enum. Fields with an empty text do not affect modelled behaviour.
pub(super) const NOT_MODELLED: Unsupported = &[
    (
        "Canary",
        &[
            ("metricsServer", ""),
            ("autoscalerRef", "nothing is scaled by it"),
            ("ingressRef", NO_RESOURCE_OF_FLAGGER),
            ("routeRef", NO_RESOURCE_OF_FLAGGER),
            ("upstreamRef", NO_RESOURCE_OF_FLAGGER),
            ("revertOnDeletion", ""),
            (
                "suspend",
                "a canary that is suspended is rolled out all the same: the answer is wrong where it says `true`",
            ),
        ],
    ),
    (
        "CanaryService",
        &[
            ("portName", ""),
            ("targetPort", ""),
            ("portDiscovery", "no other port of the pods is served"),
            (
                "appProtocol",
                "the port speaks what the service's topology says",
            ),
            ("gatewayRefs", "no route of the Gateway API is made"),
            (
                "match",
                "the route that Flagger writes has no conditions: requests that would match none, and be answered 404, are sent on",
            ),
            (
                "rewrite",
                "paths and hosts reach the app as they were sent: the answer is wrong where it changes them",
            ),
            ("headers", NOT_IN_ROUTE),
            ("mirror", NOT_IN_ROUTE),
            ("corsPolicy", NOT_IN_ROUTE),
            ("backends", "no backend of AWS App Mesh is made"),
            ("apex", ""),
            ("primary", ""),
            ("canary", ""),
            (
                "delegation",
                "the canary's route has its host itself: the answer is wrong where another VirtualService delegates to it",
            ),
            ("unmanagedMetadata", ""),
        ],
    ),
    (
        "Analysis",
        &[
            (
                "mirror",
                "the new version gets no copies of requests before its first step",
            ),
            (
                "mirrorWeight",
                "the new version gets no copies of requests before its first step",
            ),
            (
                "webhooks",
                "no webhook is called: tests and gates that would hold the rollout or roll it back pass",
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
            ("sessionAffinity", "a user may meet both versions in turn"),
            ("canaryService", "no such service is made"),
        ],
    ),
    (
        "VirtualService",
        &[
            (
                "tls",
                "routes by SNI are not in force: such connections take the default route",
            ),
            (
                "tcp",
                "routes of TCP are not in force: such connections take the default route",
            ),
        ],
    ),
    (
        "HttpRoute",
        &[
            (
                "mirror_percent",
                "Istio's schema knows `mirrorPercentage` alone, and copies all requests without it",
            ),
            (
                "websocketUpgrade",
                "Istio ignores it, too: web sockets pass without it",
            ),
        ],
    ),
    (
        "Delay",
        &[("exponentialDelay", "Istio does not carry it out either")],
    ),
    (
        "Abort",
        &[("http2Error", "Istio does not carry it out either")],
    ),
    (
        "TrafficPolicy",
        &[
            ("tls", NO_TLS),
            ("tunnel", "requests go to their endpoints directly"),
            ("proxyProtocol", "connections begin without its header"),
        ],
    ),
    ("PortPolicy", &[("tls", NO_TLS)]),
    (
        "RetryBudget",
        &[(
            "budgetInterval",
            "Envoy's budget counts requests in flight, over no interval",
        )],
    ),
    (
        "SimpleLb",
        &[(
            "PASSTHROUGH",
            "requests are balanced over the service's endpoints: the answer is wrong where callers pick the address",
        )],
    ),
    (
        "TcpPool",
        &[(
            "tcpKeepalive",
            "sockets have no probes here: a dead peer is found by timeouts alone",
        )],
    ),
    (
        "OutlierDetection",
        &[(
            "consecutiveErrors",
            "Istio dropped it: nothing is ejected by it; write `consecutive5xxErrors` or `consecutiveGatewayErrors`",
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
    let effect = "a retry stays with the endpoints that balancing gives it";
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
            "the mesh has no gateways: the canary is for callers inside, whom it would not be for in a cluster"
        };
        let field = format!("gateways: {}", gateway.value);
        out.push(omission(of, "Canary", &field, &gateway.place, effect));
    }
    let metrics = std::mem::take(&mut of.spec.value.analysis.value.metrics);
    for metric in metrics {
        match &metric.value.custom {
            Some(custom) => {
                let effect = format!(
                    "the canary is judged without the metric `{}`: one that it would roll back may be promoted",
                    metric.value.name
                );
                out.push(omission(of, "Canary", custom.value, &custom.place, &effect));
            }
            None => of.spec.value.analysis.value.metrics.push(metric),
        }
    }
}
