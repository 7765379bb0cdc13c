//! The `gateways` of a VirtualService, of a match and of a Canary.

use shakedown_yaml::Spanned;

use crate::VirtualService;

/// The name for all sidecars in a list of gateways.
pub const SIDECARS: &str = "mesh";

/// Returns true if a list of gateways includes sidecars. An empty list does, because `mesh` is the default.
pub fn include_sidecars(gateways: &[Spanned<String>]) -> bool {
    gateways.is_empty() || gateways.iter().any(|name| name.value == SIDECARS)
}

/// Returns true if a VirtualService applies to sidecars.
pub fn is_for_sidecars(spec: &VirtualService) -> bool {
    include_sidecars(&spec.gateways)
}
