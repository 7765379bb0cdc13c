//! The descriptions of faults in reports and journals.

use shakedown_istio::{Document, DocumentKey};
use shakedown_results::{Pod, PodId};

use crate::scenario::{
    self, ChaosAction, ParticipantRole, PodCount, PodTarget, ResolvedScenario, ServiceId,
    StepFailure, VersionId,
};
use crate::value::Ratio;

/// The maximum number of pods to list by name. For more pods, the target's text in the file is used.
const NAMED_MAX: usize = 4;

/// Describes an action, e.g. `crash api/v1/3`.
pub(super) fn words(
    scenario: &ResolvedScenario,
    pods: &[Pod],
    action: &ChaosAction,
    hit: &[PodId],
    others: &[PodId],
) -> String {
    let list = |target: &PodTarget, ids: &[PodId]| {
        let many = matches!(target.part, PodCount::All) && ids.len() > 1;
        if ids.is_empty() || ids.len() > NAMED_MAX || many {
            return target.text.clone();
        }
        let names: Vec<String> = ids.iter().map(|id| pod_name(scenario, pods, *id)).collect();
        names.join(", ")
    };
    match action {
        ChaosAction::Crash(target) => format!("crash {}", list(target, hit)),
        ChaosAction::Pause(target) => format!("pause {}", list(target, hit)),
        ChaosAction::Partition { from, to, both } => {
            let arrow = if *both { "<->" } else { "->" };
            format!("partition {} {arrow} {}", list(from, hit), list(to, others))
        }
        ChaosAction::Slow {
            target,
            factor,
            add,
        } => {
            let by = match add {
                Some(add) => format!("by {} more", add.from),
                None => format!("by a factor of {}", number(*factor)),
            };
            format!("slow {} {by}", list(target, hit))
        }
        ChaosAction::Fail {
            target, rate, with, ..
        } => {
            let with = match with {
                StepFailure::Status(status) => status.to_string(),
                StepFailure::Reset => "reset".to_owned(),
                StepFailure::Hang => "hang".to_owned(),
            };
            let whom = list(target, hit);
            format!("fail {rate} of requests at {whom} with {with}")
        }
        ChaosAction::Surge { load, factor } => {
            let (load, factor) = (&scenario.load(*load).name, number(*factor));
            format!("surge {load} by a factor of {factor}")
        }
        ChaosAction::Scale {
            service,
            version,
            to,
        } => {
            let name = version_name(scenario, *service, *version);
            format!("scale {name} to {}", scenario::replicas(*to))
        }
        ChaosAction::Deploy {
            service,
            version,
            replicas,
        } => {
            let name = version_name(scenario, *service, Some(*version));
            format!("deploy {name} with {}", scenario::replicas(*replicas))
        }
        ChaosAction::Apply { documents, remove } => applied(documents, remove),
        ChaosAction::Nothing => "nothing".to_owned(),
    }
}

fn applied(documents: &[Document], remove: &[DocumentKey]) -> String {
    let put = documents.iter().map(|document| {
        let name = &document.meta().name;
        format!("apply {}/{name}", document.kind())
    });
    let gone = remove.iter().map(|key| format!("remove {key}"));
    let all: Vec<String> = put.chain(gone).collect();
    all.join(", ")
}

fn number(factor: Ratio) -> String {
    factor.decimal(4)
}

fn version_name(
    scenario: &ResolvedScenario,
    service: ServiceId,
    version: Option<VersionId>,
) -> String {
    let name = &scenario.service(service).name;
    match version {
        Some(version) => format!("{name}/{}", scenario.version(service, version).name),
        None => name.clone(),
    }
}

fn pod_name(scenario: &ResolvedScenario, pods: &[Pod], id: PodId) -> String {
    let pod = &pods[id.0 as usize];
    match scenario.role(pod.participant) {
        ParticipantRole::Service(service) => {
            let version = version_name(scenario, service, Some(VersionId::from(pod.version)));
            format!("{version}/{}", pod.replica)
        }
        ParticipantRole::Load(load) => format!("{}/{}", scenario.load(load).name, pod.replica),
        ParticipantRole::Control => "control".to_owned(),
        ParticipantRole::Host(host) => scenario.host(host).name.clone(),
    }
}
