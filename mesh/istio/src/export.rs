//! Special values of `exportTo`.

/// All namespaces.
pub const EVERYBODY: &str = "*";
/// The namespace of the document.
pub const OWN_NAMESPACE: &str = ".";
