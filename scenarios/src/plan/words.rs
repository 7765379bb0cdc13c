//! The descriptions of faults in reports and journals.

use shakedown_istio::{Document, Key};
use shakedown_results::{Pod, PodId};

use crate::story::{self, Action, Failure, Part, Story, Target};
use crate::value::Ratio;

/// The maximum number of pods to list by name. For more pods, the target's text in the file is used.
const NAMED_MAX: usize = 4;

/// Describes an action, e.g. `crash api/v1/3`.
pub(super) fn words(
    story: &Story,
    pods: &[Pod],
    action: &Action,
    hit: &[PodId],
    others: &[PodId],
) -> String {
    let list = |target: &Target, ids: &[PodId]| {
        let many = matches!(target.part, Part::All) && ids.len() > 1;
        if ids.is_empty() || ids.len() > NAMED_MAX || many {
            return target.text.clone();
        }
        let names: Vec<String> = ids.iter().map(|id| pod_name(story, pods, *id)).collect();
        names.join(", ")
    };
    match action {
        Action::Crash(target) => format!("crash {}", list(target, hit)),
        Action::Pause(target) => format!("pause {}", list(target, hit)),
        Action::Partition { from, to, both } => {
            let arrow = if *both { "<->" } else { "->" };
            format!("partition {} {arrow} {}", list(from, hit), list(to, others))
        }
        Action::Slow {
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
        Action::Fail {
            target, rate, with, ..
        } => {
            let with = match with {
                Failure::Status(status) => status.to_string(),
                Failure::Reset => "reset".to_owned(),
                Failure::Hang => "hang".to_owned(),
            };
            let whom = list(target, hit);
            format!("fail {rate} of requests at {whom} with {with}")
        }
        Action::Surge { load, factor } => {
            let (load, factor) = (&story.loads[*load].name, number(*factor));
            format!("surge {load} by a factor of {factor}")
        }
        Action::Scale {
            service,
            version,
            to,
        } => {
            let name = version_name(story, *service, *version);
            format!("scale {name} to {}", story::replicas(*to))
        }
        Action::Deploy {
            service,
            version,
            replicas,
        } => {
            let name = version_name(story, *service, Some(*version));
            format!("deploy {name} with {}", story::replicas(*replicas))
        }
        Action::Apply { documents, remove } => applied(documents, remove),
        Action::Nothing => "nothing".to_owned(),
    }
}

fn applied(documents: &[Document], remove: &[Key]) -> String {
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

fn version_name(story: &Story, service: usize, version: Option<u16>) -> String {
    let service = &story.services[service];
    match version {
        Some(version) => format!(
            "{}/{}",
            service.name,
            service.versions[usize::from(version)].name
        ),
        None => service.name.clone(),
    }
}

fn pod_name(story: &Story, pods: &[Pod], id: PodId) -> String {
    let pod = &pods[id.0 as usize];
    let party = usize::from(pod.party.0);
    if let Some(service) = story.services.get(party) {
        return format!(
            "{}/{}/{}",
            service.name,
            service.versions[usize::from(pod.version)].name,
            pod.replica
        );
    }
    match story.loads.get(party - story.services.len()) {
        Some(load) => format!("{}/{}", load.name, pod.replica),
        None => "control".to_owned(),
    }
}
