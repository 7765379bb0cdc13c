//! Reactions of the mesh: retries, ejections, breakers, rollouts.

use std::collections::BTreeMap;

use shakedown_results::EjectionOverflow;
use shakedown_results::series::{Canary, Counts, Stretches};
use shakedown_types::{BreakerLimit, CanaryPhase};

use super::hump::Hump;
use super::link::{ChainLink, LinkKind};
use crate::{overflow, units};

/// Edges with many more retries than usual.
pub(super) fn retries(rows: &[Counts], bin_ns: i64) -> Vec<ChainLink> {
    let mut links = Vec::new();
    for row in rows {
        let Some(hump) = Hump::find(&row.bins) else {
            continue;
        };
        let all: u64 = row.bins[hump.from..hump.to].iter().sum();
        let words = format!(
            "{}, up to {}",
            match all {
                1 => "1 retry".to_owned(),
                all => format!("{} retries", units::count(all)),
            },
            units::rate(hump.peak, bin_ns)
        );
        links.push(ChainLink {
            kind: LinkKind::Retries,
            from_ns: hump.from as i64 * bin_ns,
            to_ns: Some(hump.to as i64 * bin_ns),
            subject: row.name.clone(),
            words,
            weight: all,
        });
    }
    links
}

/// Ejected pods, by service.
pub(super) fn ejections(rows: &[Stretches]) -> Vec<ChainLink> {
    let mut services: BTreeMap<&str, Vec<&Stretches>> = BTreeMap::new();
    for row in rows {
        let service = row.name.split('/').next().unwrap_or(&row.name);
        services.entry(service).or_default().push(row);
    }
    let link = |(service, pods): (&str, Vec<&Stretches>)| {
        let times: usize = pods.iter().map(|pod| pod.spans.len()).sum();
        let (from_ns, to_ns) = bounds(pods.iter().flat_map(|pod| &pod.spans))?;
        let (subject, who) = match &pods[..] {
            [pod] => (pod.name.clone(), "ejected".to_owned()),
            pods => (
                service.to_owned(),
                format!("{} pods ejected", units::count(pods.len() as u64)),
            ),
        };
        let often = match times {
            times if times > pods.len() => format!(", {times} times in total"),
            _ => String::new(),
        };
        Some(ChainLink {
            kind: LinkKind::Ejections,
            from_ns,
            to_ns: Some(to_ns),
            subject,
            words: format!("{who}{often}"),
            weight: times as u64,
        })
    };
    services.into_iter().filter_map(link).collect()
}

/// Outlier detections that could not eject.
pub(super) fn overflows(rows: &[EjectionOverflow]) -> Vec<ChainLink> {
    let link = |row: &EjectionOverflow| ChainLink {
        kind: LinkKind::Ejections,
        from_ns: row.from_ns,
        to_ns: Some(row.to_ns).filter(|to_ns| *to_ns > row.from_ns),
        subject: format!("{} -> {}", row.source, row.destination),
        words: overflow::words(row),
        weight: row.count,
    };
    rows.iter().map(link).collect()
}

/// Circuit breakers at their limit. A limit on connections delays requests, the others reject them. It is
/// only reported if no other breaker of the edge is.
pub(super) fn breakers(rows: &[Stretches]) -> Vec<ChainLink> {
    let named = |row: &Stretches| {
        let (edge, limit) = row.name.split_once(" (").unwrap_or((&row.name, ""));
        (edge.to_owned(), limit.trim_end_matches(')').to_owned())
    };
    let link = |row: &Stretches| {
        let (from_ns, to_ns) = longest(&row.spans)?;
        let open: i64 = row.spans.iter().map(|(from, to)| to - from).sum();
        let (edge, limit) = named(row);
        let turns_away = |other: &Stretches| {
            let (of, by) = named(other);
            of == edge && by != BreakerLimit::Connections.name()
        };
        if limit == BreakerLimit::Connections.name() && rows.iter().any(turns_away) {
            return None;
        }
        let times = match row.spans.len() {
            1 => String::new(),
            times => format!(", {} times", units::count(times as u64)),
        };
        Some(ChainLink {
            kind: LinkKind::Breakers,
            from_ns,
            to_ns: Some(to_ns),
            subject: edge,
            words: format!(
                "breaker at its limit of {limit} for {}{times}",
                units::duration(open)
            ),
            weight: open.unsigned_abs(),
        })
    };
    rows.iter().filter_map(link).collect()
}

/// Maximum gap between two intervals that are reported as one.
const APART_NS: i64 = 5_000_000_000;

/// Joins intervals with short gaps between them, and returns the longest result.
fn longest(spans: &[(i64, i64)]) -> Option<(i64, i64)> {
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from, to) in spans {
        match joined.last_mut() {
            Some((_, end)) if from - *end <= APART_NS => *end = *to,
            _ => joined.push((*from, *to)),
        }
    }
    joined
        .into_iter()
        .max_by_key(|(from, to)| (to - from, -from))
}

/// The results of rollouts.
pub(super) fn rollouts(canaries: &[Canary]) -> Vec<ChainLink> {
    let link = |canary: &Canary| {
        let began = canary
            .steps
            .iter()
            .find(|step| step.phase == CanaryPhase::Progressing.name());
        let last = canary.steps.last()?;
        let began = began?;
        Some(ChainLink {
            kind: LinkKind::Rollout,
            from_ns: began.at_ns.max(0),
            to_ns: Some(last.at_ns).filter(|at| *at > began.at_ns),
            subject: match last.version.as_str() {
                "" => canary.service.clone(),
                version => format!("{}/{version}", canary.service),
            },
            words: format!("canary {}: {}", last.phase, last.reason),
            weight: canary.steps.len() as u64,
        })
    };
    canaries.iter().filter_map(link).collect()
}

fn bounds<'a>(spans: impl IntoIterator<Item = &'a (i64, i64)>) -> Option<(i64, i64)> {
    spans
        .into_iter()
        .copied()
        .reduce(|(from, to), (other_from, other_to)| (from.min(other_from), to.max(other_to)))
}
