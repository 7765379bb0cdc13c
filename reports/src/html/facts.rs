//! Identifies the run (seed, version, digest, replay command), and explains the figures.

use maud::{Markup, html};
use shakedown_results::{Document, Mode};

use super::real::is_real_load;
use crate::units;

pub(super) fn section(document: &Document) -> Markup {
    html! {
        section aria-labelledby="run" {
            h2 #run { "The run" }
            div.facts { dl {
                div { dt { "World" } dd { (world(document)) } }
                div { dt { "Time" } dd { (time(document)) } }
                div { dt { "Seed" } dd { (document.seed) } }
                div { dt { "Version" } dd { (document.version) } }
                div { dt { "Samples" } dd { (samples(document)) } }
                div.wide { dt { "Digest" } dd { code.digest { (document.digest) } } }
                div.wide { dt { "Run it again" } dd.replay {
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
        0 => format!("{load} of load, {all} in all"),
        warm_up => format!(
            "{load} of load (warm-up {}), {all} in all",
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
            h2 #reading { "How to read this" }
            ul {
                li { "Latency counts from the moment a request should have been sent. The uncorrected figures count from when it \
                      was sent, as a client that waits for each answer would: they hide what a stall holds back." }
                li { "Percentiles come from merged histograms of three digits and are never averaged. Means, minima and maxima are exact." }
                li { "A request counts where its clock starts, from " (units::written(document.warm_up_ns)) " to "
                     (units::written(document.duration_ns)) "; its answer may come in the drain after that. Rates and \
                     figures by the second are by when it ended." }
                li { (not_covered(document)) }
                @if document.mode == Mode::Simulated {
                    li { "The same scenario, seed and version give the same digest, event for event." }
                }
            }
        }
    }
}

/// The effects that the figures of one run do not cover.
fn not_covered(document: &Document) -> &'static str {
    if is_real_load(document) {
        return "A load from one machine and one address: what lies between it and the server belongs to every latency. The \
                same seed gives the same requests at the same intended times, not the same answers.";
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
            "Real sockets on one machine: pods share its cores and its kernel, loopback has neither distance nor loss, and \
             an app's work is waited for, not burnt. The same seed gives the same requests, not the same interleaving."
        }
    }
}
