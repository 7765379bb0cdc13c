//! The options of decoding.

use super::struct_keys::StructKeys;

/// Unsupported keys (or enum variants): the serde name of the struct or enum without its `*`, and for each key, the
/// effect that ignoring it has on the result. An empty string means no effect.
pub type Unsupported = &'static [(&'static str, &'static [(&'static str, &'static str)])];

/// Examples of required keys: the serde name of a struct without its `*`, and for each key, what to write.
pub type Examples = &'static [(&'static str, &'static [(&'static str, &'static str)])];

#[derive(Clone, Debug)]
pub(super) struct DecodeOptions {
    /// The word for a key of a struct.
    pub(super) word: &'static str,
    /// The word for a variant of an enum; empty without one.
    pub(super) choice: &'static str,
    /// The beginning of each message.
    pub(super) prefix: String,
    pub(super) unsupported: Unsupported,
    pub(super) examples: Examples,
    pub(super) null_is_absent: bool,
    pub(super) unknown_keys: UnknownKeys,
}

/// The treatment of keys that the root's struct does not have.
#[derive(Clone, Debug)]
pub(super) enum UnknownKeys {
    /// Errors, unless one of these structs, which read the same map, has the key.
    Refused(Vec<StructKeys>),
    Ignored,
}
