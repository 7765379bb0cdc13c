//! The known kinds of Kubernetes documents, and the treatment of each.

use shakedown_yaml::suggest;

/// The treatment of a kind's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Parsed and applied.
    Modelled,
    /// Skipped. The text states the effect on the result.
    PassedOver(&'static str),
    /// Skipped like [`Treatment::PassedOver`], but planned to be modelled.
    Planned(&'static str),
    /// Skipped without effect, because the kind does not affect requests.
    Harmless,
}

#[derive(Clone, Copy, Debug)]
pub struct DocumentKind {
    /// The API group. Empty for Kubernetes' core.
    pub group: &'static str,
    pub name: &'static str,
    pub treatment: Treatment,
}

use Treatment::{Harmless, Modelled, PassedOver, Planned};

const ISTIO: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
const GATEWAY_API: &str = "gateway.networking.k8s.io";
const FLAGGER: &str = "flagger.app";
/// Shakedown's own group.
const OWN: &str = "shakedown.dev";

const NO_GATEWAY: &str = "the mesh has no gateways, so no request enters through it";
const NO_ROUTE: &str =
    "Gateway API routes are not applied: requests use the service's default route";
const NO_ACCESS: &str = "access control is not applied: requests that it would deny are allowed";

const fn kind(group: &'static str, name: &'static str, treatment: Treatment) -> DocumentKind {
    DocumentKind {
        group,
        name,
        treatment,
    }
}

/// All known kinds of Istio, the Gateway API, Flagger, Kubernetes and Shakedown.
pub const KINDS: &[DocumentKind] = &[
    kind(ISTIO, "VirtualService", Modelled),
    kind(ISTIO, "DestinationRule", Modelled),
    kind(ISTIO, "Gateway", Planned(NO_GATEWAY)),
    kind(
        ISTIO,
        "ServiceEntry",
        Planned("its hosts are read without endpoints or resolution: requests to them fail"),
    ),
    kind(
        ISTIO,
        "Sidecar",
        Planned("every caller sees every service, including those that it would hide"),
    ),
    kind(
        ISTIO,
        "WorkloadEntry",
        PassedOver("it adds no endpoint to any service"),
    ),
    kind(
        ISTIO,
        "WorkloadGroup",
        PassedOver("it adds no endpoint to any service"),
    ),
    kind(
        ISTIO,
        "EnvoyFilter",
        PassedOver("proxies are not patched: results do not include its changes"),
    ),
    kind(
        ISTIO,
        "ProxyConfig",
        PassedOver(
            "proxies keep their defaults: its concurrency, image and environment are not applied",
        ),
    ),
    kind(SECURITY, "AuthorizationPolicy", Planned(NO_ACCESS)),
    kind(
        SECURITY,
        "PeerAuthentication",
        Planned("its mutual TLS mode is not applied: plain text is accepted even with STRICT"),
    ),
    kind(
        SECURITY,
        "RequestAuthentication",
        Planned("tokens are not checked: requests with invalid tokens are allowed"),
    ),
    kind("telemetry.istio.io", "Telemetry", Harmless),
    kind(
        "extensions.istio.io",
        "WasmPlugin",
        PassedOver("its plug-in is not run: results do not include its effect on requests"),
    ),
    kind(
        "extensions.istio.io",
        "TrafficExtension",
        PassedOver("its extension is not run: results do not include its effect on requests"),
    ),
    kind(
        "install.istio.io",
        "IstioOperator",
        PassedOver(
            "its mesh settings are not applied: Istio's defaults and the settings of `control` apply",
        ),
    ),
    kind(GATEWAY_API, "GatewayClass", Harmless),
    kind(GATEWAY_API, "Gateway", Planned(NO_GATEWAY)),
    kind(GATEWAY_API, "HTTPRoute", Planned(NO_ROUTE)),
    kind(GATEWAY_API, "GRPCRoute", Planned(NO_ROUTE)),
    kind(GATEWAY_API, "TCPRoute", PassedOver(NO_ROUTE)),
    kind(GATEWAY_API, "TLSRoute", PassedOver(NO_ROUTE)),
    kind(GATEWAY_API, "UDPRoute", PassedOver(NO_ROUTE)),
    kind(GATEWAY_API, "ListenerSet", PassedOver(NO_GATEWAY)),
    kind(GATEWAY_API, "ReferenceGrant", Harmless),
    kind(
        GATEWAY_API,
        "BackendTLSPolicy",
        PassedOver("TLS to its services is not modelled: requests are sent in plain text"),
    ),
    kind(FLAGGER, "Canary", Modelled),
    kind(
        FLAGGER,
        "MetricTemplate",
        PassedOver("metrics from templates are not measured and do not affect canaries"),
    ),
    kind(FLAGGER, "AlertProvider", Harmless),
    kind("", "Service", Modelled),
    kind("", "List", Modelled),
    kind(
        "",
        "Endpoints",
        PassedOver("it adds no endpoint to its service"),
    ),
    kind(
        "discovery.k8s.io",
        "EndpointSlice",
        PassedOver("it adds no endpoint to its service"),
    ),
    kind(
        "networking.k8s.io",
        "Ingress",
        PassedOver("no requests enter the mesh through it"),
    ),
    kind(
        "networking.k8s.io",
        "NetworkPolicy",
        PassedOver("connections that it would deny are allowed"),
    ),
    kind("networking.k8s.io", "IngressClass", Harmless),
    kind("", "ConfigMap", Harmless),
    kind("", "Event", Harmless),
    kind("", "LimitRange", Harmless),
    kind("", "Namespace", Harmless),
    kind("", "Node", Harmless),
    kind("", "PersistentVolume", Harmless),
    kind("", "PersistentVolumeClaim", Harmless),
    kind("", "Pod", Harmless),
    kind("", "PodTemplate", Harmless),
    kind("", "ReplicationController", Harmless),
    kind("", "ResourceQuota", Harmless),
    kind("", "Secret", Harmless),
    kind("", "ServiceAccount", Harmless),
    kind("apps", "ControllerRevision", Harmless),
    kind("apps", "DaemonSet", Harmless),
    kind("apps", "Deployment", Harmless),
    kind("apps", "ReplicaSet", Harmless),
    kind("apps", "StatefulSet", Harmless),
    kind("autoscaling", "HorizontalPodAutoscaler", Harmless),
    kind("batch", "CronJob", Harmless),
    kind("batch", "Job", Harmless),
    kind("policy", "PodDisruptionBudget", Harmless),
    kind("rbac.authorization.k8s.io", "ClusterRole", Harmless),
    kind("rbac.authorization.k8s.io", "ClusterRoleBinding", Harmless),
    kind("rbac.authorization.k8s.io", "Role", Harmless),
    kind("rbac.authorization.k8s.io", "RoleBinding", Harmless),
    kind(
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
        Harmless,
    ),
    kind(
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
        Harmless,
    ),
    kind("apiextensions.k8s.io", "CustomResourceDefinition", Harmless),
    kind("coordination.k8s.io", "Lease", Harmless),
    kind("scheduling.k8s.io", "PriorityClass", Harmless),
    kind("storage.k8s.io", "StorageClass", Harmless),
    kind("kustomize.config.k8s.io", "Kustomization", Harmless),
    kind(OWN, "ProxyPolicy", Modelled),
];

/// The result of looking up a group and a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KnownKind {
    /// A kind in [`KINDS`].
    Yes(Treatment),
    /// A kind of an unknown group.
    Foreign,
    /// An unknown kind of a known group, or a misspelled kind or group. The text is the error message.
    No(String),
}

/// Groups of which every kind is, or should be, in [`KINDS`]. Any other kind is treated as a typo.
const CLOSED: &[&str] = &[
    ISTIO,
    SECURITY,
    "telemetry.istio.io",
    "extensions.istio.io",
    FLAGGER,
    OWN,
];

/// Looks up a kind. `api_version` is as written, for example `networking.istio.io/v1`.
pub(super) fn known(api_version: &str, name: &str) -> KnownKind {
    let group = group_of(api_version);
    let of_group = KINDS.iter().filter(|kind| kind.group == group);
    if let Some(kind) = of_group.clone().find(|kind| kind.name == name) {
        return KnownKind::Yes(kind.treatment);
    }
    let namesakes = || KINDS.iter().filter(|kind| kind.name == name);
    let is_closed = CLOSED.contains(&group);
    // A modelled kind without a group or with a misspelled one: its parser reports the right one.
    let reads = |kind: &DocumentKind| {
        kind.treatment == Modelled
            && !kind.group.is_empty()
            && (group.is_empty() || is_slip(group, kind.group))
    };
    if namesakes().any(reads) {
        return KnownKind::Yes(Modelled);
    }
    if let Some(meant) = namesakes().find(|kind| is_closed || is_slip(group, kind.group)) {
        let expected = match meant.group {
            "" => "v1",
            group => group,
        };
        return KnownKind::No(format!(
            "unknown kind `{name}` of group `{group}`: did you mean that of `{expected}`?"
        ));
    }
    let names: Vec<&str> = of_group.map(|kind| kind.name).collect();
    if is_closed || suggest::nearest(name, names.iter().copied()).is_some() {
        let hint = suggest::hint(name, names);
        return KnownKind::No(format!("unknown kind `{name}`: {hint}"));
    }
    KnownKind::Foreign
}

/// Returns true if `group` is probably a typo of `known`.
fn is_slip(group: &str, known: &str) -> bool {
    const LETTERS: usize = 2;
    !known.is_empty() && strsim::damerau_levenshtein(group, known) <= LETTERS
}

/// Returns `networking.istio.io` for `networking.istio.io/v1`, and an empty group for Kubernetes' core, `v1`.
pub(super) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(api_version: &str, name: &str) -> String {
        match known(api_version, name) {
            KnownKind::No(why) => why,
            other => panic!("{api_version} {name}: {other:?}"),
        }
    }

    #[test]
    fn a_misspelt_kind_of_istio_is_refused_with_a_suggestion() {
        assert_eq!(
            refused("networking.istio.io/v1", "VirtualServise"),
            "unknown kind `VirtualServise`: did you mean `VirtualService`?"
        );
        assert!(refused("v1", "Servise").ends_with("did you mean `Service`?"));
        assert!(
            refused("security.istio.io/v1", "Zebra").contains("expected `AuthorizationPolicy`")
        );
    }

    #[test]
    fn a_misspelt_group_is_refused_with_a_suggestion() {
        assert_eq!(
            refused("security.istoi.io/v1", "AuthorizationPolicy"),
            "unknown kind `AuthorizationPolicy` of group `security.istoi.io`: did you mean that of `security.istio.io`?"
        );
    }

    #[test]
    fn a_kind_of_another_group_is_foreign_whatever_its_name() {
        for (api_version, name) in [
            ("serving.knative.dev/v1", "Service"),
            ("gateway.solo.io/v1", "VirtualService"),
            ("extensions.solo.io/v1", "WasmPlugin"),
            ("cert-manager.io/v1", "Certificate"),
            ("monitoring.coreos.com/v1", "ServiceMonitor"),
        ] {
            assert_eq!(
                known(api_version, name),
                KnownKind::Foreign,
                "{api_version}"
            );
        }
    }

    #[test]
    fn one_name_in_two_groups_is_two_kinds() {
        assert_eq!(known("v1", "Service"), KnownKind::Yes(Modelled));
        assert_eq!(
            known("gateway.networking.k8s.io/v1", "Gateway"),
            KnownKind::Yes(Planned(NO_GATEWAY))
        );
        assert_eq!(known("apps/v1", "Deployment"), KnownKind::Yes(Harmless));
    }
}
