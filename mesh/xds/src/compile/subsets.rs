//! Compiles `LbSubsetConfig`, and the metadata by which subsets are selected.

use std::sync::Arc;

use super::problem::{FieldProblem, Result, enumerated, fields};
use crate::proto::cluster::cluster::LbSubsetConfig;
use crate::proto::cluster::cluster::lb_subset_config::lb_subset_selector::LbSubsetSelectorFallbackPolicy;
use crate::proto::cluster::cluster::lb_subset_config::{LbSubsetFallbackPolicy, LbSubsetSelector};
use crate::proto::core::Metadata;
use crate::proto::protobuf::value::Kind;
use crate::proto::protobuf::{Struct, Value};
use crate::table::{Fallback, Label, Labels, Selector, SelectorFallback, Subsets};

/// The metadata namespace of the labels of hosts and routes. Source: Envoy, `envoy.lb`.
pub(super) const FILTER: &str = "envoy.lb";

/// Compiles a cluster's subsets. `None` without selectors, because then subsets have no effect.
pub(super) fn of_cluster(config: &LbSubsetConfig) -> Result<Option<Arc<Subsets>>> {
    if config.subset_selectors.is_empty() {
        return Ok(None);
    }
    fields!(config => LbSubsetConfig {
        refused: locality_weight_aware scale_locality_weight panic_mode_any list_as_any metadata_fallback_policy;
        used: fallback_policy default_subset subset_selectors;
    });
    let fallback = match enumerated("fallback_policy", config.fallback_policy)? {
        LbSubsetFallbackPolicy::NoFallback => Fallback::None,
        LbSubsetFallbackPolicy::AnyEndpoint => Fallback::Any,
        LbSubsetFallbackPolicy::DefaultSubset => Fallback::Default,
    };
    let mut selectors = Vec::with_capacity(config.subset_selectors.len());
    for (index, written) in config.subset_selectors.iter().enumerate() {
        let selector = selector(written)
            .map_err(|problem| problem.within(&format!("subset_selectors[{index}]")))?;
        // If two selectors have the same names, the first one is used.
        if !selectors
            .iter()
            .any(|known: &Selector| known.keys == selector.keys)
        {
            selectors.push(selector);
        }
    }
    Ok(Some(Arc::new(Subsets {
        selectors,
        fallback,
        default_subset: config
            .default_subset
            .as_ref()
            .map(labels)
            .unwrap_or_default(),
    })))
}

fn selector(written: &LbSubsetSelector) -> Result<Selector> {
    fields!(written => LbSubsetSelector {
        refused: single_host_per_subset;
        used: keys fallback_policy fallback_keys_subset;
    });
    let fallback = match enumerated("fallback_policy", written.fallback_policy)? {
        LbSubsetSelectorFallbackPolicy::NotDefined => None,
        LbSubsetSelectorFallbackPolicy::NoFallback => Some(SelectorFallback::To(Fallback::None)),
        LbSubsetSelectorFallbackPolicy::AnyEndpoint => Some(SelectorFallback::To(Fallback::Any)),
        LbSubsetSelectorFallbackPolicy::DefaultSubset => {
            Some(SelectorFallback::To(Fallback::Default))
        }
        LbSubsetSelectorFallbackPolicy::KeysSubset => {
            Some(SelectorFallback::Keys(names(&written.fallback_keys_subset)))
        }
    };
    let keys = names(&written.keys);
    if keys.is_empty() {
        return Err(FieldProblem::new(
            "keys",
            "expected at least one, found none",
        ));
    }
    fallback_keys(written, &keys)?;
    Ok(Selector { keys, fallback })
}

/// Checks that the fallback names are a proper subset of the selector's own, so that the chain of fallbacks ends.
/// Source: Envoy, `SubsetSelector`.
fn fallback_keys(written: &LbSubsetSelector, keys: &[Arc<str>]) -> Result<()> {
    const FIELD: &str = "fallback_keys_subset";
    let own = names(&written.fallback_keys_subset);
    let by_keys = LbSubsetSelectorFallbackPolicy::KeysSubset as i32;
    let text = if written.fallback_policy != by_keys {
        if own.is_empty() {
            return Ok(());
        }
        "must be empty unless the policy is KEYS_SUBSET"
    } else if own.is_empty() {
        "expected at least one, found none"
    } else if own.iter().any(|key| !keys.contains(key)) {
        "expected a subset of `keys`"
    } else if own.len() == keys.len() {
        "expected a proper subset of `keys`"
    } else {
        return Ok(());
    };
    Err(FieldProblem::new(FIELD, text))
}

/// Sorts and deduplicates names.
fn names(written: &[String]) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = written.iter().map(|key| key.as_str().into()).collect();
    names.sort();
    names.dedup();
    names
}

/// Returns the labels that a route requires of hosts, or `None` if there are none.
pub(super) fn of_route(metadata: Option<&Metadata>) -> Option<Labels> {
    Some(of_metadata(metadata)).filter(|labels| !labels.is_empty())
}

/// Returns the labels in the `envoy.lb` namespace.
pub(super) fn of_metadata(metadata: Option<&Metadata>) -> Labels {
    let fields = metadata.and_then(|metadata| metadata.filter_metadata.get(FILTER));
    fields.map(labels).unwrap_or_default()
}

/// Returns the scalar values. Lists and structures are not supported as labels.
fn labels(fields: &Struct) -> Labels {
    let label = |value: &Value| match value.kind.as_ref()? {
        Kind::NullValue(_) => Some(Label::Null),
        Kind::BoolValue(value) => Some(Label::Bool(*value)),
        Kind::NumberValue(value) => Some(Label::Number(value.to_bits())),
        Kind::StringValue(text) => Some(Label::Text(text.as_str().into())),
        Kind::StructValue(_) | Kind::ListValue(_) => None,
    };
    let fields = fields.fields.iter();
    fields
        .filter_map(|(name, value)| Some((Arc::from(name.as_str()), label(value)?)))
        .collect()
}
