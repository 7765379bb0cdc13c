//! Sections that only loads on real servers have: requests, reasons of failures, connections and bytes, and
//! the latency added by the generator.

use maud::{Markup, html};
use shakedown_results::{Document, Latency, Load, RealLoad};

use super::elements::{scrolling, time_cell};
use crate::text::failure_words;
use crate::units;

pub(super) fn section(document: &Document) -> Markup {
    html! {
        @for load in &document.loads {
            @if let Some(real) = &load.real {
                section aria-labelledby={ "real-" (load.name) } {
                    h2 id={ "real-" (load.name) } { "Load " (load.name) " on " (real.address) }
                    (scrolling("Requests, connections and bytes", facts(load, real)))
                    (scrolling("Responses and failures", answers(load, real)))
                    (scrolling("Latency by outcome, and the generator's contribution", latencies(load, real)))
                }
            }
        }
    }
}

fn facts(load: &Load, real: &RealLoad) -> Markup {
    let protocol = if real.tls {
        format!("{} over TLS", real.protocol)
    } else {
        real.protocol.clone()
    };
    let (connections, bytes, through) = (&real.connections, &real.bytes, &real.throughput);
    let rows = [
        ("Protocol", protocol),
        ("Connections opened", units::count(connections.opened)),
        (
            "Concurrent connections, maximum",
            units::count(connections.open_max),
        ),
        ("Unsent", units::count(load.unsent)),
        (
            "Unsent because of a timeout",
            units::count(real.timed_out_unsent),
        ),
        (
            "Responses per second",
            units::milli(through.answered_milli_per_s),
        ),
        ("Successes per second", units::milli(through.ok_milli_per_s)),
        ("Received", units::bytes(bytes.received)),
        (
            "Received per second",
            units::bytes(through.received_bytes_per_s),
        ),
        ("Sent", units::bytes(bytes.sent)),
    ];
    html! {
        table {
            tbody {
                @for request in &real.requests {
                    tr { th scope="row" { (request.method) } td { code { (request.url) } } }
                }
                @for (name, figure) in rows { tr { th scope="row" { (name) } td.n { (figure) } } }
            }
        }
    }
}

fn answers(load: &Load, real: &RealLoad) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Response or failure" } th.n scope="col" { "Requests" } } }
            tbody {
                @for status in &load.statuses {
                    tr { th scope="row" { "Status " (status.status) } td.n { (units::count(status.count)) } }
                }
                @for failure in &real.failures {
                    tr { th scope="row" { (failure_words(failure)) } td.n.bad { (units::count(failure.count)) } }
                }
            }
        }
    }
}

fn latencies(load: &Load, real: &RealLoad) -> Markup {
    let generator = &real.generator;
    let rows: [(&str, &Latency); 9] = [
        ("Latency", &load.latency_ns),
        ("Latency of successes", &load.ok_latency_ns),
        ("Latency of failures", &load.failed_latency_ns),
        ("Uncorrected", &load.uncorrected_ns),
        ("Send lag", &load.send_lag_ns),
        ("Generator: delay of requests", &generator.late_ns),
        ("Generator: delay of responses", &generator.handling_ns),
        ("Generator: total contribution", &generator.own_ns),
        ("Event loop: timer lag", &generator.loop_lag_ns),
    ];
    html! {
        table {
            thead { tr {
                th scope="col" { "Measure" }
                @for name in ["Mean", "p50", "p90", "p95", "p99", "p99.9", "Max"] { th.n scope="col" { (name) } }
            } }
            tbody {
                @for (name, latency) in rows {
                    tr {
                        th scope="row" { (name) }
                        @for ns in [latency.mean, latency.p50, latency.p90, latency.p95, latency.p99, latency.p999, latency.max] {
                            (time_cell(ns, latency.count))
                        }
                    }
                }
                tr {
                    th scope="row" { "Generator: CPU time" }
                    td.n colspan="7" { (units::milli(generator.cpu_ppm / 10)) "% of a core" }
                }
            }
        }
    }
}

/// True for a document of loads on real servers.
pub(super) fn is_real_load(document: &Document) -> bool {
    document.loads.iter().any(|load| load.real.is_some())
}
