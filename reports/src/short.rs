//! A run in short: what happened, in order, a sentence each. Faults first of all, then who suffered and what followed: tries
//! again, queues, ejections, breakers, rollouts. All of it is read off the results document, so that its figures are the
//! document's own.

mod loads;
mod mesh;

use shakedown_results::series::Counts;
use shakedown_results::{Document, EventRow};

use crate::units;

const SECOND_NS: i64 = 1_000_000_000;
/// Sentences of one kind, at most: the worst ones.
const KIND_MAX: usize = 4;

/// What kind of thing happened, in the order in which one follows from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A chaos item.
    Fault,
    /// Something refused or worthless.
    Refused,
    /// Requests waited.
    Queue,
    /// Requests failed.
    Failures,
    /// Requests took long.
    Slow,
    /// Tries after one that had failed.
    Retries,
    /// Pods ejected, and detections that could not eject.
    Ejections,
    /// Breakers at their limit.
    Breakers,
    /// A canary.
    Rollout,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) kind: Kind,
    pub(crate) from_ns: i64,
    /// `None` for an instant.
    pub(crate) to_ns: Option<i64>,
    /// Of what or whom.
    pub(crate) subject: String,
    /// What, in words.
    pub(crate) words: String,
    /// How bad it was, among its kind.
    weight: u64,
}

/// What happened in a run, in order of time; what led to it before what followed from it.
pub(crate) fn of(document: &Document) -> Vec<Link> {
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

/// When it was, to the second; to the tenth where a second is much.
pub(crate) fn when(link: &Link, end_ns: i64) -> String {
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

/// The worst of a kind, in order of time.
fn worst(mut links: Vec<Link>) -> Vec<Link> {
    links.sort_by_key(|link| std::cmp::Reverse(link.weight));
    links.truncate(KIND_MAX);
    links
}

/// Chaos items: the first time and how often.
fn faults(document: &Document) -> Vec<Link> {
    let mut links: Vec<(Link, u64)> = Vec::new();
    for row in &document.events {
        let known = links
            .iter_mut()
            .find(|(link, _)| link.subject == row.subject);
        match (row.kind.as_str(), known) {
            ("fault-started", None) => {
                let weight = u64::MAX - u64::try_from(row.at_ns).unwrap_or(0);
                let link = Link {
                    kind: Kind::Fault,
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
    let told = links.into_iter().map(|(mut link, times)| {
        if times > 1 {
            link.words = format!("{}; {times} times", link.words);
        }
        link
    });
    told.collect()
}

/// Documents and resources that were refused.
fn refusals(events: &[EventRow]) -> Vec<Link> {
    let refused = events
        .iter()
        .filter(|row| matches!(row.kind.as_str(), "config-refused" | "document-refused"));
    let link = |row: &EventRow| Link {
        kind: Kind::Refused,
        from_ns: row.at_ns.max(0),
        to_ns: None,
        subject: row.subject.clone(),
        words: format!("refused: {}", row.detail),
        weight: u64::MAX - u64::try_from(row.at_ns).unwrap_or(0),
    };
    refused.map(link).collect()
}

/// Queues that grew beyond what is usual.
fn queues(rows: &[Counts], bin_ns: i64, document: &Document) -> Vec<Link> {
    let mut links = Vec::new();
    for row in rows {
        let Some(hump) = Hump::of(&row.bins) else {
            continue;
        };
        let last = row.bins.last().copied().unwrap_or(0);
        let end = row.bins.len() as i64 * bin_ns;
        let stays = hump.to + 1 >= row.bins.len() && end >= document.duration_ns;
        let rest = match stays {
            true => format!(", and {} still at the end", units::count(last)),
            false => String::new(),
        };
        links.push(Link {
            kind: Kind::Queue,
            from_ns: hump.from as i64 * bin_ns,
            to_ns: Some(match stays {
                true => document.duration_ns,
                false => hump.to as i64 * bin_ns,
            }),
            subject: row.name.clone(),
            words: format!(
                "up to {} waiting in its queue{rest}",
                units::count(hump.peak)
            ),
            weight: hump.peak,
        });
    }
    links
}

/// Where numbers stand far above what is usual: around their peak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hump {
    /// The first and, exclusive, the last.
    from: usize,
    to: usize,
    peak: u64,
}

impl Hump {
    /// Below this a number is no peak.
    const LEAST: u64 = 10;
    /// A peak is so many times what is usual, at least.
    const TIMES: u64 = 4;

    /// `None` where nothing stands out.
    fn of(numbers: &[u64]) -> Option<Hump> {
        let (at, peak) = numbers
            .iter()
            .enumerate()
            .max_by_key(|(at, number)| (**number, std::cmp::Reverse(*at)))?;
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        // A lower quartile: what stays high for most of a run stands out, too.
        let usual = sorted[sorted.len() / 4];
        let floor = usual.max(1) * Hump::TIMES;
        if *peak < Hump::LEAST.max(floor) {
            return None;
        }
        let level = (peak / 10).max(floor / 2).max(1);
        let below = |number: &u64| *number < level;
        let from = numbers[..at].iter().rposition(below).map_or(0, |at| at + 1);
        let to = numbers[at..]
            .iter()
            .position(below)
            .map_or(numbers.len(), |after| at + after);
        Some(Hump {
            from,
            to,
            peak: *peak,
        })
    }
}

#[cfg(test)]
mod tests;
