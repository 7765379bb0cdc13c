//! The inbound policies of a cluster's endpoints, translated and compiled as for their proxies.

use std::net::SocketAddr;

use shakedown_istio::registry::Mesh;
use shakedown_translate::{InboundPolicy, inbound_cluster};
use shakedown_xds::compile::{CompileError, compile_cluster, compile_listener};
use shakedown_xds::proto::{cluster, listener};
use shakedown_xds::table::{Filter, Host, Identity, Priority};

use super::cluster::limits_view;
use super::executed::message;
use super::view::{AdaptiveConcurrencyView, InboundView, LoadSheddingView, RateLimitView};

/// Returns each distinct inbound policy with its workloads. Workloads without a policy are omitted.
pub(super) fn policies<'h>(
    mesh: &Mesh,
    hosts: impl Iterator<Item = &'h Host>,
) -> Result<Vec<InboundView>, CompileError> {
    let mut all: Vec<InboundView> = Vec::new();
    if !InboundPolicy::is_spoken_of(mesh) {
        return Ok(all);
    }
    for host in hosts {
        let view = of_host(mesh, host.address, &host.workload)?;
        if view.is_nothing() {
            continue;
        }
        match all.iter_mut().find(|known| known.does_as(&view)) {
            Some(known) if known.workloads.contains(&view.workloads[0]) => {}
            Some(known) => known.workloads.extend(view.workloads),
            None => all.push(view),
        }
    }
    Ok(all)
}

fn of_host(
    mesh: &Mesh,
    address: SocketAddr,
    workload: &Identity,
) -> Result<InboundView, CompileError> {
    let pod = mesh.registry.pod(address.ip());
    let own = shakedown_translate::own(&pod, &InboundPolicy::for_pod(mesh, address.ip()));
    let mut view = InboundView {
        workloads: vec![workload.to_string()],
        rate_limit: None,
        adaptive_concurrency: None,
        shed: None,
        limits: None,
    };
    for sent in &own.listeners {
        let listener = compile_listener(&message::<listener::Listener>(sent))?;
        if listener.address != address {
            continue;
        }
        for filter in &listener.filters {
            match filter {
                Filter::RateLimit(limit) => {
                    view.rate_limit = limit.as_deref().map(RateLimitView::new);
                }
                Filter::AdaptiveConcurrency(adaptive) => {
                    view.adaptive_concurrency = Some(AdaptiveConcurrencyView::new(adaptive));
                }
                Filter::Shed(shed) => view.shed = Some(LoadSheddingView::new(shed)),
                Filter::Fault(_) | Filter::Cors => {}
            }
        }
    }
    let name = inbound_cluster(address.port());
    if let Some(sent) = own.clusters.iter().find(|sent| sent.name == name) {
        let cluster = compile_cluster(&message::<cluster::Cluster>(sent))?;
        view.limits = limits_view(&cluster.limits.for_priority(Priority::Default));
    }
    Ok(view)
}
