//! Writes a load out as a scenario, and adds the subject that its checks leave out.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use shakedown_loadgen::live::RequestTemplate;
use shakedown_scenarios::scenario::{Arrivals, ResolvedScenario};
use shakedown_scenarios::value::{Ratio, Unit};
use shakedown_scenarios::{Edits, LoadError, load_text};

use super::options::LoadOptions;
use crate::secret::masked_path;

/// The name of the load in checks.
pub(super) const LOAD: &str = "load";

/// The file name of the text, which messages do not show.
const FILE: &str = "load";
const INTO_A_STRING: &str = "writing into a string succeeds";

/// Parses the load as a scenario, or returns a description of its errors.
pub(super) fn scenario(options: &LoadOptions) -> Result<ResolvedScenario, String> {
    if options.stages.iter().all(|stage| stage.rate.milli() == 0) {
        return Err(
            "invalid rate: no request is sent at 0/s; expected a --rate or --stage above 0/s"
                .to_owned(),
        );
    }
    if options.warm_up >= options.duration {
        return Err(format!(
            "invalid --warm-up {}: the load lasts only {}; expected a shorter warm-up",
            duration(options.warm_up),
            duration(options.duration)
        ));
    }
    let mut scenario = load_text(FILE, &written(options), &Edits::default())
        .map_err(|error| in_words(&error, options.expect.len()))?;
    scenario.loads[0].in_flight = options.in_flight;
    Ok(scenario)
}

fn written(options: &LoadOptions) -> String {
    let mut text = String::new();
    let mut checks = String::new();
    for check in &options.expect {
        // Each check is put on one line, so that the line of an error identifies the check.
        let check = one_line(&imply_subject(check)).replace('\'', "''");
        writeln!(checks, "  - '{check}'").expect(INTO_A_STRING);
    }
    if checks.is_empty() {
        writeln!(checks, "  - default: success({LOAD}) >= 99%").expect(INTO_A_STRING);
    }
    let stages: Vec<String> = options
        .stages
        .iter()
        .map(|stage| {
            let length = stage.length.unwrap_or(options.duration);
            let key = if stage.ramp { "to" } else { "rate" };
            format!("{{for: {}, {key}: {}}}", duration(length), stage.rate)
        })
        .collect();
    let arrivals = match options.arrivals {
        Arrivals::Constant => "constant",
        Arrivals::Poisson => "poisson",
    };
    // The checks are written first, so that their line numbers are known.
    write!(
        text,
        "expect:\n{checks}\
scenario: load
story: A load on a real server.
seed: {seed}
duration: {duration}
warm-up: {warm_up}
drain: {timeout}
topology:
  services:
    server: {{workers: 1, sidecar: none, endpoints: {{GET /: []}}}}
load:
  {LOAD}: {{to: server GET /, stages: [{stages}], arrivals: {arrivals}, timeout: {timeout}, sidecar: none}}
",
        seed = options.seed,
        duration = duration(options.duration),
        warm_up = duration(options.warm_up),
        timeout = duration(options.timeout),
        stages = stages.join(", "),
    )
    .expect(INTO_A_STRING);
    text
}

/// Formats a duration in the scenario language.
pub(super) fn duration(span: Duration) -> String {
    Unit::Duration.format(Ratio::whole(
        i128::try_from(span.as_nanos()).unwrap_or(i128::MAX),
    ))
}

/// Formats nanoseconds in the scenario language, rounded up to whole microseconds.
pub(super) fn duration_ns(ns: i64) -> String {
    let us = ns.max(0).unsigned_abs().div_ceil(1_000);
    duration(Duration::from_micros(us))
}

/// Describes the load for the results document.
pub(super) fn sentence(
    options: &LoadOptions,
    template: &RequestTemplate,
    address: SocketAddr,
) -> String {
    let rates: Vec<String> = options
        .stages
        .iter()
        .map(|stage| {
            let to = if stage.ramp { "to " } else { "" };
            match stage.length {
                Some(length) if options.stages.len() > 1 => {
                    format!("{to}{} for {}", stage.rate, duration(length))
                }
                _ => format!("{to}{}", stage.rate),
            }
        })
        .collect();
    let arrivals = match options.arrivals {
        Arrivals::Constant => "evenly spaced",
        Arrivals::Poisson => "as a Poisson process",
    };
    let connections = match options.connections {
        None => "as many connections as needed".to_owned(),
        Some(most) if most.get() == 1 => "one connection".to_owned(),
        Some(most) => format!("{most} connections"),
    };
    let protocol = if options.http2 { " of HTTP/2" } else { "" };
    format!(
        "Open loop, {}, {arrivals}, for {}: {} {} at {address}, over {connections}{protocol}.",
        rates.join(", then "),
        duration(options.duration),
        template.method(),
        masked_path(template.path()),
    )
}

/// Formats the errors of a load's text, one per line. An error in a check is located by the check's number, because the
/// user typed options rather than a file.
fn in_words(error: &LoadError, checks: usize) -> String {
    let LoadError::Wrong(found) = error else {
        return error.to_string();
    };
    let lines = found.iter().map(|found| {
        // Line 1 is `expect:`, followed by one line per check.
        let check = (found.place.line as usize).checked_sub(1);
        match check.filter(|check| (1..=checks).contains(check)) {
            Some(check) => format!("check {check}: {}", found.message),
            None => found.message.clone(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Adds the load as subject to each metric of a check that has none: `p99 < 250ms` becomes `p99(load) < 250ms`, and
/// `count(where timeout) == 0` becomes `count(load where timeout) == 0`. Other metrics are unchanged.
pub fn imply_subject(check: &str) -> String {
    let mut out = String::with_capacity(check.len() + 8);
    let mut rest = check;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(length);
        out.push_str(word);
        rest = after;
        if !is_metric(word) {
            continue;
        }
        match after.trim_start().strip_prefix('(') {
            None => out.push_str("(load)"),
            Some(inner) => {
                let end = inner.find(')').map_or(inner.len(), |at| at + 1);
                let (inside, after) = inner.split_at(end);
                out.push('(');
                if lacks_subject(inside) {
                    out.push_str("load ");
                }
                out.push_str(inside);
                rest = after;
            }
        }
    }
    out
}

/// Returns true if the text inside a metric's parentheses starts after the subject.
fn lacks_subject(inside: &str) -> bool {
    let word = inside
        .trim_start()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .next();
    matches!(
        word,
        Some("where" | "during" | "after" | "before" | "within")
    ) || inside.trim() == ")"
}

/// Returns true if a word is a metric of loads.
fn is_metric(word: &str) -> bool {
    let measured = ["uncorrected.", "send-lag."]
        .iter()
        .find_map(|measure| word.strip_prefix(measure));
    let base = measured.unwrap_or(word);
    let is_statistic = matches!(base, "mean" | "min" | "max")
        || base
            .strip_prefix('p')
            .is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_digit()));
    let is_count = matches!(
        base,
        "success" | "errors" | "count" | "share" | "offered" | "rate" | "goodput"
    );
    is_statistic || measured.is_none() && (is_count || base.starts_with("in-flight"))
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests;
