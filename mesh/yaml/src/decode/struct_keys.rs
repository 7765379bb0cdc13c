//! The keys of a struct, as its derived `Deserialize` implementation passes them to a deserializer.

use std::cell::Cell;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor, value};

/// The serde name of a struct and its keys, in the order of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StructKeys {
    pub name: &'static str,
    pub keys: &'static [&'static str],
}

impl StructKeys {
    /// Returns the keys of `T`.
    ///
    /// # Panics
    /// If `T` is not a struct with named fields.
    pub fn new<T: for<'de> Deserialize<'de>>() -> StructKeys {
        let found = Cell::new(None);
        let recorder = KeyRecorder {
            found: &found,
            borrow: PhantomData,
        };
        // The recorder refuses every type, after it has taken a struct's keys.
        let _refused = T::deserialize(recorder).is_err();
        found.get().expect("`deserialize_struct` records the keys")
    }
}

struct KeyRecorder<'a, 'de> {
    found: &'a Cell<Option<StructKeys>>,
    borrow: PhantomData<&'de ()>,
}

impl<'de> Deserializer<'de> for KeyRecorder<'_, 'de> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(value::Error::custom("expected a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        self.found.set(Some(StructKeys { name, keys }));
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
