//! A summary of a run: its events in order, one sentence each. Faults are first, then the loads that were
//! affected and the consequences: retries, queues, ejections, breakers, rollouts. All figures are read from
//! the results document.

mod hump;
mod link;
mod loads;
mod mesh;

use shakedown_results::series::Counts;
use shakedown_results::{Document, EventRow};

use crate::units;
use hump::Hump;
use link::SECOND_NS;

pub(crate) use link::{ChainLink, LinkKind};

/// Maximum number of sentences per kind. The worst ones are kept.
const KIND_MAX: usize = 4;

/// Returns the events of a run in order of time, with causes before consequences.
pub(crate) fn chain(document: &Document) -> Vec<ChainLink> {
    let mut links = Vec::new();
    links.extend(worst(faults(document)));
    links.extend(worst(refusals(&document.events)));
    links.extend(worst(loads::failures(document)));
    links.extend(worst(loads::slowness(document)));
    let series = &document.series;
    links.extend(worst(queues(&series.queued, series.bin_ns, document)));
    links.extend(worst(mesh::retries(&series.retries, series.bin_ns)));
    links.extend(worst(mesh::ejections(&series.ejected)));
    links.extend(worst(mesh::overflows(&document.ejection_overflows)));
    links.extend(worst(mesh::breakers(&series.breakers)));
    links.extend(worst(mesh::rollouts(&series.canaries)));
    links.sort_by_key(|link| (link.from_ns, link.kind));
    links
}

/// Formats the time of an event, rounded to seconds; in runs below 30 s to tenths.
pub(crate) fn when(link: &ChainLink, end_ns: i64) -> String {
    let unit = match end_ns {
        ..30_000_000_000 => SECOND_NS / 10,
        _ => SECOND_NS,
    };
    let from_ns = link.from_ns.div_euclid(unit) * unit;
    match link.to_ns {
        None => units::written(from_ns),
        Some(to_ns) if to_ns >= end_ns => format!("from {} on", units::written(from_ns)),
        Some(to_ns) => {
            let to_ns = -(-to_ns).div_euclid(unit) * unit;
            format!("{} – {}", units::written(from_ns), units::written(to_ns))
        }
    }
}

/// Keeps the [`KIND_MAX`] worst events.
fn worst(mut links: Vec<ChainLink>) -> Vec<ChainLink> {
    links.sort_by_key(|link| std::cmp::Reverse(link.weight));
    links.truncate(KIND_MAX);
    links
}

/// Chaos items, each with the time of its first firing and the number of firings.
fn faults(document: &Document) -> Vec<ChainLink> {
    let mut links: Vec<(ChainLink, u64)> = Vec::new();
    for row in &document.events {
        let known = links
            .iter_mut()
            .find(|(link, _)| link.subject == row.subject);
        match (row.kind.as_str(), known) {
            ("fault-started", None) => {
                let weight = u64::MAX - u64::try_from(row.at_ns).unwrap_or(0);
                let link = ChainLink {
                    kind: LinkKind::Fault,
                    from_ns: row.at_ns,
                    to_ns: None,
                    subject: row.subject.clone(),
                    words: row.detail.clone(),
                    weight,
                };
                links.push((link, 1));
            }
            ("fault-started", Some((_, times))) => *times += 1,
            ("fault-ended", Some((link, _))) if row.at_ns > link.from_ns => {
                link.to_ns = Some(row.at_ns.min(document.duration_ns));
            }
            _ => {}
        }
    }
    let counted = links.into_iter().map(|(mut link, times)| {
        if times > 1 {
            link.words = format!("{}; {times} times", link.words);
        }
        link
    });
    counted.collect()
}

/// Documents and resources that were refused.
fn refusals(events: &[EventRow]) -> Vec<ChainLink> {
    let refused = events
        .iter()
        .filter(|row| matches!(row.kind.as_str(), "config-refused" | "document-refused"));
    let link = |row: &EventRow| ChainLink {
        kind: LinkKind::Refused,
        from_ns: row.at_ns.max(0),
        to_ns: None,
        subject: row.subject.clone(),
        words: format!("refused: {}", row.detail),
        weight: u64::MAX - u64::try_from(row.at_ns).unwrap_or(0),
    };
    refused.map(link).collect()
}

/// Queues that grew far beyond their usual length.
fn queues(rows: &[Counts], bin_ns: i64, document: &Document) -> Vec<ChainLink> {
    let mut links = Vec::new();
    for row in rows {
        let Some(hump) = Hump::find(&row.bins) else {
            continue;
        };
        let last = row.bins.last().copied().unwrap_or(0);
        let end = row.bins.len() as i64 * bin_ns;
        let stays = hump.to + 1 >= row.bins.len() && end >= document.duration_ns;
        let rest = if stays {
            format!(", and {} at the end", units::count(last))
        } else {
            String::new()
        };
        links.push(ChainLink {
            kind: LinkKind::Queue,
            from_ns: hump.from as i64 * bin_ns,
            to_ns: Some(if stays {
                document.duration_ns
            } else {
                hump.to as i64 * bin_ns
            }),
            subject: row.name.clone(),
            words: format!("up to {} requests queued{rest}", units::count(hump.peak)),
            weight: hump.peak,
        });
    }
    links
}

#[cfg(test)]
mod tests;
