//! A serde deserializer of a map's key: a name, a number, or a type that also records the key's source location.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserializer, Visitor};

use super::error::DecodeError;
use super::keep;
use super::number::{deserialize_integers, whole};
use crate::tree::{MapEntry, scalar};

#[derive(Clone, Copy)]
pub(super) struct KeyDeserializer<'de> {
    pub(super) text: &'de str,
    pub(super) entry: &'de MapEntry,
}

impl<'de> Deserializer<'de> for KeyDeserializer<'de> {
    type Error = DecodeError;

    deserialize_integers! { whole, text }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(self.text)
    }

    /// Accepts a quoted key, or a plain one that cannot be mistaken for a number or boolean.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.entry.quoted || scalar::is_string(self.text) {
            visitor.visit_borrowed_str(self.text)
        } else {
            Err(DecodeError::unquoted(self.text))
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        keep::hand_over_key(name, self.text, self.entry);
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if variants.contains(&self.text) {
            return visitor.visit_enum(BorrowedStrDeserializer::new(self.text));
        }
        let hint = crate::suggest::hint(self.text, variants.iter().copied());
        Err(DecodeError::new(format!(
            "unknown key `{}`: {hint}",
            scalar::shorten(self.text)
        )))
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 char str bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
