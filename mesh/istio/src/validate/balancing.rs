//! Validation of `loadBalancer`. Source: Istio, `validateLoadBalancer` and `validateLocalityLbSetting`. Settings that
//! Istio accepts but Envoy would reject or ignore are errors, too.

use std::collections::BTreeMap;

use shakedown_xds::compile::is_prime;
use shakedown_xds::table;
use shakedown_yaml::{Location, Spanned};

use super::DocumentCheck;
use crate::{
    ConsistentHash, Distribute, Failover, HttpCookie, LoadBalancer, LocalityLb, SimpleLb, Warmup,
};

/// The label of the region in `failoverPriority`.
const REGION: &str = "topology.kubernetes.io/region";

impl DocumentCheck<'_> {
    pub(super) fn load_balancer(&mut self, balancer: &LoadBalancer) {
        if let (Some(_), Some(hash)) = (&balancer.simple, &balancer.consistent_hash) {
            self.report(
                &hash.place,
                "both `simple` and `consistentHash` are set: expected one of them",
            );
        }
        if let Some(hash) = &balancer.consistent_hash {
            self.consistent_hash(hash);
        }
        if let Some(warmup) = &balancer.warmup {
            self.warmup(warmup);
        }
        let warms = balancer.warmup.is_some() || balancer.warmup_duration_secs.is_some();
        let is_random = |simple: &&Spanned<SimpleLb>| simple.value == SimpleLb::Random;
        if let Some(simple) = balancer.simple.as_ref().filter(is_random)
            && warms
        {
            self.report(
                &simple.place,
                "RANDOM does not support `warmup`: expected ROUND_ROBIN or LEAST_REQUEST, or no `warmup`",
            );
        }
        if let (Some(hash), true) = (&balancer.consistent_hash, warms) {
            self.report(
                &hash.place,
                "`consistentHash` does not support `warmup`: expected only one of them",
            );
        }
        if let Some(locality) = &balancer.locality_lb_setting {
            self.locality(locality);
        }
    }

    fn consistent_hash(&mut self, hash: &Spanned<ConsistentHash>) {
        if hash.keys() != 1 {
            let message = format!(
                "`consistentHash` has {} hash keys: expected one of `httpHeaderName`, `httpCookie`, `useSourceIp`, \
                 `httpQueryParameterName`",
                hash.keys()
            );
            self.report(&hash.place, message);
        }
        if hash.ring_hash.is_some() && hash.maglev.is_some() {
            self.report(
                &hash.place,
                "both `ringHash` and `maglev` are set: expected one of them",
            );
        }
        if let Some(cookie) = &hash.http_cookie {
            self.hashed_cookie(cookie, &hash.place);
        }
        let ring = hash.ring_hash.as_ref();
        let sizes = [
            hash.minimum_ring_size,
            ring.and_then(|ring| ring.minimum_ring_size),
        ];
        let most = table::RingHash::MAX_SIZE;
        if let Some(size) = sizes.into_iter().flatten().find(|size| *size > most) {
            let message = format!("`minimumRingSize` is {size}: expected at most {most}");
            self.report(&hash.place, message);
        }
        if hash.minimum_ring_size.is_some() && (ring.is_some() || hash.maglev.is_some()) {
            let message = "`minimumRingSize` is set together with `ringHash` or `maglev`: expected one of them";
            self.report(&hash.place, message);
        }
        if let Some(maglev) = &hash.maglev
            && maglev
                .table_size
                .as_ref()
                .is_none_or(|size| size.value == 0)
        {
            self.report(&hash.place, "`maglev` needs `tableSize`: expected a prime");
        }
        let most = table::Maglev::MAX_SIZE;
        if let Some(size) = hash
            .maglev
            .as_ref()
            .and_then(|maglev| maglev.table_size.as_ref())
            && size.value != 0
            && (size.value > most || !is_prime(size.value))
        {
            let message = format!(
                "`tableSize` is {}: expected a prime of at most {most}",
                size.value
            );
            self.report(&size.place, message);
        }
    }

    fn hashed_cookie(&mut self, cookie: &HttpCookie, place: &Location) {
        if !is_cookie_name(&cookie.name) {
            let message = format!("invalid cookie name `{}`", cookie.name);
            self.report(place, message);
        }
        let fits = |text: &str| {
            text.bytes()
                .all(|byte| (b' '..=b'~').contains(&byte) && byte != b';')
        };
        for attribute in &cookie.attributes {
            if attribute.name.is_empty() || !fits(&attribute.name) || !fits(&attribute.value) {
                let message = format!("invalid cookie attribute `{}`", attribute.name);
                self.report(&attribute.name.place, message);
            }
        }
    }

    fn warmup(&mut self, warmup: &Spanned<Warmup>) {
        if warmup.duration.is_none() {
            self.report(
                &warmup.place,
                "`warmup` has no duration: write `duration: 30s`",
            );
        }
        if let Some(percent) = warmup
            .minimum_percent
            .filter(|percent| !(0.0..=100.0).contains(percent))
        {
            let message = format!("`minimumPercent` is {percent}: expected 0 to 100");
            self.report(&warmup.place, message);
        }
        if let Some(aggression) = warmup
            .aggression
            .filter(|aggression| !(*aggression >= 1.0 && aggression.is_finite()))
        {
            let message = format!("`aggression` is {aggression}: expected 1 or more");
            self.report(&warmup.place, message);
        }
    }

    fn locality(&mut self, locality: &Spanned<LocalityLb>) {
        let distributes = locality.distribute.is_some();
        if distributes && (locality.failover.is_some() || locality.failover_priority.is_some()) {
            self.report(
                &locality.place,
                "`distribute` cannot be combined with `failover` or `failoverPriority`",
            );
        }
        for rule in locality.distribute.iter().flatten() {
            self.distribute(rule);
        }
        for rule in locality.failover.iter().flatten() {
            self.failover(rule);
        }
        let mut labels = locality.failover_priority.iter().flatten();
        if locality.failover.is_some()
            && let Some(label) = labels.find(|label| label.split('=').next() == Some(REGION))
        {
            self.report(
                &label.place,
                "`failoverPriority` cannot contain the region together with `failover`: expected no `failover`, or another label",
            );
        }
    }

    fn distribute(&mut self, rule: &Distribute) {
        self.pattern(&rule.from, &rule.from);
        for (to, share) in &rule.to {
            self.pattern(&rule.from, to);
            if *share == 0 {
                let message = format!("the share of `{to}` is 0: expected 1 or more, or no entry");
                self.report(&rule.from.place, message);
            }
        }
        let sum: u64 = rule.to.values().map(|share| u64::from(*share)).sum();
        if sum != 100 {
            let message = format!(
                "the shares of clients from `{}` sum to {sum}: expected 100",
                rule.from
            );
            self.report(&rule.from.place, message);
        }
    }

    /// Checks a locality, `region/zone/subzone`. A `*` must be the last part.
    fn pattern(&mut self, near: &Spanned<String>, pattern: &str) {
        let parts: Vec<&str> = pattern.split('/').collect();
        let after_any = parts.iter().skip_while(|part| **part != "*").nth(1);
        if parts.len() > 3 || parts.contains(&"") || after_any.is_some() {
            let message = format!(
                "invalid locality `{pattern}`: expected `region`, `region/zone` or `region/zone/subzone`, with `*` only as the last part"
            );
            self.report(&near.place, message);
        }
    }

    fn failover(&mut self, rule: &Failover) {
        if *rule.from == rule.to {
            let message = format!(
                "`{}` fails over to itself: expected another region",
                rule.to
            );
            self.report(&rule.from.place, message);
        }
        let mut places = BTreeMap::from([("from", rule.from.as_str()), ("to", rule.to.as_str())]);
        places.retain(|_, region| region.contains(['*', '/']) || region.is_empty());
        for (field, region) in places {
            let message =
                format!("`{field}` is `{region}`: expected a region without a zone or `*`");
            self.report(&rule.from.place, message);
        }
    }
}

/// Returns true if a cookie's name can be written into a header without quoting.
fn is_cookie_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b";=,\"".contains(&byte))
}

#[cfg(test)]
mod tests {
    use crate::Document;
    use crate::registry::Mesh;
    use crate::validate_documents;
    use shakedown_yaml::tree::parse;

    /// Returns the errors of a `loadBalancer`.
    fn wrong(balancer: &str) -> Vec<String> {
        let text = format!(
            "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: a}}, spec: {{host: a, \
             trafficPolicy: {{loadBalancer: {balancer}}}}}}}"
        );
        let documents = parse("a.yaml", &text).unwrap();
        let mesh = Mesh {
            documents: documents
                .iter()
                .map(|node| Document::read(node).unwrap())
                .collect(),
            ..Mesh::default()
        };
        let errors = validate_documents(&mesh, None).to_string();
        let strip = |line: &str| {
            let (_, message) = line.split_once("DestinationRule a: ").unwrap_or(("", line));
            message.to_owned()
        };
        errors.lines().map(strip).collect()
    }

    #[test]
    fn what_works_is_taken() {
        for balancer in [
            "{simple: LEAST_REQUEST, warmup: {duration: 30s}}",
            "{consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 2048}}}",
            "{consistentHash: {httpCookie: {name: user, ttl: 0s}, maglev: {tableSize: 251}}}",
            "{localityLbSetting: {distribute: [{from: eu/*, to: {'eu/a/*': 70, us: 30}}]}}",
            "{localityLbSetting: {failover: [{from: eu, to: us}]}}",
            "{localityLbSetting: {failoverPriority: [topology.kubernetes.io/region, 'version=v2']}}",
        ] {
            assert_eq!(wrong(balancer), Vec::<String>::new(), "{balancer}");
        }
    }

    #[test]
    fn what_envoy_would_refuse_is_told() {
        for (balancer, expected) in [
            (
                "{consistentHash: {}}",
                "`consistentHash` has 0 hash keys: expected one of",
            ),
            (
                "{consistentHash: {useSourceIp: true, httpHeaderName: a}}",
                "`consistentHash` has 2 hash keys",
            ),
            (
                "{simple: RANDOM, consistentHash: {useSourceIp: true}}",
                "both `simple` and `consistentHash` are set",
            ),
            (
                "{consistentHash: {useSourceIp: true, maglev: {tableSize: 256}}}",
                "`tableSize` is 256: expected a prime",
            ),
            (
                "{consistentHash: {httpCookie: {name: 'a b'}}}",
                "invalid cookie name `a b`",
            ),
            ("{warmup: {}}", "`warmup` has no duration"),
            (
                "{warmup: {duration: 3s, aggression: 0.5}}",
                "`aggression` is 0.5: expected 1 or more",
            ),
            (
                "{simple: RANDOM, warmupDurationSecs: 3s}",
                "RANDOM does not support `warmup`",
            ),
            (
                "{localityLbSetting: {distribute: [{from: eu, to: {us: 70, asia: 20}}]}}",
                "the shares of clients from `eu` sum to 90: expected 100",
            ),
            (
                "{localityLbSetting: {distribute: [{from: '*/a', to: {us: 100}}]}}",
                "invalid locality `*/a`",
            ),
            (
                "{localityLbSetting: {failover: [{from: eu, to: eu}]}}",
                "`eu` fails over to itself",
            ),
            (
                "{localityLbSetting: {failover: [{from: eu, to: us}], failoverPriority: [topology.kubernetes.io/region]}}",
                "`failoverPriority` cannot contain the region",
            ),
            (
                "{localityLbSetting: {failover: [{from: eu, to: us}], distribute: [{from: eu, to: {us: 100}}]}}",
                "`distribute` cannot be combined with `failover`",
            ),
        ] {
            let found = wrong(balancer);
            assert!(found[0].starts_with(expected), "{balancer}: {found:?}");
            assert_eq!(found.len(), 1, "{balancer}: {found:?}");
        }
    }
}
