//! The keys of `control`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_istio::registry::DefaultExport;

use super::values::{Count, Span, Text};

/// The key `control`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "Control", rename_all = "kebab-case", default)]
pub(crate) struct ControlKeys {
    /// The zone of the control plane. The default is the first zone
    pub(crate) zone: Option<Text>,
    /// Requests to undeclared hosts: forwarded, or answered with 502 (`registry-only`)
    pub(crate) outbound: OutboundMode,
    /// Time without changes before a push
    pub(crate) debounce: Span,
    /// The domain of identities
    pub(crate) trust_domain: Text,
    /// The namespace whose documents apply to the whole mesh
    pub(crate) root_namespace: Text,
    /// No other mode is supported yet
    pub(crate) mtls: MtlsMode,
    /// No other number is supported yet
    pub(crate) replicas: Count,
    /// The interval at which a canary's metrics are read
    pub(crate) telemetry: Span,
    /// `false` disables the canary controller
    pub(crate) canaries: bool,
    /// Delay until a proxy's workers apply an ejection
    pub(crate) ejection_delay: Span,
    /// Visibility of DestinationRules without `exportTo`: all namespaces, or `"."`, their own
    pub(crate) default_destination_rule_export_to: ExportScope,
    /// Visibility of VirtualServices without `exportTo`
    pub(crate) default_virtual_service_export_to: ExportScope,
}

impl Default for ControlKeys {
    fn default() -> Self {
        ControlKeys {
            zone: None,
            outbound: OutboundMode::AllowAny,
            debounce: Span::milliseconds(100),
            trust_domain: "cluster.local".into(),
            root_namespace: "istio-system".into(),
            mtls: MtlsMode::Permissive,
            replicas: Count(1),
            telemetry: Span::seconds(15),
            canaries: true,
            // Envoy's `update_merge_window`.
            ejection_delay: Span::seconds(1),
            default_destination_rule_export_to: ExportScope::All,
            default_virtual_service_export_to: ExportScope::All,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OutboundMode {
    AllowAny,
    RegistryOnly,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MtlsMode {
    Permissive,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub(crate) enum ExportScope {
    #[serde(rename = "*")]
    All,
    #[serde(rename = ".")]
    OwnNamespace,
}

impl From<ExportScope> for DefaultExport {
    fn from(scope: ExportScope) -> DefaultExport {
        match scope {
            ExportScope::All => DefaultExport::All,
            ExportScope::OwnNamespace => DefaultExport::OwnNamespace,
        }
    }
}
