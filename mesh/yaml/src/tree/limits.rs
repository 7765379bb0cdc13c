//! The bounds of a file.

/// The maximum size of a file.
pub const MAX_BYTES: usize = 16 << 20;
/// The maximum nesting depth of lists and maps.
pub const MAX_DEPTH: usize = 64;
/// The maximum number of values in a file. Bounds memory: one byte of input can otherwise multiply a hundredfold.
pub const MAX_NODES: usize = 1_000_000;
