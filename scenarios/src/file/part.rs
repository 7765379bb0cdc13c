//! A struct of keys that may share its map with others: what the reader and the schema need of its type.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use shakedown_yaml::StructKeys;

#[derive(Clone, Copy)]
pub(crate) struct KeyPart {
    pub(crate) keys: StructKeys,
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
}

impl KeyPart {
    pub(super) fn new<T: JsonSchema + for<'de> Deserialize<'de>>() -> KeyPart {
        KeyPart {
            keys: StructKeys::new::<T>(),
            schema: T::json_schema,
        }
    }
}
