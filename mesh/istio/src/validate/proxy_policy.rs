//! Validation of `ProxyPolicy`.

use std::time::Duration;

use shakedown_yaml::Spanned;

use super::DocumentCheck;
use crate::{
    AdaptiveConcurrency, AdaptiveThrottle, Hedge, LocalRateLimit, ProxyPolicy, Resource, Shed,
};

/// The maximum number of hedges of one request.
const HEDGES_MAX: u32 = 10;

impl<'a> DocumentCheck<'a> {
    pub(super) fn proxy_policy(&mut self, resource: &'a Resource<ProxyPolicy>) {
        let spec = &resource.spec;
        match (&spec.host, &spec.selector) {
            (None, None) => self.report(
                &spec.place,
                "it applies to no proxy: expected `host` (the callers' proxies) or `selector` (the workload's own proxies)",
            ),
            (Some(_), Some(selector)) => self.report(
                &selector.place,
                "expected one of `host` and `selector`, found both: write two documents",
            ),
            (Some(host), None) => {
                self.host_name(host);
                self.not_by_host(spec);
            }
            (None, Some(selector)) => {
                if selector.match_labels.is_empty() {
                    let message = "`matchLabels` is empty: expected at least one label";
                    self.report(&selector.place, message);
                }
                self.not_by_selector(spec);
            }
        }
        self.policy_values(spec);
    }

    /// Reports inbound settings, which require a `selector`, in a policy with `host`.
    fn not_by_host(&mut self, spec: &Spanned<ProxyPolicy>) {
        let inbound = [
            (
                "rateLimit",
                spec.rate_limit.as_ref().map(|limit| &limit.place),
            ),
            (
                "adaptiveConcurrency",
                spec.adaptive_concurrency
                    .as_ref()
                    .map(|concurrency| &concurrency.place),
            ),
            ("shed", spec.shed.as_ref().map(|shed| &shed.place)),
        ];
        for (name, place) in inbound {
            if let Some(place) = place {
                let message = format!(
                    "`{name}` applies to inbound requests: expected `selector` instead of `host`"
                );
                self.report(place, message);
            }
        }
        if spec.balancer.is_none() && spec.hedge.is_none() && spec.adaptive_throttle.is_none() {
            let message = "it has no settings: expected `balancer`, `hedge` or `adaptiveThrottle`";
            self.report(&spec.place, message);
        }
    }

    /// Reports outbound settings, which require a `host`, in a policy with `selector`.
    fn not_by_selector(&mut self, spec: &Spanned<ProxyPolicy>) {
        let outbound = [
            (
                "balancer",
                spec.balancer.as_ref().map(|balancer| &balancer.place),
            ),
            ("hedge", spec.hedge.as_ref().map(|hedge| &hedge.place)),
            (
                "adaptiveThrottle",
                spec.adaptive_throttle
                    .as_ref()
                    .map(|throttle| &throttle.place),
            ),
        ];
        for (name, place) in outbound {
            if let Some(place) = place {
                let message = format!(
                    "`{name}` applies to outbound requests: expected `host` instead of `selector`"
                );
                self.report(place, message);
            }
        }
        if spec.rate_limit.is_none() && spec.adaptive_concurrency.is_none() && spec.shed.is_none() {
            let message =
                "it has no settings: expected `rateLimit`, `adaptiveConcurrency` or `shed`";
            self.report(&spec.place, message);
        }
    }

    fn policy_values(&mut self, spec: &Spanned<ProxyPolicy>) {
        if let Some(hedge) = &spec.hedge {
            self.hedge(hedge);
        }
        if let Some(throttle) = &spec.adaptive_throttle {
            self.throttle(throttle);
        }
        if let Some(limit) = &spec.rate_limit {
            self.local_rate_limit(&limit.local);
        }
        if let Some(adaptive) = &spec.adaptive_concurrency {
            self.adaptive_concurrency(adaptive);
        }
        if let Some(shed) = &spec.shed {
            self.shed(shed);
        }
    }

    fn hedge(&mut self, hedge: &Hedge) {
        if let Some(times) = &hedge.times
            && !(1..=HEDGES_MAX).contains(&times.value)
        {
            let message = format!("`times: {}`: expected 1 to {HEDGES_MAX}", times.value);
            self.report(&times.place, message);
        }
    }

    fn throttle(&mut self, throttle: &AdaptiveThrottle) {
        if let Some(k) = &throttle.k
            && k.value.micros() < 1_000_000
        {
            let message = format!("`k: {}`: expected 1 or more", k.value);
            self.report(&k.place, message);
        }
    }

    fn local_rate_limit(&mut self, limit: &LocalRateLimit) {
        /// Envoy's minimum fill interval.
        const PER_MIN: Duration = Duration::from_millis(50);
        self.at_least_one("requests", Some(&limit.requests));
        self.at_least_one("burst", limit.burst.as_ref());
        if let Some(burst) = limit
            .burst
            .as_ref()
            .filter(|burst| burst.value < limit.requests.value)
        {
            let message = format!(
                "`burst: {}` is below `requests: {}`, which could then never be reached",
                burst.value, limit.requests.value
            );
            self.report(&burst.place, message);
        }
        if limit.per.value.0 < PER_MIN {
            let message = format!("`per: {}`: expected 50ms or more", limit.per.value);
            self.report(&limit.per.place, message);
        }
    }

    fn adaptive_concurrency(&mut self, adaptive: &AdaptiveConcurrency) {
        self.at_least_one("max", adaptive.max.as_ref());
        self.at_least_one("min", adaptive.min.as_ref());
        if let (Some(min), Some(max)) = (&adaptive.min, &adaptive.max)
            && min.value > max.value
        {
            let message = format!("`min: {}` is above `max: {}`", min.value, max.value);
            self.report(&min.place, message);
        }
    }

    fn shed(&mut self, shed: &Shed) {
        self.at_least_one("concurrency", Some(&shed.concurrency));
    }

    fn at_least_one(&mut self, name: &str, value: Option<&Spanned<u32>>) {
        if let Some(value) = value.filter(|value| value.value == 0) {
            self.report(&value.place, format!("`{name}: 0`: expected 1 or more"));
        }
    }
}
