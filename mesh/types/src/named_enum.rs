//! Enums whose variants are displayed and serialised by name.

/// Defines an enum with a name per variant. A value is displayed and serialised as that name, never as the variant's
/// index, so that formats which are not self-describing keep the same bytes if a variant is added.
macro_rules! named_enum {
    (
        $(#[$doc:meta])*
        pub enum $type:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)*
        }
        expected $expected:literal
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $type {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $type {
            /// All variants, in order.
            pub const ALL: &'static [$type] = &[$($type::$variant),*];

            /// The name.
            pub const fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $name,)*
                }
            }

            /// The variant of a name.
            pub fn from_name(name: &str) -> Option<$type> {
                $type::ALL.iter().copied().find(|known| known.name() == name)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let name = <String as serde::Deserialize>::deserialize(deserializer)?;
                $type::from_name(&name).ok_or_else(|| {
                    let unexpected = serde::de::Unexpected::Str(&name);
                    <D::Error as serde::de::Error>::invalid_value(unexpected, &$expected)
                })
            }
        }
    };
}

pub(crate) use named_enum;

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::{BreakerLimit, CanaryPhase, Detector};

    /// The serialised form in JSON. Asserts that the form in postcard is that of the same text.
    fn json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) -> String {
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<T>(&json).unwrap(), value);
        let text: String = serde_json::from_str(&json).unwrap();
        assert_eq!(
            postcard::to_stdvec(&value).unwrap(),
            postcard::to_stdvec(&text).unwrap()
        );
        text
    }

    #[test]
    fn a_variant_is_serialised_as_its_name() {
        assert_eq!(
            Detector::ALL.iter().copied().map(json).collect::<Vec<_>>(),
            [
                "consecutive-5xx",
                "consecutive-gateway-failure",
                "consecutive-local-origin-failure",
                "success-rate",
                "success-rate-local-origin",
                "failure-percentage",
                "failure-percentage-local-origin",
            ]
        );
        assert_eq!(
            BreakerLimit::ALL
                .iter()
                .copied()
                .map(json)
                .collect::<Vec<_>>(),
            ["connections", "pending", "requests", "retries"]
        );
        assert_eq!(
            CanaryPhase::ALL
                .iter()
                .copied()
                .map(json)
                .collect::<Vec<_>>(),
            [
                "initializing",
                "initialized",
                "waiting",
                "progressing",
                "waiting-promotion",
                "promoting",
                "finalising",
                "succeeded",
                "terminating",
                "terminated",
                "failed",
            ]
        );
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let error = serde_json::from_str::<CanaryPhase>("\"promoted\"").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid value: string \"promoted\", expected a phase of a canary"
        );
    }
}
