//! Configuration as it is sent: Envoy's v3 protobuf types, exactly those in use, and how they are packed.
//!
//! Invariant: what [`translate`](crate::translate) makes holds no protobuf map field of more than one entry. prost's
//! maps are hash maps, whose order, and so whose bytes, differ from run to run; a resource's version is a hash of its
//! bytes, and every run must give the same.

pub use envoy_types::pb::envoy::config::cluster::v3 as cluster;
pub use envoy_types::pb::envoy::config::core::v3 as core;
pub use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
pub use envoy_types::pb::envoy::config::listener::v3 as listener;
pub use envoy_types::pb::envoy::config::route::v3 as route;
pub use envoy_types::pb::envoy::extensions::filters::http::router::v3 as router;
pub use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as manager;
pub use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3 as previous_hosts;
pub use envoy_types::pb::envoy::extensions::upstreams::http::v3 as upstream_http;
pub use envoy_types::pb::envoy::service::discovery::v3 as discovery;
pub use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
pub use envoy_types::pb::google::{protobuf, rpc};

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

/// A duration as protobuf has it.
pub fn duration(value: Duration) -> protobuf::Duration {
    protobuf::Duration {
        seconds: i64::try_from(value.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(value.subsec_nanos()).expect("less than a billion"),
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
    fn a_message_of_another_type_is_refused() {
        let packed = pack(&cluster::Cluster::default());
        assert!(matches!(
            unpack::<listener::Listener>(&packed),
            Err(UnpackError::Type { .. })
        ));
    }
}
