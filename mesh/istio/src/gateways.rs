//! The `gateways` of a VirtualService and of a match.

use crate::VirtualService;

/// The name that stands for all sidecars among gateways.
pub const SIDECARS: &str = "mesh";

/// Returns true if a VirtualService applies to sidecars.
pub fn is_for_sidecars(spec: &VirtualService) -> bool {
    spec.gateways.is_empty() || spec.gateways.iter().any(|name| name.value == SIDECARS)
}
