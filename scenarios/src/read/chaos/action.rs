//! Reads the action of a chaos item: its target and parameters.

use std::time::Duration;

use shakedown_yaml::{Node, Raw, suggest};

use super::super::fields::get;
use super::super::reader::ScenarioReader;
use super::super::service::PODS_MAX;
use super::super::steps::StatusWords;
use super::super::target::TargetNames;
use crate::file::{
    ActionKind, Count, DeployKeys, Factor, FailItemKeys, ScaleKeys, SlowKeys, SurgeKeys,
};
use crate::scenario::{
    ChaosAction, Draw, PodSelector, PodTarget, ServiceId, StepFailure, VersionId,
};
use crate::value::Ratio;

impl ScenarioReader<'_> {
    /// Reads the action of the item with this index and name.
    pub(super) fn action(
        &mut self,
        action: ActionKind,
        (index, item): (usize, &str),
        node: &Node,
        names: &TargetNames<'_>,
    ) -> Option<ChaosAction> {
        match action {
            ActionKind::Apply => Some(self.apply(index)),
            ActionKind::Surge => self.surge(node, names),
            ActionKind::Scale => self.scale(node, names),
            ActionKind::Deploy => self.deploy(index, node, names),
            ActionKind::Partition => self.partition(node, names),
            ActionKind::Slow => self.slow(item, node, names),
            ActionKind::Fail => self.failing(node, names),
            ActionKind::Crash => self.stopping(action, node, names).map(ChaosAction::Crash),
            ActionKind::Pause => self.stopping(action, node, names).map(ChaosAction::Pause),
            ActionKind::Nothing => None,
        }
    }

    /// Reads the target of an action that stops pods.
    fn stopping(
        &mut self,
        action: ActionKind,
        node: &Node,
        names: &TargetNames<'_>,
    ) -> Option<PodTarget> {
        let target = self.target_pods(action.name(), node, names)?;
        self.there_at_0_s(action.name(), &target, node, names);
        Some(target)
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
        names: &TargetNames<'_>,
    ) -> Option<PodTarget> {
        let (target, text) = self.written_target(node, "target: 1 of payment")?;
        if text.contains("->") {
            self.error(
                &target.place,
                format!("`{action}` requires pods as its target, not a link"),
            );
            return None;
        }
        self.pods(text, &target.place, names)
    }

    /// Refuses a target whose version is only deployed during the run.
    fn there_at_0_s(
        &mut self,
        action: &str,
        target: &PodTarget,
        node: &Node,
        names: &TargetNames<'_>,
    ) {
        let PodSelector::Service {
            service,
            version: Some(version),
            ..
        } = target.of
        else {
            return;
        };
        let service = &names.services[service.index()];
        if service.versions[version.index()].replicas == 0
            && let Some(written) = get(node, "target")
        {
            self.error(
                &written.place,
                format!("not supported yet: `{action}` of a version that has no replicas at 0 s"),
            );
        }
    }

    fn partition(&mut self, node: &Node, names: &TargetNames<'_>) -> Option<ChaosAction> {
        let (target, text) = self.written_target(node, "target: a <-> b")?;
        let link = text
            .split_once("<->")
            .map(|ends| (ends, true))
            .or_else(|| text.split_once("->").map(|ends| (ends, false)));
        let Some(((from, to), both)) = link else {
            self.error(
                &target.place,
                "`partition` requires a link as its target: `A -> B`, or `A <-> B` for both directions",
            );
            return None;
        };
        let from = self.pods(from.trim(), &target.place, names);
        let to = self.pods(to.trim(), &target.place, names);
        for end in [&from, &to].into_iter().flatten() {
            self.there_at_0_s("partition", end, node, names);
        }
        Some(ChaosAction::Partition {
            from: from?,
            to: to?,
            both,
        })
    }

    /// Reads a target that must be pods of a service, because clients and the control plane have no endpoints.
    fn apps(&mut self, action: &str, node: &Node, names: &TargetNames<'_>) -> Option<PodTarget> {
        let target = self.target_pods(action, node, names)?;
        let no_app = match target.of {
            PodSelector::Control => Some("control"),
            PodSelector::Load(load) => Some(names.loads[load.index()].name.as_str()),
            _ => None,
        };
        if let Some(name) = no_app {
            let written = get(node, "target").unwrap_or(node);
            self.error(
                &written.place,
                format!(
                    "`{action}` requires pods of a service as its target: `{name}` has no endpoints"
                ),
            );
            return None;
        }
        Some(target)
    }

    fn slow(&mut self, item: &str, node: &Node, names: &TargetNames<'_>) -> Option<ChaosAction> {
        let target = self.apps("slow", node, names);
        let keys: SlowKeys = self.decode_part(node).unwrap_or_default();
        let (factor, add) = match (get(node, "factor"), get(node, "add")) {
            (Some(written), None) => {
                let Factor(factor) = keys.factor?;
                if factor == Ratio::ZERO {
                    self.error(
                        &written.place,
                        "the `factor` of `slow` must be greater than 0",
                    );
                }
                (factor, None)
            }
            (None, Some(written)) => {
                let from = self.with_file(keys.add?.0, written)?;
                let draw_id = self.stream(format!("chaos.{item}.add"));
                (Ratio::ONE, Some(Draw { from, draw_id }))
            }
            (Some(_), Some(written)) => {
                self.error(
                    &written.place,
                    "`slow` accepts either `factor` or `add`, not both",
                );
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

    fn failing(&mut self, node: &Node, names: &TargetNames<'_>) -> Option<ChaosAction> {
        let target = self.apps("fail", node, names);
        let keys: Option<FailItemKeys> = self.decode_part(node);
        let words = match target.as_ref().map(|target| &target.of) {
            Some(PodSelector::Service { service, .. }) => {
                StatusWords::for_protocol(names.services[service.index()].protocol)
            }
            _ => StatusWords::Both,
        };
        let keys = keys?;
        let with = match &keys.with {
            Some(Raw(with)) => self.failure(with, words),
            None => Some(StepFailure::Status(words.broken())),
        };
        let only = match &keys.only {
            Some(Raw(written)) => {
                let (of, endpoint) =
                    self.declared_target(written, names.skeletons, "a chaos item")?;
                let own = target.as_ref().and_then(|target| match target.of {
                    PodSelector::Service { service, .. } => Some(service),
                    _ => None,
                });
                if let Some(own) = own.filter(|own| *own != of) {
                    let service = &names.services[of.index()].name;
                    let own = &names.services[own.index()].name;
                    self.error(
                        &written.place,
                        format!(
                            "`{service}` is not the target: `only` must name an endpoint of {own}"
                        ),
                    );
                }
                Some((of, endpoint))
            }
            None => None,
        };
        Some(ChaosAction::Fail {
            target: target?,
            rate: keys.rate.0,
            with: with?,
            only,
        })
    }

    fn surge(&mut self, node: &Node, names: &TargetNames<'_>) -> Option<ChaosAction> {
        let (target, text) = self.written_target(node, "target: users")?;
        let load = names.load(text);
        if load.is_none() && !self.incomplete {
            let known = names.loads.iter().map(|load| load.name.as_str());
            let hint = suggest::hint(text, known.collect::<Vec<_>>());
            self.error(&target.place, format!("no load `{text}`: {hint}"));
        }
        let SurgeKeys { factor } = self.decode_part(node)?;
        Some(ChaosAction::Surge {
            load: load?,
            factor: factor.0,
        })
    }

    /// Reads a target that is a service, optionally with a version.
    fn service_version(
        &mut self,
        node: &Node,
        names: &TargetNames<'_>,
    ) -> Option<(ServiceId, Option<VersionId>)> {
        let (target, text) = self.written_target(node, "target: checkout/v2")?;
        let (name, version) = match text.split_once('/') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let Some(service) = names.service(name) else {
            if !self.incomplete {
                let known = names.services.iter().map(|s| s.name.as_str());
                let hint = suggest::hint(name, known.collect::<Vec<_>>());
                self.error(&target.place, format!("no service `{name}`: {hint}"));
            }
            return None;
        };
        let Some(version) = version else {
            return Some((service, None));
        };
        let version = self.version_of(&names.services[service.index()], version, &target.place)?;
        Some((service, Some(version)))
    }

    fn scale(&mut self, node: &Node, names: &TargetNames<'_>) -> Option<ChaosAction> {
        let found = self.service_version(node, names);
        let ScaleKeys { to: Count(to) } = self.decode_part(node)?;
        let to = self.bounded_replicas(to, node, "to");
        let (service, version) = found?;
        Some(ChaosAction::Scale {
            service,
            version,
            to: to?,
        })
    }

    /// Returns the number of replicas that is the value of a key, if it is within the limit for pods.
    fn bounded_replicas(&mut self, count: u32, map: &Node, key: &str) -> Option<u32> {
        if count > PODS_MAX
            && let Some(written) = get(map, key)
        {
            self.error(
                &written.place,
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
        names: &TargetNames<'_>,
    ) -> Option<ChaosAction> {
        if let Some(every) = get(node, "every") {
            self.error(
                &every.place,
                "not supported yet: `deploy` with `every`; use `at`",
            );
        }
        let DeployKeys {
            replicas: Count(replicas),
            ..
        } = self.decode_part(node).unwrap_or_default();
        let replicas = self.bounded_replicas(replicas, node, "replicas");
        let (service, version) = self.service_version(node, names)?;
        let written = get(node, "target").unwrap_or(node);
        let Some(version) = version else {
            self.error(
                &written.place,
                "the target of `deploy` needs a version, for example `target: checkout/v2`",
            );
            return None;
        };
        let name = &names.services[service.index()].versions[version.index()].name;
        let mut deploys = names.skeletons[service.index()].deploys.iter();
        if !deploys.any(|deploy| deploy.item == index && deploy.version == *name) {
            self.error(
                &written.place,
                format!("not supported yet: `deploy` of an existing version (`{name}`)"),
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

/// The start of an `apply` if the file alone determines it, else zero. Equal starts keep the file's order.
pub(in super::super) fn known_start(item: &Node) -> Duration {
    let written = get(item, "at").or_else(|| get(item, "from"));
    written
        .and_then(Node::as_str)
        .and_then(|text| crate::value::parse_duration(text).ok())
        .unwrap_or(Duration::ZERO)
}
