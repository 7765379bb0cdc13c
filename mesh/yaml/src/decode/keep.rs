//! Types that keep more than serde's data model can carry: a value's place, a whole subtree, a scalar's text.
//!
//! serde has no way to pass a place or a [`Node`], so the deserializer leaves them in a thread-local slot immediately
//! before it calls the visitor, which takes them first. Both sides are in this module and nothing runs in between.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Deref;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::diagnostic::Location;
use crate::tree::{MapEntry, Node, Value, scalar};

const SPANNED: &str = "$shakedown::Spanned";
const RAW: &str = "$shakedown::Raw";

thread_local! {
    static PLACE: RefCell<Option<Location>> = const { RefCell::new(None) };
    static NODE: RefCell<Option<Node>> = const { RefCell::new(None) };
}

pub(super) fn hand_over(name: &'static str, node: &Node) {
    match name {
        SPANNED => PLACE.set(Some(node.place.clone())),
        RAW => NODE.set(Some(node.clone())),
        _ => {}
    }
}

pub(super) fn hand_over_key(name: &'static str, text: &str, entry: &MapEntry) {
    match name {
        SPANNED => PLACE.set(Some(entry.key.clone())),
        RAW => NODE.set(Some(Node::string(text, entry.key.clone()))),
        _ => {}
    }
}

/// A value and its place. Comparison, order and hash ignore the place.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The beginning of the value. [`Location::whole`] of an empty name if it was not read from a tree.
    pub place: Location,
    pub value: T,
}

impl<T> Spanned<T> {
    pub fn new(value: T, place: Location) -> Self {
        Spanned { place, value }
    }

    /// Changes the value and keeps the place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned {
            place: self.place,
            value: change(self.value),
        }
    }
}

impl<T: Default> Default for Spanned<T> {
    fn default() -> Self {
        Spanned {
            place: Location::whole(""),
            value: T::default(),
        }
    }
}

impl<T> From<T> for Spanned<T> {
    /// Wraps a value that was not read from a file.
    fn from(value: T) -> Self {
        Spanned {
            place: Location::whole(""),
            value,
        }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: PartialOrd> PartialOrd for Spanned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl<T: Ord> Ord for Spanned<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.cmp(&other.value)
    }
}

impl<T: Hash> Hash for Spanned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl Borrow<str> for Spanned<String> {
    fn borrow(&self) -> &str {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keep<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Keep<T> {
            type Value = Spanned<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Spanned<T>, D::Error> {
                let place = PLACE.take().unwrap_or_else(|| Location::whole(""));
                Ok(Spanned {
                    place,
                    value: T::deserialize(deserializer)?,
                })
            }
        }

        deserializer.deserialize_newtype_struct(SPANNED, Keep(PhantomData))
    }
}

/// An unchanged subtree. Can only be read from trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw(pub Node);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keep;

        impl<'de> Visitor<'de> for Keep {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a part of a YAML tree")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Raw, D::Error> {
                NODE.take()
                    .map(Raw)
                    .ok_or_else(|| D::Error::custom("a raw part can only be read from a YAML tree"))
            }
        }

        deserializer.deserialize_newtype_struct(RAW, Keep)
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

/// Serializes a tree without its places. A plain number is a number, as it is for visitors that accept several types.
fn serialize<S: Serializer>(node: &Node, serializer: S) -> Result<S::Ok, S::Error> {
    struct Child<'a>(&'a Node);

    impl Serialize for Child<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serialize(self.0, serializer)
        }
    }

    match &node.value {
        Value::Null => serializer.serialize_unit(),
        Value::Bool(value) => serializer.serialize_bool(*value),
        Value::List(items) => serializer.collect_seq(items.iter().map(Child)),
        Value::Map(map) => {
            serializer.collect_map(map.iter().map(|(key, entry)| (key, Child(&entry.node))))
        }
        Value::Scalar {
            text,
            quoted: false,
        } => match (scalar::integer(text), scalar::float(text)) {
            (Some(value), _) => value.serialize(serializer),
            (None, Some(value)) => serializer.serialize_f64(value),
            (None, None) => serializer.serialize_str(text),
        },
        Value::Scalar { text, quoted: true } => serializer.serialize_str(text),
    }
}

/// The text of any scalar, quoted or plain.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer, "a plain value", |text| {
            Ok::<_, Infallible>(Text(text.to_owned()))
        })
    }
}

/// Reads the text of any scalar with [`FromStr`], whose error becomes the message. For `#[serde(deserialize_with)]` and
/// for hand-written [`Deserialize`] impls of value types.
///
/// # Errors
/// The error of `T`'s parser.
pub fn from_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
    D: Deserializer<'de>,
{
    parse_text(deserializer, "a plain value", str::parse)
}

/// Reads the text of any scalar with a parser, whose error becomes the message. A list or a map is refused with the
/// words for the `expected` value, such as `a duration`.
///
/// # Errors
/// The error of the parser.
pub fn parse_text<'de, T, E, D>(
    deserializer: D,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error>
where
    E: fmt::Display,
    D: Deserializer<'de>,
{
    struct Parse<F>(&'static str, F);

    impl<T, E: fmt::Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Parse<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<D: serde::de::Error>(self, text: &str) -> Result<T, D> {
            (self.1)(text).map_err(D::custom)
        }
    }

    deserializer.deserialize_str(Parse(expected, parse))
}
