//! The requests and responses of the state machine, and their encoding.
//!
//! A response is written directly from the shared, encoded resources. The hash map of a request is converted to a
//! sorted map here, where the message is decoded.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use prost::Message;
use prost::encoding::{self, WireType};
use shakedown_wire::message_head;
use shakedown_xds::proto::discovery::DeltaDiscoveryRequest;
use tonic::Status;

use crate::snapshot::ResourceVersion;

/// A decoded delta request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeltaRequest {
    /// The node id; only on the first request of a stream.
    pub node: Option<String>,
    /// The type URL of the resources.
    pub type_url: String,
    /// Names to subscribe to; `*` is the wildcard.
    pub subscribe: Vec<String>,
    /// Names to unsubscribe from.
    pub unsubscribe: Vec<String>,
    /// The resources that the client has from an earlier stream: versions by name. Only on the first request of a type.
    pub initial_versions: BTreeMap<String, String>,
    /// The nonce of the response that this acknowledges or refuses; empty for none.
    pub nonce: String,
    /// The reason of a refusal; `None` if the response is accepted.
    pub error: Option<String>,
}

impl DeltaRequest {
    /// Decodes the protobuf message.
    pub(crate) fn decode(message: &[u8]) -> Result<DeltaRequest, Status> {
        match DeltaDiscoveryRequest::decode(message) {
            Ok(wire) => Ok(wire.into()),
            Err(error) => Err(Status::invalid_argument(format!(
                "invalid delta discovery request: {error}"
            ))),
        }
    }
}

impl From<DeltaDiscoveryRequest> for DeltaRequest {
    fn from(wire: DeltaDiscoveryRequest) -> DeltaRequest {
        DeltaRequest {
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
pub struct DeltaResponse {
    /// The push that the client has fully applied once it has processed this response and the responses to the requests
    /// that result from it. `None` if more of the push will follow. On the wire: `system_version_info`, in decimal.
    pub version: Option<u64>,
    pub type_url: Arc<str>,
    /// Added or changed resources.
    pub resources: Vec<Arc<ResourceVersion>>,
    /// Names of resources that were removed or do not exist.
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

impl DeltaResponse {
    /// The framed message, in parts.
    pub(crate) fn into_parts(self) -> ResponseFrames {
        ResponseFrames {
            response: self,
            next: 0,
            state: FrameState::Head,
        }
    }

    /// Encodes the fields before the resources.
    fn encode_version(&self, to: &mut impl BufMut) {
        if let Some(version) = self.version {
            let version = version.to_string();
            put(field::SYSTEM_VERSION_INFO, version.as_bytes(), to);
        }
    }

    /// Encodes the fields after the resources.
    fn encode_tail(&self, to: &mut impl BufMut) {
        put(field::TYPE_URL, self.type_url.as_bytes(), to);
        put(field::NONCE, self.nonce.as_bytes(), to);
        for name in &self.removed {
            put(field::REMOVED_RESOURCES, name.as_bytes(), to);
        }
    }

    /// The exact length of the message, in bytes.
    fn encoded_len(&self) -> usize {
        let version = self.version.map(|version| version.to_string().len());
        let resources = self.resources.iter().map(|entry| entry.wire.len());
        let removed = self.removed.iter().map(|name| name.len());
        let always = [self.type_url.len(), self.nonce.len()];
        version
            .into_iter()
            .chain(resources)
            .chain(always)
            .chain(removed)
            .map(field_len)
            .sum()
    }
}

/// A framed response in parts, which are encoded as the connection requests them. Large resources are separate parts
/// and are not copied, because proxies that start together are each sent the whole configuration at once.
pub(crate) struct ResponseFrames {
    response: DeltaResponse,
    /// The index of the first resource that is not sent yet.
    next: usize,
    state: FrameState,
}

/// Position within a response.
enum FrameState {
    Head,
    Resources,
    /// The key of the resource at `next` has been sent, its bytes have not.
    Large,
    Ended,
}

/// The length in bytes from which a resource is not copied and a part of smaller ones ends. Equal to the length from
/// which [`shakedown_wire::MessageBody`] sends a part unbuffered.
const PART_BYTES: usize = 32 * 1024;

impl Iterator for ResponseFrames {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut part = Vec::new();
        match self.state {
            FrameState::Ended => return None,
            FrameState::Resources => {}
            FrameState::Large => {
                let large = self.response.resources[self.next].wire.clone();
                self.next += 1;
                self.state = FrameState::Resources;
                return Some(large);
            }
            FrameState::Head => {
                part.extend(message_head(self.response.encoded_len()));
                self.response.encode_version(&mut part);
                self.state = FrameState::Resources;
            }
        }
        for entry in &self.response.resources[self.next..] {
            if part.len() >= PART_BYTES {
                return Some(part.into());
            }
            put_key(field::RESOURCES, entry.wire.len(), &mut part);
            if entry.wire.len() >= PART_BYTES {
                self.state = FrameState::Large;
                return Some(part.into());
            }
            part.extend_from_slice(&entry.wire);
            self.next += 1;
        }
        self.response.encode_tail(&mut part);
        self.state = FrameState::Ended;
        Some(part.into())
    }
}

/// Writes a length-delimited field.
fn put(field: u32, bytes: &[u8], to: &mut impl BufMut) {
    put_key(field, bytes.len(), to);
    to.put_slice(bytes);
}

/// Writes the key and the length of a length-delimited field.
fn put_key(field: u32, length: usize, to: &mut impl BufMut) {
    encoding::encode_key(field, WireType::LengthDelimited, to);
    encoding::encode_varint(length as u64, to);
}

/// The length of a field that [`put`] writes. Every key has one byte: all field numbers are below 16.
fn field_len(bytes: usize) -> usize {
    1 + encoding::encoded_len_varint(bytes as u64) + bytes
}

/// The resource name that subscribes to all resources.
pub(crate) const WILDCARD: &str = "*";

/// The response to a type URL that is not served: reports every requested name as missing.
pub(crate) fn unserved(request: DeltaRequest, nonce: String) -> DeltaResponse {
    let removed = request
        .subscribe
        .into_iter()
        .filter(|name| name != WILDCARD)
        .map(Arc::from)
        .collect();
    DeltaResponse {
        version: None,
        type_url: request.type_url.into(),
        resources: Vec::new(),
        removed,
        nonce,
    }
}

#[cfg(test)]
mod tests {
    use shakedown_xds::proto::discovery::DeltaDiscoveryResponse;

    use super::*;
    use crate::snapshot::ResourceKind;
    use crate::snapshot::tests::entry;

    /// The message of a response, decoded by the generated type, and the parts in which it was sent.
    fn decode(response: DeltaResponse) -> (DeltaDiscoveryResponse, Vec<Bytes>) {
        let parts: Vec<Bytes> = response.into_parts().collect();
        let bytes = parts.concat();
        let (head, message) = bytes.split_at(5);
        assert_eq!(head, message_head(message.len()));
        (DeltaDiscoveryResponse::decode(message).unwrap(), parts)
    }

    #[test]
    fn a_response_is_read_by_the_generated_type() {
        let (wire, _) = decode(DeltaResponse {
            version: Some(12),
            type_url: ResourceKind::Cluster.url().into(),
            resources: vec![
                entry(ResourceKind::Cluster, "a", "1"),
                entry(ResourceKind::Cluster, "b", "2"),
            ],
            removed: vec!["c".into(), "d".into()],
            nonce: "3".to_owned(),
        });
        assert_eq!(wire.system_version_info, "12");
        assert_eq!(wire.type_url, ResourceKind::Cluster.url());
        assert_eq!(wire.nonce, "3");
        assert_eq!(wire.removed_resources, ["c", "d"]);
        let names: Vec<&str> = wire.resources.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(wire.resources[1].resource.as_ref().unwrap().value, b"2");
    }

    #[test]
    fn a_long_response_is_sent_in_parts_of_bounded_length() {
        let response = DeltaResponse {
            resources: vec![entry(ResourceKind::Cluster, "a", &"x".repeat(5_000)); 20],
            removed: vec!["b".into()],
            nonce: "1".to_owned(),
            ..DeltaResponse::default()
        };
        let resource = response.resources[0].wire.len();
        let (wire, parts) = decode(response);
        assert_eq!(wire.resources.len(), 20);
        assert_eq!(wire.removed_resources, ["b"]);
        let longest = parts.iter().map(Bytes::len).max();
        assert!(longest.unwrap() <= PART_BYTES + field_len(resource));
        let resources_per_part = PART_BYTES.div_ceil(resource);
        assert_eq!(parts.len(), 20_usize.div_ceil(resources_per_part));
    }

    #[test]
    fn a_large_resource_is_sent_uncopied() {
        let small = entry(ResourceKind::Routes, "a", "1");
        let large = entry(ResourceKind::Routes, "b", &"x".repeat(PART_BYTES));
        let (wire, parts) = decode(DeltaResponse {
            resources: vec![small.clone(), large.clone(), large.clone(), small],
            ..DeltaResponse::default()
        });
        assert_eq!(wire.resources.len(), 4);
        assert_eq!(parts.len(), 5);
        assert_eq!(parts[1].as_ptr(), large.wire.as_ptr());
        assert_eq!(parts[3].as_ptr(), large.wire.as_ptr());
    }
}
