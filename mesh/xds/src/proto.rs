//! Configuration as it is sent: Envoy's v3 protobuf types, exactly those in use, and how they are packed.
//!
//! Invariant: a message that is sent has no protobuf map field of more than one entry but such as [`in_order`] has made. prost's maps are hash maps, whose order, and so whose bytes, differ from run to run; a resource's
//! version is a hash of its bytes, and every run must give the same.

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
pub use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as manager;
pub use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3 as previous_hosts;
pub use envoy_types::pb::envoy::extensions::upstreams::http::v3 as upstream_http;
pub use envoy_types::pb::envoy::service::discovery::v3 as discovery;
pub use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
pub use envoy_types::pb::envoy::r#type::v3 as fractional;
pub use envoy_types::pb::envoy::r#type::v3 as percent;
pub use envoy_types::pb::google::{protobuf, rpc};

/// Envoy's balancing policies as extensions.
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

/// The kinds of resource, in the order in which additions are sent so that nothing names what is not there yet (make
/// before break); removals go in reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `Cluster`, by CDS.
    Cluster,
    /// `ClusterLoadAssignment`, by EDS.
    Endpoints,
    /// `Listener`, by LDS.
    Listener,
    /// `RouteConfiguration`, by RDS.
    Routes,
}

impl Kind {
    /// All kinds, in push order.
    pub const ALL: [Kind; 4] = [Kind::Cluster, Kind::Endpoints, Kind::Listener, Kind::Routes];

    /// The type URL on the wire.
    pub const fn url(self) -> &'static str {
        match self {
            Kind::Cluster => CLUSTER,
            Kind::Endpoints => ENDPOINTS,
            Kind::Listener => LISTENER,
            Kind::Routes => ROUTES,
        }
    }

    /// The kind of a type URL.
    pub fn of_url(url: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.url() == url)
    }

    /// The message's name: `Cluster`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Cluster => "Cluster",
            Kind::Endpoints => "ClusterLoadAssignment",
            Kind::Listener => "Listener",
            Kind::Routes => "RouteConfiguration",
        }
    }
}

impl fmt::Display for Kind {
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

/// The key of a cluster's protocol options.
pub const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/// The key of Istio's metadata of an endpoint.
pub const METADATA_FILTER: &str = "istio";
/// The field of these metadata that names the workload.
pub const METADATA_WORKLOAD: &str = "workload";
/// The name of the filter that delays and aborts.
pub const FAULT: &str = "envoy.filters.http.fault";
/// The name of the filter of cross-origin requests.
pub const CORS: &str = "envoy.filters.http.cors";
/// The name of the local rate limit.
pub const RATE_LIMIT: &str = "envoy.filters.http.local_ratelimit";
/// The name of the adaptive concurrency filter.
pub const ADAPTIVE_CONCURRENCY: &str = "envoy.filters.http.adaptive_concurrency";
/// The name of the filter that sends requests on.
pub const ROUTER: &str = "envoy.filters.http.router";

/// A resource as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its name, unique in its kind.
    pub name: String,
    /// A hash of its body: the same body has the same version, in every run.
    pub version: String,
    /// The message, packed.
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

    /// The message.
    ///
    /// # Errors
    /// If the body is another type's, or no message.
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

/// Packs a message.
pub fn pack<M: Message + Name>(message: &M) -> Any {
    Any {
        type_url: M::type_url(),
        value: message.encode_to_vec(),
    }
}

/// Unpacks a message.
///
/// # Errors
/// If the body is another type's, or no message.
pub fn unpack<M: Message + Name + Default>(body: &Any) -> Result<M, UnpackError> {
    let wanted = M::type_url();
    // Only what follows the last slash names the type.
    let name = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
    if name(&body.type_url) != name(&wanted) {
        return Err(UnpackError::Type {
            wanted,
            found: body.type_url.clone(),
        });
    }
    M::decode(body.value.as_slice()).map_err(|source| UnpackError::Bytes { wanted, source })
}

/// Why a packed message could not be read.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum UnpackError {
    /// It is another type's.
    #[error("expected {wanted}, found {found}")]
    Type {
        /// The type URL expected.
        wanted: String,
        /// The type URL found.
        found: String,
    },
    /// The bytes are no message of its type.
    #[error("bytes that are no {wanted}")]
    Bytes {
        /// The type URL expected.
        wanted: String,
        /// What the decoder says.
        source: prost::DecodeError,
    },
}

/// A protobuf map whose entries are encoded in the order of `entries`, which is that of their names. A hash map orders by
/// numbers of its own, other ones each time: it is made anew until it has them right. Bound: a map of two entries, the most
/// that is ever asked for, is right every other time.
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

/// A duration as protobuf has it.
pub fn duration(value: Duration) -> protobuf::Duration {
    protobuf::Duration {
        seconds: i64::try_from(value.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(value.subsec_nanos()).expect("less than a billion"),
    }
}

/// A percentage, given in millionths of the whole, as the wire has it.
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
