//! What only a real load has to tell: latency by both clocks and send lag side by side, statuses, and what went wrong.

use std::fmt::Write as _;

use shakedown::load::{Fired, Outcome};
use shakedown_reports::units;
use shakedown_results::{Latency, Load};

const INTO_A_STRING: &str = "writing into a string succeeds";

/// The figures of each load.
pub(super) fn table(outcome: &Outcome) -> String {
    let mut out = String::new();
    let document = &outcome.document;
    for (load, fired) in document.loads.iter().zip(&outcome.loads) {
        out.push('\n');
        if outcome.loads.len() > 1 {
            writeln!(out, "  {} at {}", fired.name, fired.address).expect(INTO_A_STRING);
        }
        latencies(&mut out, load, fired);
        out.push('\n');
        counts(&mut out, fired);
        if document.warm_up_ns > 0 {
            out.push_str("  (these counts take in the warm-up)\n");
        }
    }
    out
}

fn latencies(out: &mut String, load: &Load, fired: &Fired) {
    let head = ["", "mean", "p50", "p90", "p99", "p99.9", "max"];
    line(out, head.map(str::to_owned));
    for (name, latency) in [
        ("corrected", &load.latency_ns),
        ("uncorrected", &load.uncorrected_ns),
        ("send lag", &load.send_lag_ns),
        ("generator late", &Latency::of(fired.tally.late.clone())),
    ] {
        let figures = [
            latency.mean,
            latency.p50,
            latency.p90,
            latency.p99,
            latency.p999,
            latency.max,
        ];
        let mut cells = std::array::from_fn(|_| String::new());
        name.clone_into(&mut cells[0]);
        for (cell, ns) in cells[1..].iter_mut().zip(figures) {
            *cell = match latency.count {
                0 => "-".to_owned(),
                _ => units::duration(ns),
            };
        }
        line(out, cells);
    }
}

fn counts(out: &mut String, fired: &Fired) {
    let tally = &fired.tally;
    let rows = tally
        .statuses
        .iter()
        .map(|(status, count)| (format!("status {status}"), *count));
    let rows = rows.chain(
        tally
            .troubles
            .iter()
            .map(|(trouble, count)| (trouble.to_string(), *count)),
    );
    for (what, count) in rows {
        writeln!(out, "  {:>12}  {what}", units::count(count)).expect(INTO_A_STRING);
    }
    if tally.timeouts > 0 {
        let count = units::count(tally.timeouts);
        write!(out, "  {count:>12}  timed out").expect(INTO_A_STRING);
        if tally.never_left > 0 {
            let waited = units::count(tally.never_left);
            write!(out, ", {waited} of them waiting for a connection").expect(INTO_A_STRING);
        }
        out.push('\n');
    }
    let count = units::count(tally.lanes);
    let noun = if tally.lanes == 1 { "" } else { "s" };
    writeln!(out, "  {count:>12}  connection{noun} at once, at most").expect(INTO_A_STRING);
}

/// A row: a name to the left, figures to the right.
fn line(out: &mut String, cells: [String; 7]) {
    let [name, figures @ ..] = cells;
    let mut row = format!("  {name:<14}");
    for figure in figures {
        write!(row, "  {figure:>9}").expect(INTO_A_STRING);
    }
    out.push_str(row.trim_end());
    out.push('\n');
}
