//! The names of resources, which are Istio's.

/// The name of the route configuration that outbound listeners use.
pub const OUTBOUND_ROUTES: &str = "15001";
/// The cluster for requests to hosts that belong to no service.
pub const PASSTHROUGH: &str = "PassthroughCluster";
/// The cluster without hosts.
pub const BLACK_HOLE: &str = "BlackHoleCluster";

/// Returns the name of a service's cluster. `subset` is empty for the whole service.
pub fn outbound_cluster(port: u16, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// Returns the name of the inbound cluster of an application port.
pub fn inbound_cluster(port: u16) -> String {
    format!("inbound|{port}||")
}
