//! Whole numbers within bounds, from values and from keys.

use super::error::DecodeError;
use crate::tree::{Node, Value, scalar};

/// A whole number within bounds, from a plain scalar.
pub(super) fn integer<T: TryFrom<i128>>(
    node: &Node,
    min: i128,
    max: i128,
) -> Result<T, DecodeError> {
    let Value::Scalar {
        text,
        quoted: false,
    } = &node.value
    else {
        return Err(DecodeError::mismatch("a whole number", node));
    };
    whole(text, min, max)
}

/// A whole number within bounds, from text.
pub(super) fn whole<T: TryFrom<i128>>(text: &str, min: i128, max: i128) -> Result<T, DecodeError> {
    let shown = scalar::shorten(text);
    let Some(value) = scalar::integer(text) else {
        return Err(DecodeError::new(format!(
            "expected a whole number, found `{shown}`"
        )));
    };
    T::try_from(value).map_err(|_| {
        DecodeError::new(format!(
            "expected a whole number from {min} to {max}, found `{shown}`"
        ))
    })
}
