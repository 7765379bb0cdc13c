//! The circles of imports that exist. The list may only become shorter.

/// The folder of a crate, the files of a circle relative to its `src` in alphabetical order, and the reason.
pub(super) const EXCEPTIONS: [(&str, &[&str], &str); 0] = [];
