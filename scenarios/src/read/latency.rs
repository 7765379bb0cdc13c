//! Reads zones and the latency between pods.

use std::collections::BTreeMap;

use shakedown_yaml::{Node, suggest};

use super::fields::{get, long};
use super::reader::ScenarioReader;
use crate::file::ZoneKeys;
use crate::scenario::{LatencyRules, Zone};
use crate::value::Distribution;

const CLASSES: [&str; 5] = ["all", "same-zone", "cross-zone", "cross-region", "outside"];
/// The maximum number of zones. Zone indices have 16 bits, and a matrix of more zones is not readable.
const ZONES_MAX: usize = 1_000;

impl ScenarioReader<'_> {
    /// Reads the zones in file order. Without any, there is one zone named `a`.
    pub(super) fn zones(&mut self, topology: &Node) -> Vec<Zone> {
        let mut zones = Vec::new();
        if let Some(node) = get(topology, "zones")
            && let Some(map) = self.map(node)
        {
            if map.len() > ZONES_MAX {
                self.error(
                    &node.place,
                    format!("a scenario may have at most {ZONES_MAX} zones"),
                );
            }
            for (name, entry) in map {
                self.is_name(name, &entry.key, "zone");
                zones.push(zone(name, self.decode_or_default(&entry.node)));
            }
        }
        if zones.is_empty() {
            zones.push(zone("a", ZoneKeys::default()));
        }
        zones
    }

    /// Reads the latency rules. `participants` are the names of services and loads.
    pub(super) fn latency(
        &mut self,
        topology: &Node,
        zones: &[Zone],
        participants: &[String],
    ) -> LatencyRules {
        let mut rules = LatencyRules {
            zones: BTreeMap::new(),
            participants: BTreeMap::new(),
            same_zone: Distribution::constant_ns(250_000),
            cross_zone: Distribution::constant_ns(1_000_000),
            cross_region: Distribution::constant_ns(30_000_000),
        };
        let Some(node) = get(topology, "latency") else {
            return rules;
        };
        let node = long(node, "all");
        if let Some(all) = get(&node, "all").and_then(|all| self.durations(all)) {
            rules.same_zone = all.clone();
            rules.cross_zone = all.clone();
            rules.cross_region = all;
        }
        let Some(map) = self.map(&node) else {
            return rules;
        };
        for (key, entry) in map
            .iter()
            .filter(|(key, entry)| *key != "all" && !entry.node.is_null())
        {
            if key == "outside" {
                self.unsupported(&entry.key, key);
                continue;
            }
            let Some(latency) = self.durations(&entry.node) else {
                continue;
            };
            match key.as_str() {
                "same-zone" => rules.same_zone = latency,
                "cross-zone" => rules.cross_zone = latency,
                "cross-region" => rules.cross_region = latency,
                pair => self.pair(pair, &entry.key, latency, zones, participants, &mut rules),
            }
        }
        rules
    }

    /// Reads the latency of `a -> b` or `a <-> b`, whose ends are zones, or services and loads.
    fn pair(
        &mut self,
        text: &str,
        place: &shakedown_yaml::Location,
        latency: Distribution,
        zones: &[Zone],
        participants: &[String],
        rules: &mut LatencyRules,
    ) {
        let (ends, both) = match (text.split_once("<->"), text.split_once("->")) {
            (Some(ends), _) => (ends, true),
            (None, Some(ends)) => (ends, false),
            (None, None) => {
                let hint = suggest::hint(text, CLASSES);
                self.error(
                    place,
                    format!("unknown key `{text}`: {hint}, or a pair such as `a -> b`"),
                );
                return;
            }
        };
        let (from, to) = (ends.0.trim(), ends.1.trim());
        let zone = |name: &str| {
            zones
                .iter()
                .position(|z| z.name == name)
                .and_then(|at| u16::try_from(at).ok())
        };
        if let (Some(from), Some(to)) = (zone(from), zone(to)) {
            return insert(&mut rules.zones, (from, to), both, latency);
        }
        let participant = |name: &str| participants.iter().any(|participant| participant == name);
        if participant(from) && participant(to) {
            let ends = (from.to_owned(), to.to_owned());
            return insert(&mut rules.participants, ends, both, latency);
        }
        for name in [from, to] {
            if zone(name).is_none() && !participant(name) && !self.incomplete {
                let known = zones
                    .iter()
                    .map(|z| z.name.as_str())
                    .chain(participants.iter().map(String::as_str));
                let hint = suggest::hint(name, known);
                self.error(place, format!("no zone, service or load `{name}`: {hint}"));
                return;
            }
        }
        if !self.incomplete {
            self.error(
                place,
                "a latency pair needs two zones, or two services or loads",
            );
        }
    }
}

fn zone(name: &str, keys: ZoneKeys) -> Zone {
    Zone {
        name: name.to_owned(),
        region: keys.region.0,
        subzone: keys.subzone.map(|subzone| subzone.0).unwrap_or_default(),
    }
}

/// Sets the latency of a pair, and of the opposite direction if `both`.
fn insert<N: Clone + Ord>(
    rules: &mut BTreeMap<(N, N), Distribution>,
    (from, to): (N, N),
    both: bool,
    latency: Distribution,
) {
    if both {
        rules.insert((to.clone(), from.clone()), latency.clone());
    }
    rules.insert((from, to), latency);
}
