//! Subsets of a cluster's hosts that routes select by labels. Source: Envoy, `SubsetLoadBalancer`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;
use shakedown_env::Time;
use shakedown_xds::table::{Fallback, Label, Labels, Selector, SelectorFallback, Subsets};

use super::input::{HostLoads, LbHost, LbSettings, Request};
use super::levels::PriorityLevels;

/// The subsets of a cluster's hosts, and the fallback of requests that match none.
#[derive(Debug)]
pub(super) struct SubsetIndex {
    subsets: Arc<Subsets>,
    by_labels: BTreeMap<Labels, PriorityLevels>,
    default: PriorityLevels,
}

impl SubsetIndex {
    pub(super) fn new(subsets: &Arc<Subsets>, seed: u64, now: Time) -> SubsetIndex {
        SubsetIndex {
            subsets: Arc::clone(subsets),
            by_labels: BTreeMap::new(),
            default: PriorityLevels::new(seed, now),
        }
    }

    /// Returns true if these subsets were built for this configuration.
    pub(super) fn are_of(&self, subsets: &Arc<Subsets>) -> bool {
        self.subsets == *subsets
    }

    pub(super) fn rebuild(
        &mut self,
        setting: &LbSettings<'_>,
        members: &[LbHost<'_>],
        seed: u64,
        now: Time,
    ) {
        let mut before = std::mem::take(&mut self.by_labels);
        for selector in &self.subsets.selectors {
            for member in members {
                let own = &member.host.labels;
                let labels: Option<Labels> = selector
                    .keys
                    .iter()
                    .map(|key| Some((Arc::clone(key), own.get(key)?.clone())))
                    .collect();
                let Some(labels) = labels.filter(|labels| !self.by_labels.contains_key(labels))
                else {
                    continue;
                };
                let mut levels = before
                    .remove(&labels)
                    .unwrap_or_else(|| PriorityLevels::new(seed, now));
                let chosen = |member: &LbHost<'_>| has(&member.host.labels, &labels);
                levels.rebuild(setting, members, chosen, now);
                self.by_labels.insert(labels, levels);
            }
        }
        let wanted = &self.subsets.default_subset;
        let chosen = |member: &LbHost<'_>| has(&member.host.labels, wanted);
        self.default.rebuild(setting, members, chosen, now);
    }

    /// Selects a member of the requested subset, or applies the fallback. `all` is the whole cluster.
    pub(super) fn pick(
        &mut self,
        all: &mut PriorityLevels,
        request: &Request<'_>,
        avoid: impl Fn(usize) -> bool,
        load: &(impl HostLoads + ?Sized),
        random: &mut impl Rng,
    ) -> Option<usize> {
        let wanted = request.labels.filter(|labels| !labels.is_empty());
        let mut wanted = wanted.map(Cow::Borrowed);
        // Each round has fewer labels, so the loop ends.
        let fallback = loop {
            let labels = wanted.as_deref();
            if let Some(levels) = labels.and_then(|labels| self.by_labels.get_mut(labels)) {
                return levels.pick(request, avoid, load, random);
            }
            let Some(selector) = labels.and_then(|labels| selector(&self.subsets, labels)) else {
                break self.subsets.fallback;
            };
            match &selector.fallback {
                None => break self.subsets.fallback,
                Some(SelectorFallback::To(fallback)) => break *fallback,
                Some(SelectorFallback::Keys(keys)) => {
                    let mut fewer = wanted
                        .expect("a selector was found by these labels")
                        .into_owned();
                    fewer.retain(|name, _| keys.contains(name));
                    wanted = Some(Cow::Owned(fewer));
                }
            }
        };
        match fallback {
            Fallback::None => None,
            Fallback::Any => all.pick(request, avoid, load, random),
            Fallback::Default => self.default.pick(request, avoid, load, random),
        }
    }
}

/// Returns the selector with exactly the requested label names.
fn selector<'s>(subsets: &'s Subsets, wanted: &Labels) -> Option<&'s Selector> {
    let mut selectors = subsets.selectors.iter();
    selectors.find(|selector| wanted.keys().eq(&selector.keys))
}

/// Returns true if a host has all of these labels.
fn has(own: &BTreeMap<Arc<str>, Label>, wanted: &Labels) -> bool {
    wanted
        .iter()
        .all(|(name, value)| own.get(name) == Some(value))
}
