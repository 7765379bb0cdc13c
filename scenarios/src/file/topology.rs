//! The keys of `topology`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::schema;
use super::values::Text;

/// The key `topology`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename = "Topology", rename_all = "kebab-case", default)]
pub(crate) struct TopologyKeys {
    /// Name -> `region` and `subzone`; without zones, there is one zone `a`
    #[schemars(with = "BTreeMap<String, ZoneKeys>")]
    pub(crate) zones: Option<IgnoredAny>,
    /// {**all**, `same-zone`: 250us, `cross-zone`: 1ms, `cross-region`: 30ms, `a -> b`, `a <-> b`}: one-way latency of
    /// each packet; the ends are zones, or services and loads, which take precedence
    #[schemars(schema_with = "schema::latency")]
    pub(crate) latency: Option<IgnoredAny>,
    /// Any key of a service, applied to all services
    #[schemars(schema_with = "schema::service")]
    pub(crate) defaults: Option<IgnoredAny>,
    /// Name -> service
    #[schemars(schema_with = "schema::services")]
    pub(crate) services: Option<IgnoredAny>,
}

/// A zone.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Zone", rename_all = "kebab-case", default)]
pub(crate) struct ZoneKeys {
    /// The region, for latencies and locality load balancing
    pub(crate) region: Text,
    /// The subzone
    pub(crate) subzone: Option<Text>,
}

impl Default for ZoneKeys {
    fn default() -> Self {
        ZoneKeys {
            region: "local".into(),
            subzone: None,
        }
    }
}
