//! Reads the section `calls` of a service: client settings for each callee.

use std::time::Duration;

use shakedown_yaml::{Node, suggest};

use super::fields::{Keys, get, long};
use super::reader::ScenarioReader;
use super::settings::with_settings;
use super::skeleton::Skeleton;
use crate::scenario::{AppHedge, CallConcurrency};

/// The keys of the client settings of a callee.
const SETTINGS: Keys = Keys {
    known: &[
        "timeout", "deadline", "retries", "hedge", "headers", "on-error", "pool",
    ],
    later: &[],
};
const HEDGE: Keys = Keys {
    known: &["after", "times"],
    later: &[],
};
const POOL: Keys = Keys {
    known: &["size", "wait"],
    later: &[],
};
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
            self.keys(&entry.node, &SETTINGS);
            // `any` is not checked alone, because its callees may supply the keys that it lacks.
            if target != "any" && entry.node.as_map().is_some() {
                let empty = Node::map(Vec::<(String, Node)>::new(), entry.node.place.clone());
                self.settings(&with_settings(&empty, Some(node), target));
            }
        }
    }

    /// Reports errors in settings, even if no call uses them.
    fn settings(&mut self, node: &Node) {
        let places = self.places.len();
        self.try_timeout(node);
        self.bound(node, "deadline");
        self.retries(node, "");
        self.hedge(node);
        self.headers(node, "headers");
        self.on_error(node);
        self.pool(node);
        // The settings are only validated here, so their random draws must not be recorded.
        self.places.truncate(places);
    }

    /// Reads `hedge`. `None` without hedging.
    pub(super) fn hedge(&mut self, node: &Node) -> Option<AppHedge> {
        let hedge = long(get(node, "hedge")?, "after");
        self.keys(&hedge, &HEDGE);
        if get(&hedge, "after").is_none() {
            self.missing(&hedge, "after", "hedge: 10ms");
            return None;
        }
        let after = self.bound(&hedge, "after")?;
        let times = self.count(&hedge, "times").unwrap_or(1);
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
        self.keys(&pool, &POOL);
        if get(&pool, "size").is_none() {
            self.missing(&pool, "size", "pool: {size: 10}");
            return None;
        }
        let size = self.positive_limit(&pool, "size")??;
        Some(CallConcurrency {
            size,
            wait: self.wait(&pool),
        })
    }

    /// Reads the maximum wait of a call for a slot. `None`: no bound.
    fn wait(&mut self, pool: &Node) -> Option<Duration> {
        match get(pool, "wait")?.as_str() {
            Some("unlimited") => None,
            _ => self.duration(pool, "wait"),
        }
    }
}
