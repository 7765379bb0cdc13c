//! Prepares a scenario's loads for real servers: resolves their targets, and leaves out checks that do not depend on
//! loads alone.

use std::net::SocketAddr;

use shakedown_loadgen::live::{RequestTemplate, Server};
use shakedown_scenarios::check::{
    Base, Check, Condition, Expression, Figure, Gauge, Metric, RequestMeasure, Subject, Test,
    Window,
};
use shakedown_scenarios::scenario::{Protocol, ResolvedScenario};

use super::job::LoadJob;
use super::options::ScenarioLoadOptions;
use super::outcome::LoadRunError;
use super::target::TargetOverride;
use crate::secret::masked;

/// Loads the scenario and keeps the parts that a load on a real server can use.
pub(super) fn job(options: &ScenarioLoadOptions) -> Result<LoadJob, LoadRunError> {
    let mut scenario = shakedown_scenarios::load(&options.scenario, &options.edits)?;
    let urls = urls(&scenario, &options.targets, options.http2).map_err(LoadRunError::Story)?;
    let mut templates = Vec::new();
    let mut servers = Vec::new();
    for (load, url) in scenario.loads.iter().zip(&urls) {
        let entries = load.entries.iter();
        let of_load: Vec<RequestTemplate> = entries
            .map(|entry| RequestTemplate::of_entry(url, entry))
            .collect::<Result<_, _>>()?;
        let server = of_load.first().map(RequestTemplate::server).cloned();
        servers.push((load.name.clone(), server));
        templates.push(of_load);
    }
    let checks = scenario.checks.len();
    let mut skipped = Vec::new();
    leave_out(&mut scenario, &mut skipped);
    let empty = (checks > 0 && scenario.checks.is_empty())
        .then(|| "no check of this scenario depends on loads alone".to_owned());
    let words = scenario.story.trim().to_owned();
    Ok(LoadJob {
        sentence: Box::new(move |addresses| sentence(&words, &servers, addresses)),
        templates,
        seed: options.seed.unwrap_or(scenario.seed),
        http2: options.http2,
        connections: options.connections,
        trust: options.trust.clone(),
        replay: options.replay.clone(),
        stop: options.stop.clone(),
        set: options.edits.set.iter().map(|edit| masked(edit)).collect(),
        skipped,
        empty,
        scenario,
    })
}

/// Returns the URL of each load, or the errors, one per line.
fn urls(
    scenario: &ResolvedScenario,
    targets: &[TargetOverride],
    http2: bool,
) -> Result<Vec<String>, String> {
    let names: Vec<&str> = scenario
        .loads
        .iter()
        .map(|load| load.name.as_str())
        .collect();
    let mut wrong = Vec::new();
    for target in targets {
        match &target.load {
            Some(load) if !names.contains(&load.as_str()) => wrong.push(format!(
                "invalid --target {load}=...: no load has this name; expected one of {}",
                names.join(", ")
            )),
            None if names.len() > 1 => wrong.push(format!(
                "invalid --target {}: the scenario has several loads; expected LOAD=URL, where LOAD is one of {}",
                target.url,
                names.join(", ")
            )),
            _ => {}
        }
    }
    let mut urls = Vec::new();
    for load in &scenario.loads {
        let is_its =
            |target: &&TargetOverride| target.load.as_ref().is_none_or(|name| *name == load.name);
        let given = targets.iter().rfind(is_its).map(|target| &target.url);
        match given.or(load.target.as_ref()) {
            Some(url) => urls.push(url.clone()),
            None => wrong.push(format!(
                "load `{0}` has no target: pass --target {0}=http://localhost:8080, or set `target:` in the file",
                load.name
            )),
        }
        let mut spoken = load
            .entries
            .iter()
            .map(|entry| scenario.protocol(entry.callee));
        if spoken.clone().any(|protocol| protocol == Protocol::Grpc) {
            wrong.push(format!(
                "not supported yet: load `{}` calls gRPC, which is not available for loads on real servers",
                load.name
            ));
        }
        if !http2 && spoken.any(|protocol| protocol == Protocol::Http2) {
            wrong.push(format!(
                "load `{}` calls a service with `protocol: http2`: add --http2",
                load.name
            ));
        }
        if load.retries.is_some() {
            wrong.push(format!(
                "load `{0}` has retries, which are not supported yet on real servers: remove them with --set load.{0}.retries=null",
                load.name
            ));
        }
    }
    if wrong.is_empty() {
        Ok(urls)
    } else {
        Err(wrong.join("\n"))
    }
}

/// Removes the parts that the real server replaces, and records them in `skipped`.
fn leave_out(scenario: &mut ResolvedScenario, skipped: &mut Vec<String>) {
    let names: Vec<&str> = scenario.services.iter().map(|s| s.name.as_str()).collect();
    skipped.push(format!(
        "topology: {} (replaced by the real servers)",
        names.join(", ")
    ));
    if !scenario.mesh.is_empty() {
        let documents = scenario
            .mesh
            .iter()
            .map(|document| format!("{}/{}", document.kind(), document.meta().name));
        let documents: Vec<String> = documents.collect();
        skipped.push(format!("mesh: {}", documents.join(", ")));
    }
    for item in std::mem::take(&mut scenario.chaos) {
        skipped.push(format!("chaos: {}", item.name));
    }
    for load in &scenario.loads {
        let apart = [
            (load.clients > 1).then_some("clients (a single client sends all requests)"),
            (load.zones.len() > 1).then_some("zones"),
        ];
        let apart: Vec<&str> = apart.into_iter().flatten().collect();
        if !apart.is_empty() {
            skipped.push(format!("load {}: {}", load.name, apart.join(" and ")));
        }
    }
    scenario.checks.retain(|check| match foreign(check) {
        None => true,
        Some(reason) => {
            skipped.push(format!("check {}: {reason}", check.name));
            false
        }
    });
}

/// The reason why a check cannot be judged from the loads' observations, if any.
fn foreign(check: &Check) -> Option<String> {
    if check.over_seeds() {
        return Some("over seeds".to_owned());
    }
    of_window(&check.window)
        .or_else(|| of_expression(&check.left))
        .or_else(|| of_expression(&check.right))
}

fn of_window(window: &Window) -> Option<String> {
    [&window.from, &window.to]
        .into_iter()
        .find_map(|point| match &point.base {
            Base::StartOf(item) | Base::EndOf(item) => {
                Some(format!("its window depends on {item}, which is skipped"))
            }
            Base::Zero | Base::WarmUp | Base::End => None,
        })
}

fn of_expression(expression: &Expression) -> Option<String> {
    match expression {
        Expression::Constant(_) => None,
        Expression::Metric(metric) => of_metric(metric),
        Expression::Binary(_, left, right) => of_expression(left).or_else(|| of_expression(right)),
    }
}

fn of_metric(metric: &Metric) -> Option<String> {
    let Subject::Load(_) = metric.subject else {
        return Some(format!("{} is not a metric of a load", metric.text));
    };
    let seen = match metric.figure {
        Figure::Success
        | Figure::Errors
        | Figure::Count
        | Figure::Share
        | Figure::Offered
        | Figure::Rate
        | Figure::Goodput => true,
        Figure::Statistic(measure, _) => is_seen(measure),
        Figure::Gauge(gauge, _) => gauge == Gauge::InFlight,
        _ => false,
    };
    if !seen || !metric.conditions.iter().all(is_client_visible) {
        return Some(format!("{} cannot be observed by a client", metric.text));
    }
    metric.window.as_ref().and_then(of_window)
}

const fn is_seen(measure: RequestMeasure) -> bool {
    matches!(
        measure,
        RequestMeasure::Latency | RequestMeasure::Uncorrected | RequestMeasure::SendLag
    )
}

/// Returns true if a client alone can decide if a request meets a condition.
fn is_client_visible(condition: &Condition) -> bool {
    match condition.test {
        Test::Ok | Test::Timeout | Test::Dropped | Test::Status(..) => true,
        Test::Grpc(_) => false,
        Test::Measure(measure, ..) => is_seen(measure),
        Test::Retried
        | Test::Hedged
        | Test::Plaintext
        | Test::Flag(_)
        | Test::Via(_)
        | Test::From(_)
        | Test::To(_) => false,
    }
}

/// The scenario's description, and the targets of its loads.
fn sentence(words: &str, loads: &[(String, Option<Server>)], addresses: &[SocketAddr]) -> String {
    let went = loads
        .iter()
        .zip(addresses)
        .map(|((name, server), address)| {
            let scheme = match server {
                Some(server) if server.tls => "https",
                _ => "http",
            };
            format!("{name} to {scheme}://{address}")
        });
    let went: Vec<String> = went.collect();
    format!("{words} Sent to real servers: {}.", went.join(", "))
}

#[cfg(test)]
mod tests;
