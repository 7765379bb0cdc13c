//! Compiles the retry, hedging and timeout policies of a `RouteAction`, except its own timeout.

use super::problem::{FieldProblem, Result, duration, enumerated, fields};
use super::sharing::PreviousRoute;
use crate::proto::core::RoutingPriority;
use crate::proto::route as message;
use crate::table::{GrpcTimeout, HedgePolicy, Priority, RouteAction};

/// Copies the policies of `message` into `action`.
#[expect(deprecated, reason = "control planes send the deprecated forms")]
pub(super) fn apply(
    message: &message::RouteAction,
    sharing: &PreviousRoute,
    action: &mut RouteAction,
) -> Result<()> {
    action.priority = match enumerated("priority", message.priority)? {
        RoutingPriority::Default => Priority::Default,
        RoutingPriority::High => Priority::High,
    };
    action.idle_timeout = duration("idle_timeout", message.idle_timeout.as_ref())?;
    let max = duration("max_grpc_timeout", message.max_grpc_timeout.as_ref())?;
    let offset = duration("grpc_timeout_offset", message.grpc_timeout_offset.as_ref())?;
    // The offset is ignored without a maximum. Source: Envoy, `FilterUtility::finalTimeout`.
    action.grpc_timeout = max.map(|max| GrpcTimeout {
        max,
        offset: offset.unwrap_or_default(),
    });
    if let Some(policy) = &message.retry_policy {
        let retry = sharing.retry(policy);
        action.retry = retry.map_err(|problem| problem.within("retry_policy"))?;
    }
    if let Some(policy) = &message.hedge_policy {
        action.hedge = hedge(policy).map_err(|problem| problem.within("hedge_policy"))?;
    }
    Ok(())
}

pub(super) fn hedge(policy: &message::HedgePolicy) -> Result<HedgePolicy> {
    fields!(policy => message::HedgePolicy {
        refused: additional_request_chance;
        used: initial_requests hedge_on_per_try_timeout;
    });
    if let Some(requests) = &policy.initial_requests
        && requests.value != 1
    {
        let text = format!("not supported yet: {}; expected 1", requests.value);
        return Err(FieldProblem::new("initial_requests", text));
    }
    Ok(HedgePolicy {
        on_per_try_timeout: policy.hedge_on_per_try_timeout,
        ..HedgePolicy::default()
    })
}
