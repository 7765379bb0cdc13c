//! Identifies the run (seed, version, digest, replay command), and explains the figures.

use maud::{Markup, html};
use shakedown_results::{Document, Mode};

use super::real::is_real_load;
use crate::units;

pub(super) fn section(document: &Document) -> Markup {
    html! {
        section aria-labelledby="run" {
            h2 #run { "Run" }
            div.facts { dl {
                div { dt { "Environment" } dd { (world(document)) } }
                div { dt { "Time" } dd { (time(document)) } }
                div { dt { "Seed" } dd { (document.seed) } }
                div { dt { "Version" } dd { (document.version) } }
                div { dt { "Samples" } dd { (samples(document)) } }
                div.wide { dt { "Digest" } dd { code.digest { (document.digest) } } }
                div.wide { dt { "Replay command" } dd.replay {
                    code #replay { (document.replay) }
                    button type="button" data-copy="replay" hidden { "Copy" }
                } }
            } }
        }
    }
}

fn world(document: &Document) -> String {
    match document.mode {
        Mode::Simulated => format!("simulated, {} engine", document.engine.name()),
        Mode::Real if is_real_load(document) => "real servers".to_owned(),
        Mode::Real => "real sockets".to_owned(),
    }
}

fn time(document: &Document) -> String {
    let load = units::written(document.duration_ns);
    let all = units::duration(document.elapsed_ns);
    match document.warm_up_ns {
        0 => format!("{load} of load, {all} in total"),
        warm_up => format!(
            "{load} of load (warm-up {}), {all} in total",
            units::written(warm_up)
        ),
    }
}

fn samples(document: &Document) -> String {
    let requests = document.loads.iter().map(|load| load.scheduled).sum();
    if is_real_load(document) {
        return units::counted(requests, "request");
    }
    let attempts = document.edges.iter().map(|edge| edge.attempts).sum();
    format!(
        "{}, {}",
        units::counted(requests, "request"),
        units::counted(attempts, "attempt")
    )
}

/// Explains the figures and their limits.
pub(super) fn reading(document: &Document) -> Markup {
    html! {
        section.reading aria-labelledby="reading" {
            h2 #reading { "Notes on the figures" }
            ul {
                li { "Latency is measured from the time at which a request was due. Uncorrected latency is measured from the time at \
                      which it was sent, as by a closed-loop client, and hides the delay of requests that a stall kept from being sent." }
                li { "Percentiles are computed from merged histograms with three significant digits and are never averaged. Means, minima and maxima are exact." }
                li { "A request is counted if it was due between " (units::written(document.warm_up_ns)) " and "
                     (units::written(document.duration_ns)) ", even if its response arrives during the drain after that. Rates \
                     and figures per second refer to the time at which requests ended." }
                li { (not_covered(document)) }
                @if document.mode == Mode::Simulated {
                    li { "The same scenario, seed and version produce the same events and the same digest." }
                }
            }
        }
    }
}

/// The effects that the figures of one run do not cover.
fn not_covered(document: &Document) -> &'static str {
    if is_real_load(document) {
        return "All requests are sent from one machine and one address, and every latency includes the network between it and \
                the server. The same seed produces the same requests at the same intended times, but not the same responses.";
    }
    not_modelled(document.mode)
}

/// The effects that figures of this execution mode do not cover.
pub(crate) fn not_modelled(mode: Mode) -> &'static str {
    match mode {
        Mode::Simulated => {
            "Not modelled: the kernel's TCP in detail (congestion control, Nagle, delayed acknowledgements, buffer tuning), \
             NUMA, CPU throttling and frequency, memory bandwidth, noisy neighbours, and any processing cost that the \
             scenario does not declare."
        }
        Mode::Real => {
            "Real sockets on one machine: pods share its cores and its kernel, loopback itself has neither latency nor \
             loss, and an app's work is a timer that uses no CPU time. The same seed produces the same requests, but not the \
             same interleaving."
        }
    }
}
