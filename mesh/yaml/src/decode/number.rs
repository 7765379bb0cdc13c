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

/// The methods of a deserializer that read integers, by a function of this module from a field of the deserializer. An
/// error message states the bounds of the type.
macro_rules! deserialize_integers {
    ($read:ident, $field:ident) => {
        deserialize_integers! { $read, $field:
            deserialize_i8 visit_i8 i8;
            deserialize_i16 visit_i16 i16;
            deserialize_i32 visit_i32 i32;
            deserialize_i64 visit_i64 i64;
            deserialize_u8 visit_u8 u8;
            deserialize_u16 visit_u16 u16;
            deserialize_u32 visit_u32 u32;
            deserialize_u64 visit_u64 u64;
        }
    };
    ($read:ident, $field:ident: $($method:ident $visit:ident $kind:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            visitor.$visit($read::<$kind>(self.$field, <$kind>::MIN.into(), <$kind>::MAX.into())?)
        }
    )*};
}
pub(super) use deserialize_integers;
