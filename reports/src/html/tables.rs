//! The tables of edges and services.

use maud::{Markup, html};
use shakedown_results::{Document, Edge, Service};

use super::elements::{bad_cell, most, scrolling, time_cell};
use crate::units;

/// Maximum number of rows. Further rows are only in the results document.
const ROWS_MAX: usize = 400;

pub(super) fn edges(document: &Document) -> Markup {
    let (rows, left_out) = most(&document.edges, ROWS_MAX, |edge| edge.requests);
    html! {
        section aria-labelledby="edges" {
            h2 #edges { "Edges" }
            @if rows.is_empty() {
                p.none { "No calls." }
            } @else {
                p.note { "Calls by caller and callee. Attempts include those of the app and of the mesh; amplification is attempts per request; latency is measured by the caller. A request belongs to the service to which it was routed." }
                (scrolling("Edges", edge_table(&rows)))
                (rest(left_out, "requests"))
            }
        }
    }
}

fn edge_table(rows: &[&Edge]) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "Caller" } th scope="col" { "Callee" }
                @for name in ["Requests", "Attempts", "Amplification", "Errors", "Error share", "p50", "p90", "p99", "Max"] {
                    th.n scope="col" { (name) }
                }
            } }
            tbody { @for edge in rows { (edge_row(edge)) } }
        }
    }
}

fn edge_row(edge: &Edge) -> Markup {
    let latency = &edge.latency_ns;
    // A load's own retries are calls, but not requests of its users.
    let user_requests = edge.requests.saturating_sub(edge.retried);
    html! {
        tr {
            th scope="row" { (edge.source) }
            td { span.arrow aria-hidden="true" { "→" } " " (edge.destination)
                @if !edge.asked.is_empty() { " " span.quiet { "requested as " (hosts_asked_for(edge)) } }
            }
            td.n { (units::count(edge.requests)) }
            td.n { (units::count(edge.attempts)) }
            td.n.warn[edge.attempts > user_requests] { (units::ratio(edge.attempts, user_requests)) }
            (bad_cell(edge.errors))
            td.n.bad[edge.errors > 0] { (units::share(edge.errors, edge.requests)) }
            @for ns in [latency.p50, latency.p90, latency.p99, latency.max] { (time_cell(ns, latency.count)) }
        }
    }
}

/// Lists the hosts: `api, shop.example`.
fn hosts_asked_for(edge: &Edge) -> String {
    let hosts: Vec<&str> = edge.asked.iter().map(|host| &*host.host).collect();
    hosts.join(", ")
}

pub(super) fn services(document: &Document) -> Markup {
    let (rows, left_out) = most(&document.services, ROWS_MAX, |service| service.served);
    html! {
        section aria-labelledby="services" {
            h2 #services { "Services" }
            @if rows.is_empty() {
                p.none { "No services." }
            } @else {
                p.note { "Requests that reached the apps of each version, behind their sidecars. Busy is the share of worker (or core) time in use." }
                (scrolling("Services", service_table(&rows)))
                (rest(left_out, "attempts served"))
            }
        }
    }
}

fn service_table(rows: &[&Service]) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "Service" } th scope="col" { "Version" }
                @for name in ["Served", "Errors", "Error share", "Queue wait p50", "p99", "Max"] { th.n scope="col" { (name) } }
                th.busy scope="col" { "Busy" }
            } }
            tbody { @for service in rows { (service_row(service)) } }
        }
    }
}

fn service_row(service: &Service) -> Markup {
    let wait = &service.queue_wait_ns;
    html! {
        tr {
            th scope="row" { (service.name) }
            td { (service.version) }
            td.n { (units::count(service.served)) }
            (bad_cell(service.errors))
            td.n.bad[service.errors > 0] { (units::share(service.errors, service.served)) }
            @for ns in [wait.p50, wait.p99, wait.max] { (time_cell(ns, wait.count)) }
            td.busy { (busy(service.busy_ppm)) }
        }
    }
}

/// A share as a bar and as a number.
fn busy(ppm: u64) -> Markup {
    let permille = ppm.min(1_000_000) / 1_000;
    let width = format!("width:{}.{}%", permille / 10, permille % 10);
    html! {
        span.bar aria-hidden="true" { span style=(width) {} }
        span.n { @if ppm == 0 { "-" } @else { (units::share(ppm, 1_000_000)) } }
    }
}

fn rest(left_out: usize, weight: &str) -> Markup {
    html! {
        @if left_out > 0 {
            p.note { "The " (ROWS_MAX) " rows with the most " (weight) "; " (units::count(left_out as u64)) " more are in the results document." }
        }
    }
}
