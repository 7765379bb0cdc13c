//! Requests and responses as the state machine knows them, and how they are read and written.
//!
//! A response is written straight from the shared, encoded resources; a request's hash map becomes a sorted one here,
//! at the border.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BufMut;
use prost::Message;
use prost::encoding::{self, WireType};
use shakedown_config::xds::discovery::DeltaDiscoveryRequest;
use shakedown_wire::frame_message;
use tonic::Status;

use crate::snapshot::Entry;

/// A delta request, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The node id; on the first request of a stream only.
    pub node: Option<String>,
    /// The type that it is about.
    pub type_url: String,
    /// Names to add; `*` is everything.
    pub subscribe: Vec<String>,
    /// Names to take away.
    pub unsubscribe: Vec<String>,
    /// What the client holds from an earlier stream: versions by name. On the first request of a type only.
    pub initial_versions: BTreeMap<String, String>,
    /// The response that this acknowledges or refuses; empty for none.
    pub nonce: String,
    /// Why the client refused that response, where it did.
    pub error: Option<String>,
}

impl Request {
    /// Reads the protobuf message.
    pub(crate) fn decode(message: &[u8]) -> Result<Request, Status> {
        match DeltaDiscoveryRequest::decode(message) {
            Ok(wire) => Ok(wire.into()),
            Err(error) => Err(Status::invalid_argument(format!(
                "not a delta discovery request: {error}"
            ))),
        }
    }
}

impl From<DeltaDiscoveryRequest> for Request {
    fn from(wire: DeltaDiscoveryRequest) -> Request {
        Request {
            node: wire.node.map(|node| node.id),
            type_url: wire.type_url,
            subscribe: wire.resource_names_subscribe,
            unsubscribe: wire.resource_names_unsubscribe,
            initial_versions: wire.initial_resource_versions.into_iter().collect(),
            nonce: wire.response_nonce,
            error: wire.error_detail.map(|status| status.message),
        }
    }
}

/// A delta response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The push that is wholly in force at the client once it has applied this response (and got the answers to what that
    /// makes it ask for); `None` when more of the push will follow. On the wire: `system_version_info`, in decimal.
    pub version: Option<u64>,
    /// The type.
    pub type_url: Arc<str>,
    /// Added or changed.
    pub resources: Vec<Arc<Entry>>,
    /// Gone, or never there.
    pub removed: Vec<Arc<str>>,
    /// Unique in its stream.
    pub nonce: String,
}

/// Field numbers of `envoy.service.discovery.v3.DeltaDiscoveryResponse`.
mod field {
    pub(super) const SYSTEM_VERSION_INFO: u32 = 1;
    pub(super) const RESOURCES: u32 = 2;
    pub(super) const TYPE_URL: u32 = 4;
    pub(super) const NONCE: u32 = 5;
    pub(super) const REMOVED_RESOURCES: u32 = 6;
}

impl Response {
    /// Writes the protobuf message.
    pub fn encode(&self, to: &mut impl BufMut) {
        if let Some(version) = self.version {
            put(
                field::SYSTEM_VERSION_INFO,
                version.to_string().as_bytes(),
                to,
            );
        }
        for entry in &self.resources {
            put(field::RESOURCES, &entry.wire, to);
        }
        put(field::TYPE_URL, self.type_url.as_bytes(), to);
        put(field::NONCE, self.nonce.as_bytes(), to);
        for name in &self.removed {
            put(field::REMOVED_RESOURCES, name.as_bytes(), to);
        }
    }

    /// The protobuf message as a stream carries it.
    pub(crate) fn framed(&self) -> Vec<u8> {
        frame_message(self.encoded_len_max(), |to| self.encode(to))
    }

    /// How long the message is, at most.
    fn encoded_len_max(&self) -> usize {
        // A key is one byte, a length at most five; a version and a nonce at most twenty.
        const AROUND: usize = 6;
        let resources: usize = self
            .resources
            .iter()
            .map(|entry| entry.wire.len() + AROUND)
            .sum();
        let removed: usize = self.removed.iter().map(|name| name.len() + AROUND).sum();
        resources + removed + self.type_url.len() + 3 * AROUND + 40
    }
}

fn put(field: u32, bytes: &[u8], to: &mut impl BufMut) {
    encoding::encode_key(field, WireType::LengthDelimited, to);
    encoding::encode_varint(bytes.len() as u64, to);
    to.put_slice(bytes);
}

/// The name of everything.
pub(crate) const WILDCARD: &str = "*";

/// A type URL that is not served, for an answer that says that nothing of it exists.
pub(crate) fn unserved(request: Request, nonce: String) -> Response {
    let removed = request
        .subscribe
        .into_iter()
        .filter(|name| name != WILDCARD)
        .map(Arc::from)
        .collect();
    Response {
        version: None,
        type_url: request.type_url.into(),
        resources: Vec::new(),
        removed,
        nonce,
    }
}

#[cfg(test)]
mod tests {
    use shakedown_config::xds::discovery::DeltaDiscoveryResponse;

    use super::*;
    use crate::snapshot::Kind;
    use crate::snapshot::tests::entry;

    #[test]
    fn a_response_is_read_by_the_generated_type() {
        let response = Response {
            version: Some(12),
            type_url: Kind::Cluster.url().into(),
            resources: vec![
                entry(Kind::Cluster, "a", "1"),
                entry(Kind::Cluster, "b", "2"),
            ],
            removed: vec!["c".into(), "d".into()],
            nonce: "3".to_owned(),
        };
        let mut bytes = Vec::new();
        response.encode(&mut bytes);
        assert!(bytes.len() <= response.encoded_len_max());
        let wire = DeltaDiscoveryResponse::decode(bytes.as_slice()).unwrap();
        assert_eq!(wire.system_version_info, "12");
        assert_eq!(wire.type_url, Kind::Cluster.url());
        assert_eq!(wire.nonce, "3");
        assert_eq!(wire.removed_resources, ["c", "d"]);
        let names: Vec<&str> = wire.resources.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(wire.resources[1].resource.as_ref().unwrap().value, b"2");
    }
}
