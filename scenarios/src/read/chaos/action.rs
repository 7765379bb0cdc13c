//! Reads the action of a chaos item: its target and parameters.

use std::time::Duration;

use shakedown_yaml::{Node, suggest};

use super::super::fields::{Keys, get};
use super::super::reader::ScenarioReader;
use super::super::service::PODS_MAX;
use super::super::steps::StatusWords;
use super::super::target::TargetNames;
use crate::scenario::{ChaosAction, Draw, PodSelector, PodTarget, StepFailure, Version};
use crate::value::{Ratio, Share};

/// The keys of every item, plus those of its action.
macro_rules! item_keys {
    ($($own:literal),*) => {
        Keys {
            known: &["name", "do", "target", "at", "every", "from", "until", "for", "may-miss", $($own),*],
            later: &["when"],
        }
    };
}

const PLAIN: Keys = item_keys!();
const SLOW: Keys = item_keys!("factor", "add");
const FAIL: Keys = item_keys!("rate", "with", "only");
const SURGE: Keys = item_keys!("factor");
const SCALE: Keys = item_keys!("to");
const DEPLOY: Keys = item_keys!("replicas", "with");
const APPLY: Keys = Keys {
    known: &[
        "name", "do", "mesh", "at", "every", "from", "until", "may-miss",
    ],
    later: &["when"],
};

/// The keys of an item with this action.
pub(super) fn keys(action: &str) -> &'static Keys {
    match action {
        "slow" => &SLOW,
        "fail" => &FAIL,
        "surge" => &SURGE,
        "scale" => &SCALE,
        "deploy" => &DEPLOY,
        "apply" => &APPLY,
        _ => &PLAIN,
    }
}

impl ScenarioReader<'_> {
    /// Reads the action of the item with this index and name.
    pub(super) fn action(
        &mut self,
        name: &str,
        (index, item): (usize, &str),
        node: &Node,
        scene: &TargetNames<'_>,
    ) -> Option<ChaosAction> {
        match name {
            "apply" => Some(self.apply(index)),
            "surge" => self.surge(node, scene),
            "scale" => self.scale(node, scene),
            "deploy" => self.deploy(index, node, scene),
            "partition" => self.partition(node, scene),
            "slow" => self.slow(item, node, scene),
            "fail" => self.failing(node, scene),
            _ => {
                let target = self.target_pods(name, node, scene)?;
                self.there_at_0_s(name, &target, node, scene);
                Some(if name == "crash" {
                    ChaosAction::Crash(target)
                } else {
                    ChaosAction::Pause(target)
                })
            }
        }
    }

    /// The text of an item's target.
    fn written_target<'n>(&mut self, node: &'n Node, example: &str) -> Option<(&'n Node, &'n str)> {
        let Some(target) = get(node, "target") else {
            self.missing(node, "target", example);
            return None;
        };
        Some((target, self.text(target, "a target")?))
    }

    /// Reads a target that must be pods rather than a link.
    fn target_pods(
        &mut self,
        action: &str,
        node: &Node,
        scene: &TargetNames<'_>,
    ) -> Option<PodTarget> {
        let (target, text) = self.written_target(node, "target: 1 of payment")?;
        if text.contains("->") {
            self.error(&target.place, format!("`{action}` takes pods, not a link"));
            return None;
        }
        self.pods(text, &target.place, scene)
    }

    /// Refuses a target whose version is only deployed during the run.
    fn there_at_0_s(
        &mut self,
        action: &str,
        target: &PodTarget,
        node: &Node,
        scene: &TargetNames<'_>,
    ) {
        let PodSelector::Party {
            name,
            version: Some(version),
            ..
        } = &target.of
        else {
            return;
        };
        let replicas = scene.version(name, *version).map(|v| v.replicas);
        if replicas == Some(0)
            && let Some(written) = get(node, "target")
        {
            self.error(
                &written.place,
                format!("not supported yet: `{action}` of a version that has no replicas at 0 s"),
            );
        }
    }

    fn partition(&mut self, node: &Node, scene: &TargetNames<'_>) -> Option<ChaosAction> {
        let (target, text) = self.written_target(node, "target: a <-> b")?;
        let link = text
            .split_once("<->")
            .map(|ends| (ends, true))
            .or_else(|| text.split_once("->").map(|ends| (ends, false)));
        let Some(((from, to), both)) = link else {
            self.error(
                &target.place,
                "`partition` takes a link: `A -> B`, or `A <-> B` for both ways",
            );
            return None;
        };
        let from = self.pods(from.trim(), &target.place, scene);
        let to = self.pods(to.trim(), &target.place, scene);
        for end in [&from, &to].into_iter().flatten() {
            self.there_at_0_s("partition", end, node, scene);
        }
        Some(ChaosAction::Partition {
            from: from?,
            to: to?,
            both,
        })
    }

    /// Reads a target that must be pods of a service, because clients and the control plane have no endpoints.
    fn apps(&mut self, action: &str, node: &Node, scene: &TargetNames<'_>) -> Option<PodTarget> {
        let target = self.target_pods(action, node, scene)?;
        let no_app = match &target.of {
            PodSelector::Control => Some("control"),
            PodSelector::Party { name, .. }
                if scene.loads.iter().any(|load| load.name == *name) =>
            {
                Some(name.as_str())
            }
            _ => None,
        };
        if let Some(name) = no_app {
            let written = get(node, "target").unwrap_or(node);
            self.error(
                &written.place,
                format!("`{action}` takes pods of a service: `{name}` has no endpoints"),
            );
            return None;
        }
        Some(target)
    }

    fn slow(&mut self, item: &str, node: &Node, scene: &TargetNames<'_>) -> Option<ChaosAction> {
        let target = self.apps("slow", node, scene);
        let (factor, add) = match (get(node, "factor"), get(node, "add")) {
            (Some(written), None) => {
                let factor = self.factor(node, "factor");
                if factor == Some(Ratio::ZERO) {
                    self.error(&written.place, "a `factor` of `slow` is more than 0");
                }
                (factor?, None)
            }
            (None, Some(written)) => {
                let from = self.durations(written)?;
                let place = self.place(format!("chaos.{item}.add"));
                (Ratio::ONE, Some(Draw { from, place }))
            }
            (Some(_), Some(written)) => {
                self.error(&written.place, "`slow` takes `factor` or `add`, not both");
                return None;
            }
            (None, None) => {
                self.missing(node, "factor", "factor: 10");
                return None;
            }
        };
        Some(ChaosAction::Slow {
            target: target?,
            factor,
            add,
        })
    }

    fn failing(&mut self, node: &Node, scene: &TargetNames<'_>) -> Option<ChaosAction> {
        let target = self.apps("fail", node, scene);
        if get(node, "rate").is_none() {
            self.missing(node, "rate", "rate: 5%");
        }
        let rate: Option<Share> = self.share(node, "rate");
        let words = match target.as_ref().map(|target| &target.of) {
            Some(PodSelector::Party { name, .. }) => scene
                .services
                .iter()
                .find(|service| service.name == *name)
                .map_or(StatusWords::Both, |service| {
                    StatusWords::for_protocol(service.protocol)
                }),
            _ => StatusWords::Both,
        };
        let with = match get(node, "with") {
            Some(with) => self.failure(with, words),
            None => Some(StepFailure::Status(words.broken())),
        };
        let only = match get(node, "only") {
            Some(written) => {
                let (of, endpoint) =
                    self.declared_target(written, scene.skeletons, "a chaos item")?;
                let own = target.as_ref().and_then(|target| match &target.of {
                    PodSelector::Party { name, .. } => Some(name),
                    _ => None,
                });
                let service = &scene.skeletons[of].name;
                if let Some(own) = own.filter(|own| *own != service) {
                    self.error(
                        &written.place,
                        format!("`{service}` is not the target: `only` names an endpoint of {own}"),
                    );
                }
                let endpoint =
                    u16::try_from(endpoint).expect("endpoints are bounded when the story is read");
                Some((of, endpoint))
            }
            None => None,
        };
        Some(ChaosAction::Fail {
            target: target?,
            rate: rate?,
            with: with?,
            only,
        })
    }

    fn surge(&mut self, node: &Node, scene: &TargetNames<'_>) -> Option<ChaosAction> {
        let (target, text) = self.written_target(node, "target: users")?;
        let load = scene.loads.iter().position(|load| load.name == text);
        if load.is_none() && !self.incomplete {
            let known = scene.loads.iter().map(|load| load.name.as_str());
            let hint = suggest::hint(text, known.collect::<Vec<_>>());
            self.error(&target.place, format!("no load `{text}`: {hint}"));
        }
        if get(node, "factor").is_none() {
            self.missing(node, "factor", "factor: 3");
        }
        let factor = self.factor(node, "factor")?;
        Some(ChaosAction::Surge {
            load: load?,
            factor,
        })
    }

    /// Reads a target that is a service, optionally with a version, to indices.
    fn service_version(
        &mut self,
        node: &Node,
        scene: &TargetNames<'_>,
    ) -> Option<(usize, Option<u16>)> {
        let (target, text) = self.written_target(node, "target: checkout/v2")?;
        let (name, version) = match text.split_once('/') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let Some(service) = scene.services.iter().position(|s| s.name == name) else {
            if !self.incomplete {
                let known = scene.services.iter().map(|s| s.name.as_str());
                let hint = suggest::hint(name, known.collect::<Vec<_>>());
                self.error(&target.place, format!("no service `{name}`: {hint}"));
            }
            return None;
        };
        let Some(version) = version else {
            return Some((service, None));
        };
        let version = self.version_of(&scene.services[service], version, &target.place)?;
        Some((service, Some(version)))
    }

    fn scale(&mut self, node: &Node, scene: &TargetNames<'_>) -> Option<ChaosAction> {
        let found = self.service_version(node, scene);
        let Some(written) = get(node, "to") else {
            self.missing(node, "to", "to: 8");
            return None;
        };
        let to = self.replicas_of(written);
        let (service, version) = found?;
        Some(ChaosAction::Scale {
            service,
            version,
            to: to?,
        })
    }

    /// Reads a number of replicas within the limit for pods.
    fn replicas_of(&mut self, node: &Node) -> Option<u32> {
        let count = self.count_of(node)?;
        if count > PODS_MAX {
            self.error(
                &node.place,
                format!("`{count}` replicas are too many: at most {PODS_MAX}"),
            );
            return None;
        }
        Some(count)
    }

    fn deploy(
        &mut self,
        index: usize,
        node: &Node,
        scene: &TargetNames<'_>,
    ) -> Option<ChaosAction> {
        if let Some(every) = get(node, "every") {
            self.error(
                &every.place,
                "not supported yet: `deploy` again and again; write `at`",
            );
        }
        let replicas = match get(node, "replicas") {
            Some(written) => self.replicas_of(written),
            None => Some(1),
        };
        let (service, version) = self.service_version(node, scene)?;
        let written = get(node, "target").unwrap_or(node);
        let Some(version) = version else {
            self.error(
                &written.place,
                "`deploy` brings a version: write `target: checkout/v2`",
            );
            return None;
        };
        let name = &scene.services[service].versions[usize::from(version)].name;
        let mut deploys = scene.skeletons[service].deploys.iter();
        if !deploys.any(|deploy| deploy.item == index && deploy.version == *name) {
            self.error(
                &written.place,
                format!(
                    "not supported yet: `deploy` of a version that is there already; {name} is"
                ),
            );
            return None;
        }
        Some(ChaosAction::Deploy {
            service,
            version,
            replicas: replicas?,
        })
    }

    /// Returns the documents of an `apply`, which [`applies`](Self::applies) has already computed in the order of
    /// application.
    fn apply(&mut self, index: usize) -> ChaosAction {
        let (documents, remove) = self.applied.remove(&index).unwrap_or_default();
        ChaosAction::Apply { documents, remove }
    }
}

impl TargetNames<'_> {
    fn version(&self, service: &str, version: u16) -> Option<&Version> {
        let service = self.services.iter().find(|known| known.name == service)?;
        service.versions.get(usize::from(version))
    }
}

/// The start of an `apply` if the file alone determines it, else zero. Equal starts keep the file's order.
pub(in super::super) fn known_start(item: &Node) -> Duration {
    let written = get(item, "at").or_else(|| get(item, "from"));
    written
        .and_then(Node::as_str)
        .and_then(|text| crate::value::parse_duration(text).ok())
        .unwrap_or(Duration::ZERO)
}
