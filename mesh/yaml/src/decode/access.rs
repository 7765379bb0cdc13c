//! Serde access to lists, maps, structs and enums, child by child. Children in error are treated as absent.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::deserializer::{NodeDeserializer, read};
use super::error::DecodeError;
use super::key::KeyDeserializer;
use super::session::DecodeSession;
use super::struct_keys::StructKeys;
use crate::tree::{Map, MapEntry, Node};

pub(super) struct ListAccess<'de> {
    items: std::slice::Iter<'de, Node>,
    session: &'de DecodeSession<'de>,
}

impl<'de> ListAccess<'de> {
    pub(super) fn new(items: &'de [Node], session: &'de DecodeSession<'de>) -> Self {
        ListAccess {
            items: items.iter(),
            session,
        }
    }
}

impl<'de> SeqAccess<'de> for ListAccess<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let session = self.session;
        match self.items.find(|node| !session.is_poisoned(node)) {
            Some(node) => read(seed, node, session).map(Some),
            None => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a map that were not read yet.
struct MapEntries<'de> {
    rest: indexmap::map::Iter<'de, String, MapEntry>,
    /// The value of the key that was read last.
    value: Option<&'de Node>,
    session: &'de DecodeSession<'de>,
}

impl<'de> MapEntries<'de> {
    fn new(map: &'de Map, session: &'de DecodeSession<'de>) -> Self {
        MapEntries {
            rest: map.iter(),
            value: None,
            session,
        }
    }

    fn next_value<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        read(
            seed,
            self.value
                .take()
                .expect("serde requests the key before the value"),
            self.session,
        )
    }
}

/// Access to a map whose keys are data.
pub(super) struct MapReader<'de>(MapEntries<'de>);

impl<'de> MapReader<'de> {
    pub(super) fn new(map: &'de Map, session: &'de DecodeSession<'de>) -> Self {
        MapReader(MapEntries::new(map, session))
    }
}

impl<'de> MapAccess<'de> for MapReader<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let session = self.0.session;
        let Some((key, entry)) = self
            .0
            .rest
            .find(|(_, entry)| !session.is_poisoned(&entry.node))
        else {
            return Ok(None);
        };
        self.0.value = Some(&entry.node);
        let place = |error: DecodeError| error.pointing(&entry.key).at(&entry.node, session);
        seed.deserialize(KeyDeserializer { text: key, entry })
            .map(Some)
            .map_err(place)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        self.0.next_value(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.rest.len())
    }
}

/// Access to a map whose keys are a struct's fields. Unknown keys are reported to the session.
pub(super) struct StructAccess<'de> {
    /// The address of the struct's value.
    at: usize,
    keys: StructKeys,
    entries: MapEntries<'de>,
}

impl<'de> StructAccess<'de> {
    pub(super) fn new(
        at: usize,
        keys: StructKeys,
        map: &'de Map,
        session: &'de DecodeSession<'de>,
    ) -> Self {
        let entries = MapEntries::new(map, session);
        StructAccess { at, keys, entries }
    }
}

impl<'de> MapAccess<'de> for StructAccess<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let session = self.entries.session;
        for (key, entry) in self.entries.rest.by_ref() {
            let is_absent = entry.node.is_null() && session.null_is_absent();
            if !self.keys.keys.contains(&key.as_str()) {
                session.unknown_key(self.at, &self.keys, key, entry);
            } else if !is_absent && !session.is_poisoned(&entry.node) {
                self.entries.value = Some(&entry.node);
                return seed
                    .deserialize(BorrowedStrDeserializer::new(key))
                    .map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        self.entries.next_value(seed)
    }
}

/// Access to the short form of a struct: the value alone, taken as that of the first field.
pub(super) struct ShortAccess<'de> {
    field: Option<&'static str>,
    node: &'de Node,
    session: &'de DecodeSession<'de>,
}

impl<'de> ShortAccess<'de> {
    pub(super) fn new(
        field: &'static str,
        node: &'de Node,
        session: &'de DecodeSession<'de>,
    ) -> Self {
        ShortAccess {
            field: Some(field),
            node,
            session,
        }
    }
}

impl<'de> MapAccess<'de> for ShortAccess<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        match self.field.take() {
            Some(field) => seed
                .deserialize(BorrowedStrDeserializer::new(field))
                .map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        read(seed, self.node, self.session)
    }
}

/// Access to an enum variant, written as a name or as the only key of a map.
pub(super) struct EnumReader<'de> {
    pub(super) variant: &'de str,
    pub(super) value: Option<&'de Node>,
    pub(super) session: &'de DecodeSession<'de>,
}

impl EnumReader<'_> {
    fn needs_value(&self) -> DecodeError {
        DecodeError::new(format!(
            "`{0}` needs a value: write `{0}: ...`",
            self.variant
        ))
    }
}

impl<'de> EnumAccess<'de> for EnumReader<'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        let variant = seed.deserialize(self.variant.into_deserializer())?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for EnumReader<'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        match self.value {
            Some(node) if !node.is_null() => {
                let error = DecodeError::new(format!(
                    "`{}` does not accept a value, found {}",
                    self.variant,
                    node.describe()
                ));
                Err(error.at(node, self.session))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        match self.value {
            Some(node) => read(seed, node, self.session),
            None => Err(self.needs_value()),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        use serde::de::Deserializer as _;
        match self.value {
            Some(node) => NodeDeserializer {
                node,
                session: self.session,
            }
            .deserialize_tuple(length, visitor)
            .map_err(|error| error.at(node, self.session)),
            None => Err(self.needs_value()),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        use serde::de::Deserializer as _;
        match self.value {
            // The name is empty because serde passes no name for a variant, so its keys cannot be in the list of
            // unsupported keys.
            Some(node) => NodeDeserializer {
                node,
                session: self.session,
            }
            .deserialize_struct("", fields, visitor)
            .map_err(|error| error.at(node, self.session)),
            None => Err(self.needs_value()),
        }
    }
}
