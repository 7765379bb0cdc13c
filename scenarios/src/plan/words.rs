//! A fault in words, as a report and a journal show it.

use shakedown_results::{Pod, PodId};

use super::FaultAction;
use crate::story::{self, Failure, Part, Story, Target};
use crate::value::Ratio;

/// Pods that are named one by one, at most; more are named as the file names them.
const NAMED_MAX: usize = 4;

/// `crash api/v1/3`.
pub(super) fn words(
    story: &Story,
    pods: &[Pod],
    item: &story::Action,
    drawn: &FaultAction,
) -> String {
    let list = |target: &Target, ids: &[PodId]| {
        let many = matches!(target.part, Part::All) && ids.len() > 1;
        if ids.is_empty() || ids.len() > NAMED_MAX || many {
            return target.text.clone();
        }
        let names: Vec<String> = ids.iter().map(|id| pod_name(story, pods, *id)).collect();
        names.join(", ")
    };
    match (drawn, item) {
        (FaultAction::Crash(ids), story::Action::Crash(target)) => {
            format!("crash {}", list(target, ids))
        }
        (FaultAction::Pause(ids), story::Action::Pause(target)) => {
            format!("pause {}", list(target, ids))
        }
        (
            FaultAction::Partition { from: a, to: b, .. },
            story::Action::Partition { from, to, both },
        ) => {
            let arrow = if *both { "<->" } else { "->" };
            format!("partition {} {arrow} {}", list(from, a), list(to, b))
        }
        (
            FaultAction::Slow {
                pods,
                target,
                factor,
                add,
            },
            _,
        ) => {
            let by = match add {
                Some(add) => format!("by {} more", add.from),
                None => format!("by a factor of {}", number(*factor)),
            };
            format!("slow {} {by}", list(target, pods))
        }
        (
            FaultAction::Fail {
                pods,
                target,
                rate,
                with,
                ..
            },
            _,
        ) => {
            let with = match with {
                Failure::Status(status) => status.as_u16().to_string(),
                Failure::Reset => "reset".to_owned(),
                Failure::Hang => "hang".to_owned(),
            };
            format!(
                "fail {rate} of requests at {} with {with}",
                list(target, pods)
            )
        }
        (FaultAction::Surge { load, factor }, _) => {
            format!(
                "surge {} by a factor of {}",
                story.loads[*load].name,
                number(*factor)
            )
        }
        (drawn, _) => of_the_whole(story, drawn),
    }
}

/// What is done to a service, or to the configuration, rather than to pods or a load.
fn of_the_whole(story: &Story, drawn: &FaultAction) -> String {
    match drawn {
        FaultAction::Scale {
            service,
            version,
            to,
        } => {
            let name = version_name(story, *service, *version);
            format!("scale {name} to {}", story::replicas(*to))
        }
        FaultAction::Deploy {
            service,
            version,
            replicas,
        } => {
            let name = version_name(story, *service, Some(*version));
            format!("deploy {name} with {}", story::replicas(*replicas))
        }
        FaultAction::Apply { documents, remove } => {
            let put = documents.iter().map(|document| {
                let name = &document.meta().name;
                format!("apply {}/{name}", document.kind())
            });
            let gone = remove.iter().map(|key| format!("remove {key}"));
            let all: Vec<String> = put.chain(gone).collect();
            all.join(", ")
        }
        _ => "nothing".to_owned(),
    }
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
