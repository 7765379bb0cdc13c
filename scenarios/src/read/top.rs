//! Reads the top level of a file, with the sections in the order of their dependencies.

mod names;

use std::collections::BTreeMap;
use std::time::Duration;

use shakedown_yaml::{Diagnostics, Node, StructKeys, suggest};

use super::deploys::deploys;
use super::fields::get;
use super::reader::ScenarioReader;
use super::service::PODS_MAX;
use super::skeleton::Skeleton;
use super::target::TargetNames;
use crate::check::names::CheckNames;
use crate::file::{ControlKeys, OutboundMode, ScenarioKeys, Span, TopologyKeys};
use crate::scenario::{
    Callee, ChaosAction, ChaosItem, ControlPlane, LoadSpec, ResolvedScenario, ServiceSpec, Zone,
};
use crate::source::ScenarioSource;
use names::callers;

/// The maximum simulated time of a run. Sums of nanoseconds must fit 63 bits.
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);
/// The maximum number of services, loads and hosts in a scenario. The journal counts them in 16 bits.
const PARTICIPANTS_MAX: usize = 20_000;

/// The result of reading: a scenario or its errors, and the names of its checks.
pub(crate) struct ReadResult {
    pub(crate) scenario: Result<ResolvedScenario, Diagnostics>,
    /// The names (or texts) of all checks as written, including invalid ones.
    pub(crate) checks: Vec<String>,
}

/// Reads the tree of a file to which all edits have been applied.
pub(crate) fn read(
    node: &Node,
    variant: &str,
    breaks: Option<Vec<String>>,
    source: &ScenarioSource,
) -> ReadResult {
    let mut reader = ScenarioReader::new(source);
    let scenario = reader.scenario(node, variant, breaks);
    let checks = check_names(node);
    let ScenarioReader { errors, .. } = reader;
    ReadResult {
        scenario: errors.or(()).map(|()| scenario),
        checks,
    }
}

/// The names of checks, or the texts of unnamed ones.
fn check_names(node: &Node) -> Vec<String> {
    let items = node
        .get("expect")
        .and_then(Node::as_list)
        .unwrap_or_default();
    let name = |item: &Node| match item.as_map() {
        Some(map) => map.first().map(|(name, _)| name.clone()),
        None => item.as_str().map(str::to_owned),
    };
    items.iter().filter_map(name).collect()
}

impl ScenarioReader<'_> {
    fn scenario(
        &mut self,
        node: &Node,
        variant: &str,
        breaks: Option<Vec<String>>,
    ) -> ResolvedScenario {
        let written: ScenarioKeys = self.decode_or_default(node);
        self.required(node);
        let empty = Node::null(node.place.clone());
        let section = |key: &str| get(node, key).unwrap_or(&empty);
        let (duration, warm_up, drain) = self.times(&written, node);
        let topology = section("topology");
        self.keys(topology, StructKeys::new::<TopologyKeys>(), &[]);
        self.incomplete = get(topology, "generate").is_some() || get(topology, "from").is_some();
        let zones = self.zones(topology);
        let skeletons = self.skeletons(topology, &deploys(section("chaos")));
        let participants = callers(&skeletons, section("load"));
        let latency = self.latency(topology, &zones, &participants);
        let edited = self.mesh(section("mesh"));
        self.applies(section("chaos"), &edited);
        self.routes = self.routes(&edited);
        let (services, mut calls): (Vec<ServiceSpec>, Vec<Vec<Callee>>) = (0..skeletons.len())
            .map(|index| self.service(index, &skeletons, &zones))
            .unzip();
        self.incomplete |= skeletons.iter().any(|s| s.open);
        let (loads, called) = self.loads(section("load"), &skeletons, &zones, duration);
        calls.extend(called);
        let target_names = TargetNames {
            services: &services,
            loads: &loads,
            zones: &zones,
            skeletons: &skeletons,
        };
        let chaos = self.chaos(section("chaos"), &target_names, warm_up, duration);
        let fits = self.is_within_bounds(node, &services, &loads, &chaos);
        // Names of too many participants have no numbers.
        self.incomplete |= !fits;
        let control = self.control(section("control"), &zones);
        let mesh = self.documents(&edited, &target_names, &control);
        let names = CheckNames {
            participants: if fits {
                self.participant_names(&services, &loads, &calls, &chaos)
            } else {
                Vec::new()
            },
            zones: zones.iter().map(|zone| zone.name.clone()).collect(),
            chaos: self.spans(section("chaos"), &chaos, duration),
            warm_up_ns: nanos(warm_up),
            duration_ns: nanos(duration),
            incomplete: self.incomplete,
        };
        self.one_name_space(node);
        let checks = self.expect(section("expect"), &names);
        let documents = edited.into_iter().map(|edited| edited.node).collect();
        ResolvedScenario {
            name: self.scenario_name(node),
            story: sentence(&written),
            variant: variant.to_owned(),
            seed: written.seed.0,
            seeds: written.seeds.0,
            duration,
            warm_up,
            drain,
            epoch_unix_ns: written.epoch.0,
            zones,
            latency,
            services,
            mesh,
            control,
            loads,
            hosts: std::mem::take(&mut self.hosts),
            chaos,
            checks,
            breaks,
            draw_paths: std::mem::take(&mut self.streams),
            expanded: expanded(node, documents, &self.included),
            warnings: std::mem::take(&mut self.warnings),
            omissions: std::mem::take(&mut self.omissions),
        }
    }

    fn required(&mut self, node: &Node) {
        for (key, example) in [
            ("scenario", "scenario: my-scenario"),
            ("story", "story: What happens, and what must hold."),
            ("duration", "duration: 1m"),
            ("topology", "topology: {services: {...}}"),
            ("load", "load: {users: {to: api GET /, rate: 100/s}}"),
            ("expect", "expect: [success(users) == 100%]"),
        ] {
            if node.as_map().is_some() && get(node, key).is_none() {
                self.missing(node, key, example);
            }
        }
    }

    /// Reads all loads. Returns also the callees of each.
    fn loads(
        &mut self,
        node: &Node,
        skeletons: &[Skeleton],
        zones: &[Zone],
        duration: Duration,
    ) -> (Vec<LoadSpec>, Vec<Vec<Callee>>) {
        let mut loads = Vec::new();
        for (name, entry) in self.map(node).into_iter().flatten() {
            self.is_name(name, &entry.key, "load");
            loads.push(self.load(name, &entry.node, &entry.key, skeletons, zones, duration));
        }
        loads.into_iter().unzip()
    }

    fn scenario_name(&mut self, node: &Node) -> String {
        get(node, "scenario")
            .and_then(|n| self.name(n, "scenario"))
            .unwrap_or_default()
    }

    fn times(&mut self, written: &ScenarioKeys, node: &Node) -> (Duration, Duration, Duration) {
        // A missing duration has been reported, so that any value will do.
        let duration = written.duration.as_ref();
        let duration = duration.map_or(Duration::from_secs(1), |duration| duration.0);
        if let Some(written) = get(node, "duration")
            && (duration.is_zero() || duration > DURATION_MAX)
        {
            self.error(
                &written.place,
                "`duration` must be longer than `0s` and at most `366d`",
            );
        }
        let Span(warm_up) = written.warm_up;
        if let Some(written) = get(node, "warm-up")
            && warm_up >= duration
        {
            self.error(&written.place, "`warm-up` must be shorter than `duration`");
        }
        let Span(drain) = written.drain;
        if let Some(written) = get(node, "drain")
            && drain > DURATION_MAX
        {
            self.error(&written.place, "`drain` must be at most `366d`");
        }
        (duration.min(DURATION_MAX), warm_up, drain.min(DURATION_MAX))
    }

    fn control(&mut self, node: &Node, zones: &[Zone]) -> ControlPlane {
        let keys: ControlKeys = self.decode_or_default(node);
        let zone =
            match get(node, "zone").and_then(|n| self.text(n, "a zone").map(|name| (n, name))) {
                Some((n, name)) => zones.iter().position(|zone| zone.name == name).or_else(|| {
                    let known: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
                    self.error(
                        &n.place,
                        format!("no zone `{name}`: {}", suggest::hint(name, known)),
                    );
                    None
                }),
                None => None,
            };
        if let Some(replicas) = get(node, "replicas")
            && keys.replicas.0 != 1
        {
            self.unsupported(&replicas.place, "control: replicas");
        }
        if let Some(written) = get(node, "telemetry")
            && keys.telemetry.0.is_zero()
        {
            self.error(&written.place, "`telemetry` must be longer than `0s`");
        }
        ControlPlane {
            zone: zone.and_then(|at| u16::try_from(at).ok()).unwrap_or(0),
            outbound_allow_any: keys.outbound == OutboundMode::AllowAny,
            debounce: keys.debounce.0,
            ejection_delay: keys.ejection_delay.0,
            canaries: keys.canaries,
            telemetry: keys.telemetry.0,
            trust_domain: keys.trust_domain.0,
            root_namespace: keys.root_namespace.0,
            destination_rules_for: keys.default_destination_rule_export_to.into(),
            virtual_services_for: keys.default_virtual_service_export_to.into(),
        }
    }

    /// Reports too many pods or participants. Returns false if the journal cannot number the participants.
    fn is_within_bounds(
        &mut self,
        node: &Node,
        services: &[ServiceSpec],
        loads: &[LoadSpec],
        chaos: &[ChaosItem],
    ) -> bool {
        let of_services = services
            .iter()
            .flat_map(|s| &s.versions)
            .map(|v| u64::from(v.replicas))
            .sum::<u64>();
        let of_loads = loads
            .iter()
            .map(|load| u64::from(load.clients))
            .sum::<u64>();
        let of_services = of_services
            + chaos
                .iter()
                .map(|item| u64::from(brings(item)))
                .sum::<u64>();
        if of_services + of_loads > u64::from(PODS_MAX) {
            self.error(
                &node.place,
                format!(
                    "{} pods are too many: at most {PODS_MAX}",
                    of_services + of_loads
                ),
            );
        }
        let participants = services.len() + loads.len() + self.hosts.len();
        let fits = participants <= PARTICIPANTS_MAX;
        if !fits {
            self.error(
                &node.place,
                format!("a scenario may have at most {PARTICIPANTS_MAX} services, loads and hosts without a service"),
            );
        }
        fits
    }
}

fn sentence(written: &ScenarioKeys) -> String {
    let text = written.story.as_ref().map(|text| text.0.trim());
    text.unwrap_or_default().to_owned()
}

/// The number of pods that an item may add.
fn brings(item: &ChaosItem) -> u32 {
    match &item.action {
        ChaosAction::Deploy { replicas, .. } => *replicas,
        ChaosAction::Scale { to, .. } => *to,
        _ => 0,
    }
}

/// The whole scenario written out in the scenario language. The digest covers it and `show` prints it.
fn expanded(node: &Node, documents: Vec<Node>, included: &BTreeMap<String, String>) -> String {
    let mut whole = node.clone();
    if let Some(entry) = whole.as_map_mut().and_then(|map| map.get_mut("mesh")) {
        entry.node = Node::list(documents, entry.node.place.clone());
    }
    let mut text = whole.to_yaml_string();
    if !included.is_empty() {
        let files = included.iter().map(|(name, content)| {
            (
                name.clone(),
                Node::string(content.clone(), node.place.clone()),
            )
        });
        text.push_str("---\n");
        text.push_str(
            &Node::map(
                [("files", Node::map(files, node.place.clone()))],
                node.place.clone(),
            )
            .to_yaml_string(),
        );
    }
    text
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).expect("durations are bounded to a year")
}
