//! Configuration on the wire: the Envoy v3 protobuf types in use, and their packing into resources.
//!
//! Invariant: a message that is sent contains no protobuf map field with more than one entry unless the map was built
//! by [`in_order`]. This is required because prost's maps are hash maps: their order, and so their encoded bytes,
//! differ from run to run. A resource's version is a hash of its bytes, and every run must produce the same one.

pub mod balancers;
pub mod policies;

pub use envoy_types::pb::envoy::config::cluster::v3 as cluster;
pub use envoy_types::pb::envoy::config::core::v3 as core;
pub use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
pub use envoy_types::pb::envoy::config::listener::v3 as listener;
pub use envoy_types::pb::envoy::config::route::v3 as route;
pub use envoy_types::pb::envoy::extensions::common::ratelimit::v3 as rate_limit_common;
pub use envoy_types::pb::envoy::extensions::filters::common::fault::v3 as fault_delay;
pub use envoy_types::pb::envoy::extensions::filters::http::adaptive_concurrency::v3 as adaptive_concurrency;
pub use envoy_types::pb::envoy::extensions::filters::http::cors::v3 as cors;
pub use envoy_types::pb::envoy::extensions::filters::http::fault::v3 as fault;
pub use envoy_types::pb::envoy::extensions::filters::http::local_ratelimit::v3 as rate_limit;
pub use envoy_types::pb::envoy::extensions::filters::http::router::v3 as router;
pub use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
pub use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as manager;
pub use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3 as previous_hosts;
pub use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
pub use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
pub use envoy_types::pb::envoy::extensions::upstreams::http::v3 as upstream_http;
pub use envoy_types::pb::envoy::service::discovery::v3 as discovery;
pub use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
pub use envoy_types::pb::envoy::r#type::v3 as fractional;
pub use envoy_types::pb::envoy::r#type::v3 as percent;
pub use envoy_types::pb::google::{protobuf, rpc};

/// Envoy's load balancing policies, as extension messages.
pub mod lb_policies {
    use envoy_types::pb::envoy::extensions::load_balancing_policies as all;

    pub use all::common::v3 as common;
    pub use all::least_request::v3::LeastRequest;
    pub use all::maglev::v3::Maglev;
    pub use all::random::v3::Random;
    pub use all::ring_hash::v3::{RingHash, ring_hash};
    pub use all::round_robin::v3::RoundRobin;
}

use std::fmt;
use std::time::Duration;

use prost::{Message, Name};
use protobuf::Any;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The resource types, in push order: additions are sent in this order so that no resource refers to one that is not
/// there yet (make before break). Removals are sent in reverse order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// `Cluster`, by CDS.
    Cluster,
    /// `ClusterLoadAssignment`, by EDS.
    Endpoints,
    /// `Listener`, by LDS.
    Listener,
    /// `RouteConfiguration`, by RDS.
    Routes,
}

impl ResourceKind {
    /// All kinds, in push order.
    pub const ALL: [ResourceKind; 4] = [
        ResourceKind::Cluster,
        ResourceKind::Endpoints,
        ResourceKind::Listener,
        ResourceKind::Routes,
    ];

    /// The type URL on the wire.
    pub const fn url(self) -> &'static str {
        match self {
            ResourceKind::Cluster => CLUSTER,
            ResourceKind::Endpoints => ENDPOINTS,
            ResourceKind::Listener => LISTENER,
            ResourceKind::Routes => ROUTES,
        }
    }

    /// The kind with the given type URL.
    pub fn of_url(url: &str) -> Option<ResourceKind> {
        ResourceKind::ALL.into_iter().find(|kind| kind.url() == url)
    }

    /// The unqualified message name, such as `Cluster`.
    pub const fn name(self) -> &'static str {
        match self {
            ResourceKind::Cluster => "Cluster",
            ResourceKind::Endpoints => "ClusterLoadAssignment",
            ResourceKind::Listener => "Listener",
            ResourceKind::Routes => "RouteConfiguration",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Type URL of CDS.
pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
/// Type URL of EDS.
pub const ENDPOINTS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
/// Type URL of LDS.
pub const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
/// Type URL of RDS.
pub const ROUTES: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/// The key of `HttpProtocolOptions` in a cluster's `typed_extension_protocol_options`.
pub const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/// The metadata namespace in which Istio stores its endpoint metadata.
pub const METADATA_FILTER: &str = "istio";
/// The field of that metadata that names the workload.
pub const METADATA_WORKLOAD: &str = "workload";
/// The metadata namespace of an endpoint by which its cluster picks a transport socket.
pub const METADATA_TRANSPORT: &str = "envoy.transport_socket_match";
/// The field of that metadata that names the kind of TLS that an endpoint accepts.
pub const TLS_MODE: &str = "tlsMode";
/// The value of [`TLS_MODE`] for the mesh's mutual TLS.
pub const MESH_TLS: &str = "istio";
/// The name of the fault injection filter (delays and aborts).
pub const FAULT: &str = "envoy.filters.http.fault";
/// The name of the CORS filter.
pub const CORS: &str = "envoy.filters.http.cors";
/// The name of the local rate limit filter.
pub const RATE_LIMIT: &str = "envoy.filters.http.local_ratelimit";
/// The name of the adaptive concurrency filter.
pub const ADAPTIVE_CONCURRENCY: &str = "envoy.filters.http.adaptive_concurrency";
/// The name of the router, the last filter of a chain, which sends requests upstream.
pub const ROUTER: &str = "envoy.filters.http.router";

/// A named and versioned resource, as sent over xDS.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// The resource name, unique within its kind.
    pub name: String,
    /// A hash of the body. The same body has the same version in every run.
    pub version: String,
    pub body: Any,
}

impl Resource {
    /// Packs a message under a name.
    pub fn new<M: Message + Name>(name: impl Into<String>, message: &M) -> Self {
        let body = pack(message);
        Resource {
            name: name.into(),
            version: version_of(&body),
            body,
        }
    }

    /// Unpacks the body.
    ///
    /// # Errors
    /// If the body has another type, or does not decode as a message of this type.
    pub fn message<M: Message + Name + Default>(&self) -> Result<M, UnpackError> {
        unpack(&self.body)
    }
}

/// The version of a packed message: the first 16 hexadecimal digits of the SHA-256 of its bytes.
pub fn version_of(body: &Any) -> String {
    let hash = Sha256::digest(&body.value);
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub fn pack<M: Message + Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    }
}

/// Unpacks a message.
///
/// # Errors
/// If the body has another type, or does not decode as a message of this type.
pub fn unpack<M: Message + Name + Default>(body: &Any) -> Result<M, UnpackError> {
    let wanted = M::type_url();
    // Only the part after the last slash names the type.
    let name = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
    if name(&body.type_url) != name(&wanted) {
        return Err(UnpackError::Type {
            wanted,
            found: body.type_url.clone(),
        });
    }
    M::decode(body.value.as_slice()).map_err(|source| UnpackError::Bytes { wanted, source })
}

/// The reason why a packed message could not be read.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum UnpackError {
    /// The type URL is that of another type.
    #[error("expected {wanted}, found {found}")]
    Type { wanted: String, found: String },
    /// The bytes do not decode as a message of the expected type.
    #[error("cannot decode the bytes as {wanted}")]
    Bytes {
        wanted: String,
        source: prost::DecodeError,
    },
}

/// Builds a protobuf map that encodes its entries in the order of `entries`, which must be sorted by name.
///
/// A hash map iterates in an order that depends on its random seed, so the map is rebuilt until the order is right.
/// `entries` has at most two elements, for which each attempt succeeds with a probability of one half.
pub fn in_order<M>(entries: &[(String, Any)]) -> M
where
    M: FromIterator<(String, Any)>,
    for<'m> &'m M: IntoIterator<Item = (&'m String, &'m Any)>,
{
    assert!(entries.len() <= 2, "each further entry halves the chances");
    loop {
        let map: M = entries.iter().cloned().collect();
        let names = (&map).into_iter().map(|(name, _)| name);
        if names.eq(entries.iter().map(|(name, _)| name)) {
            return map;
        }
    }
}

/// Converts a duration to its protobuf message.
pub fn duration(value: Duration) -> protobuf::Duration {
    protobuf::Duration {
        seconds: i64::try_from(value.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(value.subsec_nanos()).expect("less than a billion"),
    }
}

/// Converts a percentage, given in parts per million, to its protobuf message.
pub fn percent(millionths: u32) -> percent::Percent {
    percent::Percent {
        value: f64::from(millionths) / 10_000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_urls_are_those_of_the_messages() {
        assert_eq!(CLUSTER, cluster::Cluster::type_url());
        assert_eq!(ENDPOINTS, endpoint::ClusterLoadAssignment::type_url());
        assert_eq!(LISTENER, listener::Listener::type_url());
        assert_eq!(ROUTES, route::RouteConfiguration::type_url());
    }

    #[test]
    fn a_version_changes_with_the_body_and_with_nothing_else() {
        let named = |name: &str| cluster::Cluster {
            name: name.into(),
            ..Default::default()
        };
        let version = |name: &str| Resource::new("n", &named(name)).version;
        assert_eq!(version("a"), version("a"));
        assert_ne!(version("a"), version("b"));
        assert_eq!(version("a").len(), 16);
    }

    #[test]
    fn a_map_in_order_is_the_same_bytes_each_time() {
        let entry = |name: &str| (name.to_owned(), pack(&cluster::Cluster::default()));
        let entries = [entry("a"), entry("b")];
        let bytes = || {
            let route = route::Route {
                typed_per_filter_config: in_order(&entries),
                ..Default::default()
            };
            route.encode_to_vec()
        };
        let first = bytes();
        assert!((0..50).all(|_| bytes() == first));
    }

    #[test]
    fn a_message_of_another_type_is_refused() {
        let packed = pack(&cluster::Cluster::default());
        assert!(matches!(
            unpack::<listener::Listener>(&packed),
            Err(UnpackError::Type { .. })
        ));
    }
}
