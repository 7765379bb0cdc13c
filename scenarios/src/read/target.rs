//! Targets of chaos: `1 of payment/v1 in zone a with tier=gold`.

use shakedown_yaml::{Location as FilePlace, suggest};

use super::reader::ScenarioReader;
use super::service::PODS_MAX;
use super::skeleton::Skeleton;
use crate::scenario::{
    LoadId, LoadSpec, PodCount, PodSelector, PodTarget, ServiceId, ServiceSpec, VersionId, Zone,
};
use crate::value::Share;

/// The names that a target may contain.
pub(super) struct TargetNames<'a> {
    pub(super) services: &'a [ServiceSpec],
    pub(super) loads: &'a [LoadSpec],
    pub(super) zones: &'a [Zone],
    /// The skeletons of the services, by the same index.
    pub(super) skeletons: &'a [Skeleton],
}

impl TargetNames<'_> {
    /// The service with a name.
    pub(super) fn service(&self, name: &str) -> Option<ServiceId> {
        let index = self.services.iter().position(|known| known.name == name);
        index.map(ServiceId::from_index)
    }

    /// The load with a name.
    pub(super) fn load(&self, name: &str) -> Option<LoadId> {
        let index = self.loads.iter().position(|known| known.name == name);
        index.map(LoadId::from_index)
    }
}

impl ScenarioReader<'_> {
    /// Parses the pods of a chaos target.
    pub(super) fn pods(
        &mut self,
        text: &str,
        place: &FilePlace,
        names: &TargetNames<'_>,
    ) -> Option<PodTarget> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let mut rest = &words[..];
        let mut part = PodCount::All;
        if let [amount, "of", tail @ ..] = rest {
            part = self.part_of(amount, place)?;
            rest = tail;
        }
        let (of, rest) = self.selector(rest, place, names)?;
        let mut target = PodTarget {
            of,
            zone: None,
            label: None,
            part,
            text: text.to_owned(),
        };
        self.narrow(&mut target, rest, place, names)?;
        Some(target)
    }

    /// Parses the participant. Returns also the remaining words.
    fn selector<'w>(
        &mut self,
        words: &'w [&'w str],
        place: &FilePlace,
        names: &TargetNames<'_>,
    ) -> Option<(PodSelector, &'w [&'w str])> {
        Some(match words {
            ["*", rest @ ..] => (PodSelector::All, rest),
            ["zone", zone, rest @ ..] => (
                PodSelector::Zone(self.zone_index(zone, place, names)?),
                rest,
            ),
            ["region", region, rest @ ..] => (self.region(region, place, names)?, rest),
            ["control", rest @ ..] => (PodSelector::Control, rest),
            [name, rest @ ..] => (self.participant(name, place, names)?, rest),
            [] => {
                self.error(place, "expected pods: `payment`, `payment/v1`, `payment/v1/0`, `zone a`, `control` or `*`");
                return None;
            }
        })
    }

    /// Parses `in zone a with tier=gold`, in either order.
    fn narrow(
        &mut self,
        target: &mut PodTarget,
        mut rest: &[&str],
        place: &FilePlace,
        names: &TargetNames<'_>,
    ) -> Option<()> {
        loop {
            match rest {
                ["in", "zone", name, tail @ ..] if target.zone.is_none() => {
                    target.zone = Some(self.zone_index(name, place, names)?);
                    rest = tail;
                }
                ["with", pair, tail @ ..] if target.label.is_none() => {
                    let Some((key, value)) = pair.split_once('=') else {
                        self.error(
                            place,
                            format!("invalid label `{pair}`: expected the form `tier=gold`"),
                        );
                        return None;
                    };
                    target.label = Some((key.to_owned(), value.to_owned()));
                    rest = tail;
                }
                [] => break,
                [word, ..] => {
                    self.error(place, format!("expected `in zone NAME` or `with LABEL=VALUE` in a target, found `{word}`"));
                    return None;
                }
            }
        }
        Some(())
    }

    fn part_of(&mut self, text: &str, place: &FilePlace) -> Option<PodCount> {
        if text.ends_with('%') {
            return match Share::parse(text) {
                Ok(share) if share <= Share::ALL && share > Share::NONE => {
                    Some(PodCount::Share(share))
                }
                Ok(_) => {
                    self.error(
                        place,
                        "a share of pods must be more than 0% and at most 100%",
                    );
                    None
                }
                Err(error) => {
                    self.error(place, error.to_string());
                    None
                }
            };
        }
        match text.parse::<u32>() {
            Ok(count) if count > 0 => Some(PodCount::Count(count)),
            _ => {
                self.error(
                    place,
                    format!("invalid number of pods `{text} of`: write `1 of payment`, or `30% of payment`"),
                );
                None
            }
        }
    }

    fn zone_index(
        &mut self,
        name: &str,
        place: &FilePlace,
        names: &TargetNames<'_>,
    ) -> Option<u16> {
        let found = names
            .zones
            .iter()
            .position(|zone| zone.name == name)
            .and_then(|at| u16::try_from(at).ok());
        if found.is_none() {
            let known: Vec<&str> = names.zones.iter().map(|zone| zone.name.as_str()).collect();
            self.error(
                place,
                format!("no zone `{name}`: {}", suggest::hint(name, known)),
            );
        }
        found
    }

    fn region(
        &mut self,
        name: &str,
        place: &FilePlace,
        names: &TargetNames<'_>,
    ) -> Option<PodSelector> {
        if names.zones.iter().any(|zone| zone.region == name) {
            return Some(PodSelector::Region(name.to_owned()));
        }
        let known: Vec<&str> = names
            .zones
            .iter()
            .map(|zone| zone.region.as_str())
            .collect();
        self.error(
            place,
            format!("no region `{name}`: {}", suggest::hint(name, known)),
        );
        None
    }

    /// Parses `payment`, `payment/v1`, `payment/v1/0`, or a load.
    fn participant(
        &mut self,
        text: &str,
        place: &FilePlace,
        names: &TargetNames<'_>,
    ) -> Option<PodSelector> {
        let mut parts = text.splitn(3, '/');
        let name = parts.next().unwrap_or_default();
        let (version, replica) = (parts.next(), parts.next());
        if let Some(load) = names.load(name)
            && version.is_none()
        {
            return Some(PodSelector::Load(load));
        }
        let Some(service) = names.service(name) else {
            if !self.incomplete {
                let known: Vec<&str> = names
                    .services
                    .iter()
                    .map(|s| s.name.as_str())
                    .chain(names.loads.iter().map(|l| l.name.as_str()))
                    .chain(["control"])
                    .collect();
                self.error(
                    place,
                    format!("no service `{name}`: {}", suggest::hint(name, known)),
                );
            }
            return None;
        };
        let Some(version) = version else {
            return Some(PodSelector::Service {
                service,
                version: None,
                replica: None,
            });
        };
        let spec = &names.services[service.index()];
        let version = self.version_of(spec, version, place)?;
        let replica = match replica {
            None => None,
            Some(text) => Some(self.replica_of(spec, version, text, place)?),
        };
        Some(PodSelector::Service {
            service,
            version: Some(version),
            replica,
        })
    }

    /// The version with a name.
    pub(super) fn version_of(
        &mut self,
        service: &ServiceSpec,
        version: &str,
        place: &FilePlace,
    ) -> Option<VersionId> {
        let found = service.version_named(version);
        if found.is_none() {
            let known: Vec<&str> = service.versions.iter().map(|v| v.name.as_str()).collect();
            let hint = suggest::hint(version, known);
            let message = format!("{} has no version `{version}`: {hint}", service.name);
            self.error(place, message);
        }
        found
    }

    /// The number of a replica. Replicas that are added during the run are not counted.
    fn replica_of(
        &mut self,
        service: &ServiceSpec,
        version: VersionId,
        text: &str,
        place: &FilePlace,
    ) -> Option<u32> {
        let version = &service.versions[version.index()];
        let most = match version.replicas {
            0 => PODS_MAX,
            replicas => replicas,
        };
        match text.parse::<u32>() {
            Ok(replica) if replica < most => Some(replica),
            _ => {
                let message = format!(
                    "{}/{} has {}, numbered from 0: no replica `{text}`",
                    service.name,
                    version.name,
                    crate::scenario::replicas(version.replicas)
                );
                self.error(place, message);
                None
            }
        }
    }
}
