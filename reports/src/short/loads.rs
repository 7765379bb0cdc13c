//! Who suffered: stretches in which a load's requests failed, or took far longer than usual.

use shakedown_results::{Document, Load, Second};

use super::{Kind, Link, SECOND_NS};
use crate::units;

/// A second is bad from this share of failures on, in per cent.
const BAD_PERCENT: u64 = 1;
/// Bad seconds with no more good ones between them are one stretch.
const APART_MAX: usize = 5;
/// Latency so many times the usual is slow.
const SLOW_TIMES: i64 = 5;
/// A slow stretch has so many seconds at least: one may be chance.
const SLOW_LEAST: usize = 2;

/// Stretches in which requests failed, and how long they took meanwhile.
pub(super) fn failures(document: &Document) -> Vec<Link> {
    let mut links = Vec::new();
    for load in &document.loads {
        for (from, to) in stretches(&load.seconds, is_bad) {
            let of = &load.seconds[from..to];
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
            links.push(link(Kind::Failures, load, (from, to), words, failed));
        }
    }
    links
}

/// Stretches in which requests took long, whether they failed or not.
pub(super) fn slowness(document: &Document) -> Vec<Link> {
    let mut links = Vec::new();
    for load in &document.loads {
        let Some(usual) = usual_p99(load) else {
            continue;
        };
        let slow = |second: &Second| is_slow(second.p99_ns, usual);
        let failing = stretches(&load.seconds, is_bad);
        for (from, to) in stretches(&load.seconds, slow) {
            // While requests fail it is told with that.
            let told = |(begin, end): &(usize, usize)| *begin <= from + 1 && to <= end + 1;
            if to - from < SLOW_LEAST || failing.iter().any(told) {
                continue;
            }
            let worst = load.seconds[from..to].iter().map(|second| second.p99_ns);
            let worst = worst.max().unwrap_or(0);
            let words = slow_words("", worst, usual);
            let weight = u64::try_from(worst / usual.max(1)).unwrap_or(0);
            let weight = weight.saturating_mul((to - from) as u64);
            links.push(link(Kind::Slow, load, (from, to), words, weight));
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
    format!("{before}p99 up to {worst}, where {usual} is usual")
}

fn link(kind: Kind, load: &Load, (from, to): (usize, usize), words: String, weight: u64) -> Link {
    Link {
        kind,
        from_ns: from as i64 * SECOND_NS,
        to_ns: Some(to as i64 * SECOND_NS),
        subject: load.name.clone(),
        words,
        weight,
    }
}

/// The lower quartile of the seconds' p99: a run that is slow for half of its time has been fast, too.
fn usual_p99(load: &Load) -> Option<i64> {
    let ended = load.seconds.iter().map(|second| second.p99_ns);
    let mut ended: Vec<i64> = ended.filter(|p99| *p99 > 0).collect();
    ended.sort_unstable();
    ended.get(ended.len() / 4).copied()
}

/// Where seconds are of a kind: first and, exclusive, last; few others between them count in.
fn stretches(seconds: &[Second], is: impl Fn(&Second) -> bool) -> Vec<(usize, usize)> {
    let mut stretches: Vec<(usize, usize)> = Vec::new();
    for (at, _) in seconds.iter().enumerate().filter(|(_, second)| is(second)) {
        match stretches.last_mut() {
            Some((_, to)) if at - *to <= APART_MAX => *to = at + 1,
            _ => stretches.push((at, at + 1)),
        }
    }
    stretches
}
