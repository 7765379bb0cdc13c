//! The workload that an endpoint belongs to.

use std::fmt;
use std::sync::Arc;

/// A workload in the form of Istio's endpoint metadata:
/// `workload;namespace;canonical service;canonical revision;cluster`. Trailing parts may be missing.
///
/// The text is stored as one string because a mesh has many endpoints, and only few of them call a given proxy. Source:
/// Istio, `util.BuildLbEndpointMetadata`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity(Arc<str>);

impl Identity {
    /// Wraps a string of this form. An empty string means an unknown workload.
    pub fn new(text: &str) -> Identity {
        Identity(Arc::from(text))
    }

    /// Returns true if the workload is unknown.
    pub fn is_unknown(&self) -> bool {
        self.name().is_empty()
    }

    /// The workload's name (`reviews-v2`); empty if unknown.
    pub fn name(&self) -> &str {
        self.part(0)
    }

    /// The namespace; empty if unknown.
    pub fn namespace(&self) -> &str {
        self.part(1)
    }

    /// The canonical service; empty if unknown.
    pub fn service(&self) -> &str {
        self.part(2)
    }

    /// The canonical revision; empty if unknown.
    pub fn revision(&self) -> &str {
        self.part(3)
    }

    /// The Kubernetes cluster; empty if unknown.
    pub fn cluster(&self) -> &str {
        self.part(4)
    }

    fn part(&self, index: usize) -> &str {
        self.0.split(';').nth(index).unwrap_or_default()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_missing_are_empty() {
        let whole = Identity::new("reviews-v2;default;reviews;v2;east");
        let parts = [
            whole.name(),
            whole.namespace(),
            whole.service(),
            whole.revision(),
            whole.cluster(),
        ];
        assert_eq!(parts, ["reviews-v2", "default", "reviews", "v2", "east"]);
        let short = Identity::new("reviews-v2;default");
        assert_eq!((short.namespace(), short.service()), ("default", ""));
        assert!(Identity::new("").is_unknown() && !short.is_unknown());
    }
}
