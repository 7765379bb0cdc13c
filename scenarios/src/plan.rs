//! Plans the faults of one seed and lists the participants of a run. All draws of chaos items are made here, before the
//! run starts.

mod words;

use rand::Rng;
use rand::seq::IndexedRandom as _;
use shakedown_results::{Participant, ParticipantKind, Participants, PlannedFault, Pod, PodId};

use crate::scenario::{
    ChaosAction, Draw, FireTimes, ParticipantRole, PodCount, PodSelector, PodTarget,
    ResolvedScenario, VersionId,
};
use words::words;

/// The maximum number of firings in one run. The journal counts them in 16 bits.
const FAULTS_MAX: usize = 65_535;
/// The maximum number of firings of one `every`.
const FIRINGS_MAX: usize = 10_000;

/// A fault with its times and targets, drawn under one seed.
///
/// Pods are added and removed during a run (`deploy`, `scale`, a canary's promotion). A `slow` or `fail` action also
/// hits a pod that is added while the action is in force, if the pod [`is_meant`] by its target and the target selects
/// all of its pods ([`PodCount::All`]). `pods` is empty if the target's version has no pods at 0 s. In that case
/// [`resolve`] selects the pods when the action starts.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedAction {
    /// The times and the description that the journal records.
    pub fault: PlannedFault,
    /// Index into [`ResolvedScenario::chaos`], which contains the action.
    pub item: usize,
    /// The target pods, drawn from the pods that exist at 0 s. For a partition, the `from` side. Empty for actions
    /// without target pods.
    pub pods: Vec<PodId>,
    /// The `to` side of a partition.
    pub others: Vec<PodId>,
}

/// Draws all faults of a scenario, sorted by start. Faults of the same instant keep the file's order. `rng` returns the
/// random stream of a label, and each source location that draws has its own label. An item whose drawn start is after
/// the end of the run is left out.
pub fn plan<R: Rng>(
    scenario: &ResolvedScenario,
    mut rng: impl FnMut(&str) -> R,
) -> Vec<PlannedAction> {
    let pods = pods(scenario);
    let duration_ns = nanos(scenario.duration);
    let last_ns = duration_ns.saturating_add(nanos(scenario.drain));
    let mut planned = Vec::new();
    for (item, chaos) in scenario.chaos.iter().enumerate() {
        let mut stream = |draw_id: crate::scenario::DrawId| rng(scenario.draw_path(draw_id));
        let mut targets = stream(chaos.draw_id);
        let mut lengths = chaos
            .length
            .as_ref()
            .map(|length| (length, stream(length.draw_id)));
        let starts = match &chaos.when {
            FireTimes::At(at) => vec![draw_ns(at, &mut stream(at.draw_id))],
            FireTimes::Every {
                interval,
                from,
                until,
            } => firings(
                interval,
                nanos(*from),
                nanos(*until),
                &mut stream(interval.draw_id),
            ),
        };
        for start_ns in starts.into_iter().filter(|start| *start < duration_ns) {
            let end_ns = lengths.as_mut().and_then(|(length, rng)| {
                let end = start_ns.saturating_add(draw_ns(length, rng));
                (end < last_ns).then_some(end)
            });
            let (hit, others) = draw_targets(scenario, &pods, &chaos.action, &mut targets);
            let fault = PlannedFault {
                name: chaos.name.clone(),
                what: words(scenario, &pods, &chaos.action, &hit, &others),
                start_ns,
                end_ns,
                may_miss: chaos.may_miss,
            };
            planned.push(PlannedAction {
                fault,
                item,
                pods: hit,
                others,
            });
        }
    }
    planned.sort_by_key(|planned| planned.fault.start_ns);
    planned.truncate(FAULTS_MAX);
    planned
}

/// Lists the participants of a run: services (with versions), loads, the control plane and hosts without a service.
pub fn list_participants(scenario: &ResolvedScenario, plan: &[PlannedAction]) -> Participants {
    let services = scenario.services.iter().map(|service| Participant {
        name: service.name.clone(),
        kind: ParticipantKind::Service,
        versions: service
            .versions
            .iter()
            .map(|version| version.name.clone())
            .collect(),
        endpoints: service.endpoints.iter().map(ToString::to_string).collect(),
        workers: service.versions.first().and_then(|version| version.workers),
        cores: service.versions.first().and_then(|version| version.cores),
    });
    let plain = |name: &str, kind, endpoints| Participant {
        name: name.to_owned(),
        kind,
        versions: Vec::new(),
        endpoints,
        workers: None,
        cores: None,
    };
    let loads = scenario.loads.iter().map(|load| {
        plain(
            &load.name,
            ParticipantKind::Load,
            load.entries
                .iter()
                .map(|entry| entry.name.clone())
                .collect(),
        )
    });
    let control = plain("control", ParticipantKind::Control, Vec::new());
    let hosts = scenario.hosts.iter();
    let hosts = hosts.map(|host| plain(&host.name, ParticipantKind::Host, Vec::new()));
    let participants = services.chain(loads).chain([control]).chain(hosts);
    Participants {
        list: participants.collect(),
        pods: pods(scenario),
        zones: scenario
            .zones
            .iter()
            .map(|zone| zone.name.clone())
            .collect(),
        faults: plan.iter().map(|planned| planned.fault.clone()).collect(),
        warm_up_ns: nanos(scenario.warm_up),
        duration_ns: nanos(scenario.duration),
    }
}

/// All pods, in the order of [`Participants::pods`].
fn pods(scenario: &ResolvedScenario) -> Vec<Pod> {
    let mut pods = Vec::new();
    for (id, service) in scenario.services() {
        for (version, spec) in service.versions() {
            for (replica, zone) in (0..spec.replicas).zip(spec.zones.iter().cycle()) {
                pods.push(Pod {
                    participant: id.participant(),
                    version: version.number(),
                    replica,
                    zone: *zone,
                    meshed: spec.sidecar,
                });
            }
        }
    }
    for (id, load) in scenario.loads() {
        for (replica, zone) in (0..load.clients).zip(load.zones.iter().cycle()) {
            pods.push(Pod {
                participant: scenario.participant(ParticipantRole::Load(id)),
                version: 0,
                replica,
                zone: *zone,
                meshed: load.sidecar,
            });
        }
    }
    pods.push(Pod {
        participant: scenario.participant(ParticipantRole::Control),
        version: 0,
        replica: 0,
        zone: scenario.control.zone,
        meshed: false,
    });
    pods
}

/// The start times of a repeated item, the first one interval after `from_ns`.
fn firings(interval: &Draw, from_ns: i64, until_ns: i64, rng: &mut impl Rng) -> Vec<i64> {
    let mut starts = Vec::new();
    let mut at = from_ns;
    while starts.len() < FIRINGS_MAX {
        // At least 1 ns, because an interval drawn as zero would fire for ever at one instant.
        at = at.saturating_add(draw_ns(interval, rng).max(1));
        if at >= until_ns {
            break;
        }
        starts.push(at);
    }
    starts
}

/// Draws the target pods of an action, or both sides of a partition.
fn draw_targets(
    scenario: &ResolvedScenario,
    pods: &[Pod],
    action: &ChaosAction,
    rng: &mut impl Rng,
) -> (Vec<PodId>, Vec<PodId>) {
    match action {
        ChaosAction::Crash(target)
        | ChaosAction::Pause(target)
        | ChaosAction::Slow { target, .. }
        | ChaosAction::Fail { target, .. } => {
            (select(scenario, pods, target, false, rng), Vec::new())
        }
        ChaosAction::Partition { from, to, .. } => {
            let from = select(scenario, pods, from, true, rng);
            (from, select(scenario, pods, to, true, rng))
        }
        ChaosAction::Surge { .. }
        | ChaosAction::Scale { .. }
        | ChaosAction::Deploy { .. }
        | ChaosAction::Apply { .. }
        | ChaosAction::Nothing => Default::default(),
    }
}

/// Selects the pods of a target that has none at 0 s, from the pods added so far for which `there` returns true, and
/// draws the requested part of them. The label of its random stream is `PATH/late/NUMBER`, from the source location and
/// the number of the firing.
pub fn resolve(
    scenario: &ResolvedScenario,
    pods: &[Pod],
    there: impl Fn(PodId) -> bool,
    target: &PodTarget,
    rng: &mut impl Rng,
) -> Vec<PodId> {
    draw_part(meant(scenario, pods, target, false, there), target, rng)
}

/// Returns true if a target selects this pod, regardless of the target's `part`.
pub fn is_meant(scenario: &ResolvedScenario, pod: &Pod, target: &PodTarget) -> bool {
    matches(scenario, pod, target, false)
}

/// Selects the pods of a target and draws the requested part of them, in the order of [`Participants::pods`]. `*`, zones and
/// regions select pods of services. With `link` (the ends of a partition) they also select clients and the control
/// plane.
fn select(
    scenario: &ResolvedScenario,
    pods: &[Pod],
    target: &PodTarget,
    link: bool,
    rng: &mut impl Rng,
) -> Vec<PodId> {
    draw_part(meant(scenario, pods, target, link, |_| true), target, rng)
}

fn meant(
    scenario: &ResolvedScenario,
    pods: &[Pod],
    target: &PodTarget,
    link: bool,
    there: impl Fn(PodId) -> bool,
) -> Vec<PodId> {
    let ids = (0u32..).map(PodId);
    ids.zip(pods)
        .filter(|(id, pod)| there(*id) && matches(scenario, pod, target, link))
        .map(|(id, _)| id)
        .collect()
}

fn draw_part(chosen: Vec<PodId>, target: &PodTarget, rng: &mut impl Rng) -> Vec<PodId> {
    let wanted = match target.part {
        PodCount::All => return chosen,
        PodCount::Count(count) => chosen
            .len()
            .min(usize::try_from(count).unwrap_or(usize::MAX)),
        PodCount::Share(share) => share.apply(chosen.len()),
    };
    let mut drawn: Vec<PodId> = chosen.sample(rng, wanted).copied().collect();
    drawn.sort_unstable();
    drawn
}

fn matches(scenario: &ResolvedScenario, pod: &Pod, target: &PodTarget, link: bool) -> bool {
    let role = scenario.role(pod.participant);
    let in_scope = matches!(role, ParticipantRole::Service(_)) || link;
    let zone = scenario.zones.get(usize::from(pod.zone));
    let named = match &target.of {
        PodSelector::All => in_scope,
        PodSelector::Zone(zone) => in_scope && pod.zone == *zone,
        PodSelector::Region(region) => in_scope && zone.is_some_and(|zone| zone.region == *region),
        PodSelector::Service {
            service,
            version,
            replica,
        } => {
            role == ParticipantRole::Service(*service)
                && version.is_none_or(|version| VersionId::from(pod.version) == version)
                && replica.is_none_or(|replica| pod.replica == replica)
        }
        PodSelector::Load(load) => role == ParticipantRole::Load(*load),
        PodSelector::Control => role == ParticipantRole::Control,
    };
    let labelled = target.label.as_ref().is_none_or(|(key, value)| {
        let ParticipantRole::Service(service) = role else {
            return false;
        };
        let version = scenario.version(service, VersionId::from(pod.version));
        version.labels.get(key) == Some(value)
    });
    named && labelled && target.zone.is_none_or(|zone| pod.zone == zone)
}

fn draw_ns(draw: &Draw, rng: &mut impl Rng) -> i64 {
    i64::try_from(draw.from.sample_ns(rng)).unwrap_or(i64::MAX)
}

fn nanos(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).expect("durations are bounded by the reader of scenarios")
}

#[cfg(test)]
mod tests;
