//! Names in `exportTo` that stand for namespaces.

/// All namespaces.
pub const EVERYBODY: &str = "*";
/// The namespace of the document.
pub const OWN_NAMESPACE: &str = ".";
