//! A serde deserializer of one value of the tree.

use std::sync::LazyLock;

use serde::de::{DeserializeSeed, Deserializer, Visitor};

use super::access::{EnumReader, ListAccess, MapReader, ShortAccess, StructAccess};
use super::error::DecodeError;
use super::keep;
use super::number::{deserialize_integers, integer};
use super::session::{DecodeSession, address};
use super::struct_keys::StructKeys;
use crate::suggest;
use crate::tree::{Map, Node, Value, scalar};

/// The entries of a struct that is null.
static EMPTY: LazyLock<Map> = LazyLock::new(Map::default);

#[derive(Clone, Copy)]
pub(super) struct NodeDeserializer<'de> {
    pub(super) node: &'de Node,
    pub(super) session: &'de DecodeSession<'de>,
}

impl<'de> Deserializer<'de> for NodeDeserializer<'de> {
    type Error = DecodeError;

    deserialize_integers! { integer, node }

    /// Used by visitors that accept several types. An unquoted scalar is an integer if it parses as one, else a float,
    /// else text.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Scalar { text, quoted: true } => visitor.visit_borrowed_str(text),
            Value::Scalar {
                text,
                quoted: false,
            } => match scalar::integer(text) {
                Some(value) if u64::try_from(value).is_ok() => visitor.visit_u64(value as u64),
                Some(value) if i64::try_from(value).is_ok() => visitor.visit_i64(value as i64),
                _ => match scalar::float(text) {
                    Some(value) => visitor.visit_f64(value),
                    None => visitor.visit_borrowed_str(text),
                },
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.node.value {
            Value::Bool(value) => visitor.visit_bool(value),
            _ => Err(DecodeError::mismatch("`true` or `false`", self.node)),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Scalar {
                text,
                quoted: false,
            } => match scalar::float(text) {
                Some(value) => visitor.visit_f64(value),
                None => Err(DecodeError::mismatch("a number", self.node)),
            },
            _ => Err(DecodeError::mismatch("a number", self.node)),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    /// Accepts the text of any scalar, for types that parse their own text format, such as durations.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.node.as_str() {
            Some(text) => visitor.visit_borrowed_str(text),
            None => Err(DecodeError::mismatch(&expecting(&visitor), self.node)),
        }
    }

    /// Accepts a quoted scalar, or a plain one that cannot be mistaken for a number or boolean.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Scalar { text, quoted } if *quoted || scalar::is_string(text) => {
                visitor.visit_borrowed_str(text)
            }
            Value::Scalar { text, .. } => Err(DecodeError::unquoted(text)),
            Value::Bool(value) => Err(DecodeError::unquoted(if *value { "true" } else { "false" })),
            _ => Err(DecodeError::mismatch("a string", self.node)),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() {
            visitor.visit_unit()
        } else {
            Err(DecodeError::mismatch("nothing", self.node))
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        keep::hand_over(name, self.node);
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(ListAccess::new(items, self.session)),
            _ => Err(DecodeError::mismatch("a list", self.node)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::List(items) if items.len() == length => {
                visitor.visit_seq(ListAccess::new(items, self.session))
            }
            Value::List(items) => Err(DecodeError::new(format!(
                "expected a list of {length} items, found {}",
                items.len()
            ))),
            _ => Err(DecodeError::mismatch(
                &format!("a list of {length} items"),
                self.node,
            )),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Map(map) => visitor.visit_map(MapReader::new(map, self.session)),
            _ => Err(DecodeError::mismatch("a map", self.node)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let map = match (&self.node.value, fields.first()) {
            (Value::Map(map), _) => map,
            (Value::Null, _) if self.session.null_is_absent() => &EMPTY,
            (Value::Null, _) => return Err(DecodeError::mismatch("a map", self.node)),
            (_, Some(first)) if name.ends_with('*') => {
                return visitor.visit_map(ShortAccess::new(first, self.node, self.session));
            }
            _ => return Err(DecodeError::mismatch("a map", self.node)),
        };
        let keys = StructKeys { name, keys: fields };
        let access = StructAccess::new(address(self.node), keys, map, self.session);
        let missing = |error: DecodeError| error.missing_in(name, self.session);
        visitor.visit_map(access).map_err(missing)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let (variant, place, value) = match &self.node.value {
            Value::Map(map) if map.len() == 1 => {
                let (key, entry) = map.first().expect("the map has one entry");
                if self.session.is_poisoned(&entry.node) {
                    return Err(DecodeError::echo());
                }
                (key.as_str(), &entry.key, Some(&entry.node))
            }
            Value::Map(map) if map.is_empty() => {
                return Err(DecodeError::new(format!(
                    "expected {}, found an empty map",
                    suggest::one_of(variants)
                )));
            }
            Value::Map(map) => {
                let keys: Vec<&str> = map.keys().map(String::as_str).collect();
                let found = keys
                    .iter()
                    .map(|key| format!("`{key}`"))
                    .collect::<Vec<_>>()
                    .join(", ");
                return Err(DecodeError::new(format!(
                    "expected a map with one key of {}, found {}: {found}",
                    suggest::one_of(variants),
                    keys.len()
                )));
            }
            _ => match self.node.as_str() {
                Some(text) => (text, &self.node.place, None),
                None => return Err(DecodeError::mismatch(&suggest::one_of(variants), self.node)),
            },
        };
        if !variants.contains(&variant) {
            if let Some(effect) = self.session.effect_of(name, variant) {
                return Err(DecodeError::passed(variant, effect).pointing(place));
            }
            let accepted = variants.iter().copied();
            let accepted: Vec<&str> = accepted.chain(self.session.unsupported(name)).collect();
            let hint = suggest::hint(variant, accepted);
            let (choice, shown) = (self.session.choice(), scalar::shorten(variant));
            let message = format!("unknown {choice}`{shown}`: {hint}");
            return Err(DecodeError::new(message).pointing(place));
        }
        visitor.visit_enum(EnumReader {
            variant,
            value,
            session: self.session,
        })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }
}

/// Returns the visitor's own description of the value that it expects.
fn expecting<'de, V: Visitor<'de>>(visitor: &V) -> String {
    struct Words<'a>(&'a dyn serde::de::Expected);
    impl std::fmt::Display for Words<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt(f)
        }
    }
    Words(visitor).to_string()
}

/// Reads a child. An error without a source location gets that of the child.
pub(super) fn read<'de, S: DeserializeSeed<'de>>(
    seed: S,
    node: &'de Node,
    session: &'de DecodeSession<'de>,
) -> Result<S::Value, DecodeError> {
    seed.deserialize(NodeDeserializer { node, session })
        .map_err(|error| error.at(node, session))
}
