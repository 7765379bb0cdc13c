//! The identity of a proxy: the node id of its first request, in Istio's form.

use std::net::IpAddr;
use std::sync::Arc;

/// A proxy's identity: `sidecar~<pod address>~<pod name>.<namespace>~<dns domain>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyNode {
    /// The id, as sent.
    pub id: Arc<str>,
    /// The pod's address, by which the registry finds its workload.
    pub address: IpAddr,
    pub pod: Arc<str>,
    pub namespace: Arc<str>,
}

/// Error of a malformed node id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid node id `{id}`: {reason}; expected sidecar~<pod address>~<pod name>.<namespace>~<dns domain>"
)]
pub struct ProxyNodeError {
    id: String,
    reason: &'static str,
}

/// Longer ids are refused, since ids are kept per connection and shown in statuses.
const ID_BYTES_MAX: usize = 1024;

impl ProxyNode {
    /// Parses a node id.
    ///
    /// # Errors
    /// The id does not have Istio's four parts, or a part is invalid.
    pub fn parse(id: &str) -> Result<ProxyNode, ProxyNodeError> {
        let refuse = |reason| {
            let id = id.chars().take(ID_BYTES_MAX).collect();
            Err(ProxyNodeError { id, reason })
        };
        if id.len() > ID_BYTES_MAX {
            return refuse("it is longer than 1024 bytes");
        }
        let mut parts = id.split('~');
        let (Some(kind), Some(address), Some(name), Some(_domain), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return refuse("it does not have four parts");
        };
        if kind != "sidecar" {
            return refuse("the first part is not `sidecar`");
        }
        let Ok(address) = address.parse() else {
            return refuse("the second part is not an IP address");
        };
        // A namespace contains no dot, so the last dot separates it from the pod's name.
        let Some((pod, namespace)) = name.rsplit_once('.') else {
            return refuse("the third part has no namespace");
        };
        if pod.is_empty() || namespace.is_empty() {
            return refuse("the third part has an empty name or namespace");
        }
        Ok(ProxyNode {
            id: id.into(),
            address,
            pod: pod.into(),
            namespace: namespace.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_istios_form_is_read() {
        let node =
            ProxyNode::parse("sidecar~10.1.0.7~reviews-v1-0.default~default.svc.cluster.local")
                .unwrap();
        assert_eq!(node.address, IpAddr::from([10, 1, 0, 7]));
        assert_eq!((&*node.pod, &*node.namespace), ("reviews-v1-0", "default"));
    }

    #[test]
    fn anything_else_is_refused_with_the_form() {
        for (id, reason) in [
            ("", "four parts"),
            ("sidecar~10.1.0.7~a.b", "four parts"),
            ("sidecar~10.1.0.7~a.b~c~d", "four parts"),
            ("router~10.1.0.7~a.b~c", "first part"),
            ("sidecar~ten~a.b~c", "not an IP address"),
            ("sidecar~10.1.0.7~a~c", "no namespace"),
            ("sidecar~10.1.0.7~.b~c", "empty name"),
        ] {
            let error = ProxyNode::parse(id).unwrap_err().to_string();
            assert!(error.contains(reason), "{id}: {error}");
            assert!(error.contains("sidecar~<pod address>"), "{error}");
        }
    }

    #[test]
    fn an_endless_id_is_refused() {
        assert!(ProxyNode::parse(&"x".repeat(5_000)).is_err());
    }
}
