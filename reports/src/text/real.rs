//! Figures that only a load on a real server has: latency from both clocks and by outcome, statuses and
//! failures, connections and bytes, and the latency added by the generator.

use std::fmt::Write as _;

use shakedown_results::{Document, Latency, Load, RealLoad};

use super::screen::{INTO_A_STRING, Screen, one_line, write_aligned};
use crate::units;

/// Writes the figures of each load on a real server.
pub(super) fn write(document: &Document, screen: Screen, out: &mut String) {
    for load in &document.loads {
        let Some(real) = &load.real else {
            continue;
        };
        out.push('\n');
        if document.loads.len() > 1 {
            let name = one_line(&load.name);
            writeln!(out, "  {name} at {}", real.address).expect(INTO_A_STRING);
        }
        write_latencies(load, real, screen, out);
        out.push('\n');
        write_counts(load, real, out);
    }
}

fn write_latencies(load: &Load, real: &RealLoad, screen: Screen, out: &mut String) {
    let head = ["", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let generator = &real.generator;
    for (name, latency, always) in [
        ("corrected", &load.latency_ns, true),
        ("  of successes", &load.ok_latency_ns, false),
        ("  of failures", &load.failed_latency_ns, false),
        ("uncorrected", &load.uncorrected_ns, true),
        ("send lag", &load.send_lag_ns, true),
        ("generator: late", &generator.late_ns, true),
        ("generator: handling", &generator.handling_ns, true),
        ("generator: total", &generator.own_ns, true),
        ("event loop: lag", &generator.loop_lag_ns, true),
    ] {
        // If all requests succeeded, or all failed, this row would repeat the one above.
        if always || latency.count > 0 && latency.count < load.latency_ns.count {
            rows.push(row(name, latency));
        }
    }
    write_aligned(&rows, screen, out);
}

fn row(name: &str, latency: &Latency) -> Vec<String> {
    let figures = [
        latency.mean,
        latency.p50,
        latency.p90,
        latency.p95,
        latency.p99,
        latency.p999,
        latency.max,
    ];
    let cells = figures.map(|ns| match latency.count {
        0 => "-".to_owned(),
        _ => units::duration(ns),
    });
    std::iter::once(name.to_owned()).chain(cells).collect()
}

fn write_counts(load: &Load, real: &RealLoad, out: &mut String) {
    let mut line = |figure: String, what: &str| {
        writeln!(out, "  {figure:>12}  {}", one_line(what)).expect(INTO_A_STRING);
    };
    for status in &load.statuses {
        line(
            units::count(status.count),
            &format!("status {}", status.status),
        );
    }
    for failure in &real.failures {
        line(units::count(failure.count), &words(failure));
    }
    if load.unsent > 0 {
        let waited = units::count(real.timed_out_unsent);
        line(
            units::count(load.unsent),
            &format!("unsent, {waited} of them timed out waiting for a connection"),
        );
    }
    let connections = &real.connections;
    line(
        units::count(connections.opened),
        &format!(
            "connections opened, at most {} at once, {}{}",
            units::count(connections.open_max),
            real.protocol,
            if real.tls { " over TLS" } else { "" }
        ),
    );
    line(
        units::milli(real.throughput.answered_milli_per_s),
        &format!(
            "responses per second, {} of them successes",
            units::milli(real.throughput.ok_milli_per_s)
        ),
    );
    line(
        units::bytes(real.bytes.received),
        &format!(
            "received ({} per second), {} sent",
            units::bytes(real.throughput.received_bytes_per_s),
            units::bytes(real.bytes.sent)
        ),
    );
    line(
        format!("{}%", units::milli(real.generator.cpu_ppm / 10)),
        "of a core used by the generator",
    );
}

/// Describes a kind of failure: `waiting for the response: connection reset by the server (RST)`.
pub(crate) fn words(failure: &shakedown_results::FailureCount) -> String {
    let phase = match failure.phase.as_str() {
        "queue" => "waiting for a connection",
        "connect" => "connecting",
        "send" => "before the request was written",
        "head" => "waiting for the response",
        "body" => "reading the response",
        other => other,
    };
    let cause = match failure.cause.as_str() {
        "timeout" => "timed out",
        "refused" => "connection refused",
        "unreachable" => "unreachable",
        "exhausted" => "no file descriptor or port left on this machine",
        "handshake" => "TLS handshake failed",
        "closed" => "connection closed by the server (FIN)",
        "reset" => "connection reset by the server (RST)",
        "stream-reset" => "stream reset by the server",
        "stream-refused" => "stream refused by the server",
        "malformed" => "malformed HTTP",
        other => other,
    };
    if failure.detail.is_empty() {
        format!("{phase}: {cause}")
    } else {
        format!("{phase}: {cause} ({})", failure.detail)
    }
}
