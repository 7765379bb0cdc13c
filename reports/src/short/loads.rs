//! Intervals in which a load's requests failed, or took far longer than usual.

use shakedown_results::{Document, Load, Second};

use super::link::{ChainLink, LinkKind, SECOND_NS};
use crate::units;

/// Minimum share of failures of a bad second, in percent.
const BAD_PERCENT: u64 = 1;
/// Maximum number of good seconds between two bad ones of the same interval.
const APART_MAX: u64 = 5;
/// Minimum ratio of a slow latency to the usual one.
const SLOW_TIMES: i64 = 5;
/// Minimum length of a slow interval in seconds, because a single slow second may be chance.
const SLOW_LEAST: u64 = 2;

/// Intervals in which requests failed, with the latencies meanwhile.
pub(super) fn failures(document: &Document) -> Vec<ChainLink> {
    let mut links = Vec::new();
    for load in &document.loads {
        for (from, to) in stretches(load, is_bad) {
            let of = rows(load, (from, to));
            let failed: u64 = of.iter().map(|second| second.failed).sum();
            let ended: u64 = of.iter().map(|second| second.ok + second.failed).sum();
            let share = units::share(failed, ended);
            let mut words = format!(
                "{} of {} requests failed ({share})",
                units::count(failed),
                units::count(ended)
            );
            let worst = of.iter().map(|second| second.p99_ns).max().unwrap_or(0);
            if let Some(usual) = usual_p99(load).filter(|usual| is_slow(worst, *usual)) {
                words.push_str(&slow_words(", ", worst, usual));
            }
            links.push(link(LinkKind::Failures, load, (from, to), words, failed));
        }
    }
    links
}

/// Intervals in which requests took long, whether they failed or not.
pub(super) fn slowness(document: &Document) -> Vec<ChainLink> {
    let mut links = Vec::new();
    for load in &document.loads {
        let Some(usual) = usual_p99(load) else {
            continue;
        };
        let slow = |second: &Second| is_slow(second.p99_ns, usual);
        let failing = stretches(load, is_bad);
        for (from, to) in stretches(load, slow) {
            // Already covered by the sentence about the failures.
            let covered = |(begin, end): &(u64, u64)| *begin <= from + 1 && to <= end + 1;
            if to - from < SLOW_LEAST || failing.iter().any(covered) {
                continue;
            }
            let worst = rows(load, (from, to)).iter().map(|second| second.p99_ns);
            let worst = worst.max().unwrap_or(0);
            let words = slow_words("", worst, usual);
            let weight = u64::try_from(worst / usual.max(1)).unwrap_or(0);
            let weight = weight.saturating_mul(to - from);
            links.push(link(LinkKind::Slow, load, (from, to), words, weight));
        }
    }
    links
}

fn is_bad(second: &Second) -> bool {
    second.failed > 0 && second.failed * 100 >= (second.ok + second.failed) * BAD_PERCENT
}

fn is_slow(p99_ns: i64, usual: i64) -> bool {
    p99_ns > usual.saturating_mul(SLOW_TIMES)
}

fn slow_words(before: &str, worst: i64, usual: i64) -> String {
    let (worst, usual) = (units::duration(worst), units::duration(usual));
    format!("{before}p99 up to {worst}, usually {usual}")
}

fn link(
    kind: LinkKind,
    load: &Load,
    (from, to): (u64, u64),
    words: String,
    weight: u64,
) -> ChainLink {
    ChainLink {
        kind,
        from_ns: nanos(from),
        to_ns: Some(nanos(to)),
        subject: load.name.clone(),
        words,
        weight,
    }
}

/// Returns the lower quartile of the seconds' p99, so that a run that is slow for half of its time still has
/// a fast reference.
fn usual_p99(load: &Load) -> Option<i64> {
    let ended = load.seconds.iter().map(|second| second.p99_ns);
    let mut ended: Vec<i64> = ended.filter(|p99| *p99 > 0).collect();
    ended.sort_unstable();
    ended.get(ended.len() / 4).copied()
}

/// Returns the intervals whose seconds match: start and exclusive end, in seconds from 0 s. Gaps of up to
/// [`APART_MAX`] are included.
fn stretches(load: &Load, is: impl Fn(&Second) -> bool) -> Vec<(u64, u64)> {
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for row in load.seconds.iter().filter(|row| is(row)) {
        let end = row.from_s + load.seconds_each;
        match stretches.last_mut() {
            Some((_, to)) if row.from_s - *to <= APART_MAX => *to = end,
            _ => stretches.push((row.from_s, end)),
        }
    }
    stretches
}

fn rows(load: &Load, (from, to): (u64, u64)) -> &[Second] {
    let at = |second: u64| load.seconds.partition_point(|row| row.from_s < second);
    &load.seconds[at(from)..at(to)]
}

fn nanos(second: u64) -> i64 {
    i64::try_from(second)
        .unwrap_or(i64::MAX)
        .saturating_mul(SECOND_NS)
}
