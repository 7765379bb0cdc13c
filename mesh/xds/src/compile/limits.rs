//! Compiles `CircuitBreakers`: the limits of each priority.

use super::problem::{FieldProblem, Result, enumerated, fields};
use crate::proto::cluster as message;
use crate::proto::cluster::circuit_breakers::{Thresholds, thresholds as inner};
use crate::proto::core::RoutingPriority;
use crate::proto::protobuf::UInt32Value;
use crate::table::{Limits, PriorityLimits, RetryBudget};

/// Returns the limits of a cluster. Unset fields have Envoy's defaults.
pub(super) fn compile(breakers: Option<&message::CircuitBreakers>) -> Result<PriorityLimits> {
    let Some(breakers) = breakers else {
        return Ok(PriorityLimits::ENVOY);
    };
    fields!(breakers => message::CircuitBreakers {
        refused: per_host_thresholds;
        used: thresholds;
    });
    for (index, threshold) in breakers.thresholds.iter().enumerate() {
        enumerated::<RoutingPriority>("priority", threshold.priority)
            .map_err(|problem| problem.within(&format!("thresholds[{index}]")))?;
    }
    Ok(PriorityLimits {
        default: priority_limits(breakers, RoutingPriority::Default)?,
        high: priority_limits(breakers, RoutingPriority::High)?,
    })
}

/// Returns the limits of one priority. The first threshold of the priority is used. Source: Envoy,
/// `ClusterInfoImpl::ResourceManagers::load`.
fn priority_limits(
    breakers: &message::CircuitBreakers,
    priority: RoutingPriority,
) -> Result<Limits> {
    let found = breakers
        .thresholds
        .iter()
        .enumerate()
        .find(|(_, threshold)| threshold.priority == priority as i32);
    let Some((index, threshold)) = found else {
        return Ok(Limits::ENVOY);
    };
    limits(threshold).map_err(|problem| problem.within(&format!("thresholds[{index}]")))
}

/// Compiles one threshold. `track_remaining` is ignored because it only affects statistics.
fn limits(threshold: &Thresholds) -> Result<Limits> {
    fields!(threshold => Thresholds {
        refused: max_connection_pools;
        used: priority max_connections max_pending_requests max_requests max_retries retry_budget;
        ignored: track_remaining;
    });
    let envoy = Limits::ENVOY;
    let budget = threshold.retry_budget.as_ref().map(retry_budget);
    Ok(Limits {
        connections: value(threshold.max_connections.as_ref()).unwrap_or(envoy.connections),
        pending: value(threshold.max_pending_requests.as_ref()).unwrap_or(envoy.pending),
        requests: value(threshold.max_requests.as_ref()).unwrap_or(envoy.requests),
        retries: value(threshold.max_retries.as_ref()).unwrap_or(envoy.retries),
        retry_budget: budget
            .transpose()
            .map_err(|problem: FieldProblem| problem.within("retry_budget"))?
            .flatten(),
    })
}

/// Compiles a retry budget. An empty message is the same as none. Source: Envoy,
/// `ResourceManagerImpl::RetryBudgetImpl::useRetryBudget`.
fn retry_budget(budget: &inner::RetryBudget) -> Result<Option<RetryBudget>> {
    fields!(budget => inner::RetryBudget {
        used: budget_percent budget_interval min_retry_concurrency;
    });
    if budget
        .budget_interval
        .as_ref()
        .is_some_and(|interval| *interval != Default::default())
    {
        return Err(FieldProblem::unsupported("budget_interval"));
    }
    let share = budget.budget_percent.as_ref().map(|percent| percent.value);
    let concurrency = value(budget.min_retry_concurrency.as_ref());
    if share.is_none() && concurrency.is_none() {
        return Ok(None);
    }
    let share_ppm = match share {
        None => RetryBudget::ENVOY.share_ppm,
        // The message contains a float, the table an integer.
        Some(percent) if (0.0..=100.0).contains(&percent) => (percent * 10_000.0).round() as u32,
        Some(percent) => {
            return Err(FieldProblem::new(
                "budget_percent",
                format!("expected 0 to 100, found {percent}"),
            ));
        }
    };
    Ok(Some(RetryBudget {
        share_ppm,
        min_concurrency: concurrency.unwrap_or(RetryBudget::ENVOY.min_concurrency),
    }))
}

fn value(wrapped: Option<&UInt32Value>) -> Option<u32> {
    wrapped.map(|wrapped| wrapped.value)
}
