//! The codes of `istioctl analyze` for the same findings. Source: Istio, `messages.yaml`.

/// `ReferencedResourceNotFound`.
pub(super) const NOT_FOUND: &str = "[IST0101]";
/// `ConflictingMeshGatewayVirtualServiceHosts`.
pub(super) const CONFLICTING_HOSTS: &str = "[IST0109]";
/// `VirtualServiceDestinationPortSelectorRequired`.
pub(super) const PORT_REQUIRED: &str = "[IST0112]";
/// `VirtualServiceUnreachableRule`.
pub(super) const UNREACHABLE_RULE: &str = "[IST0130]";
/// `VirtualServiceIneffectiveMatch`.
pub(super) const INEFFECTIVE_MATCH: &str = "[IST0131]";
/// `DestinationRuleSubsetNotSelectPods`.
pub(super) const NO_PODS: &str = "[IST0173]";
