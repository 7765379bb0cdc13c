//! Reads the section `calls` of a service: client settings for each callee.

use std::time::Duration;

use shakedown_yaml::{Node, StructKeys, suggest};

use super::fields::{get, long};
use super::reader::ScenarioReader;
use super::settings::with_settings;
use super::skeleton::Skeleton;
use crate::file::{
    AttemptTimeout, CallPoolKeys, CallSettingKeys, Count, HedgeKeys, PoolKeys, Span,
};
use crate::scenario::{AppHedge, AttemptBound, CallConcurrency};

/// The maximum number of hedges per call, because all attempts of a call may be open at once.
const HEDGES_MAX: u32 = 100;

impl ScenarioReader<'_> {
    /// Checks `calls`, whose keys are services or `any`, each with client settings.
    pub(super) fn client_settings(&mut self, node: &Node, services: &[Skeleton]) {
        let Some(map) = self.map(node) else { return };
        for (target, entry) in map {
            if target != "any" && !services.iter().any(|s| s.name == *target) && !self.incomplete {
                let known = services.iter().map(|s| s.name.as_str()).chain(["any"]);
                let hint = suggest::hint(target, known.collect::<Vec<_>>());
                self.error(&entry.key, format!("no service `{target}`: {hint}"));
            }
            let settings = StructKeys::new::<CallSettingKeys>();
            self.keys(&entry.node, settings, &[StructKeys::new::<CallPoolKeys>()]);
            // `any` is not checked alone, because its callees may supply the keys that it lacks.
            if target != "any" && entry.node.as_map().is_some() {
                let empty = Node::map(Vec::<(String, Node)>::new(), entry.node.place.clone());
                self.settings(&with_settings(&empty, Some(node), target));
            }
        }
    }

    /// Reports errors in settings, even if no call uses them.
    fn settings(&mut self, node: &Node) {
        let streams = self.streams.len();
        self.call_settings(node);
        self.retries(node, "");
        self.hedge(node);
        self.pool(node);
        // The settings are only validated here, so their random draws must not be recorded.
        self.streams.truncate(streams);
    }

    /// Reads the settings of a call, except for those that are maps of their own.
    pub(super) fn call_settings(&mut self, node: &Node) -> CallSettingKeys {
        let keys: CallSettingKeys = self.decode_part(node).unwrap_or_default();
        if keys.timeout == Some(AttemptTimeout(AttemptBound::Span(Duration::ZERO))) {
            self.zero(node, "timeout");
        }
        if keys.deadline == Some(Span(Duration::ZERO)) {
            self.zero(node, "deadline");
        }
        keys
    }

    /// Reports that the value of a key is zero.
    fn zero(&mut self, map: &Node, key: &str) {
        if let Some(written) = get(map, key) {
            self.error(&written.place, format!("`{key}` must be longer than `0s`"));
        }
    }

    /// Reads `hedge`. `None` without hedging.
    pub(super) fn hedge(&mut self, node: &Node) -> Option<AppHedge> {
        let hedge = long(get(node, "hedge")?, "after");
        let keys: HedgeKeys = self.decode(&hedge)?;
        let (Span(after), Count(times)) = (keys.after, keys.times);
        if after.is_zero() {
            self.zero(&hedge, "after");
        }
        if times > HEDGES_MAX
            && let Some(written) = get(&hedge, "times")
        {
            self.error(
                &written.place,
                format!("`{times}` hedges are too many: at most {HEDGES_MAX}"),
            );
        }
        (times > 0 && !after.is_zero()).then(|| AppHedge {
            after,
            times: times.min(HEDGES_MAX),
        })
    }

    /// Reads `pool`, the limit of concurrent calls to one callee. `None` without a limit.
    pub(super) fn pool(&mut self, node: &Node) -> Option<CallConcurrency> {
        let pool = long(get(node, "pool")?, "size");
        let keys: PoolKeys = self.decode(&pool)?;
        Some(CallConcurrency {
            size: self.positive(&pool, "size", &keys.size)?,
            wait: keys.wait.0,
        })
    }
}
