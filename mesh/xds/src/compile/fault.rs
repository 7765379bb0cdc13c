//! Compiles `HTTPFault`, the configuration of Envoy's fault filter.

use std::sync::Arc;
use std::time::Duration;

use super::matching;
use super::problem::{FieldProblem, Result, duration, fields};
use super::share;
use crate::proto::fault as message;
use crate::proto::fault::fault_abort::ErrorType;
use crate::proto::fault_delay::FaultDelay;
use crate::proto::fault_delay::fault_delay::FaultDelaySecifier;
use crate::table::{Abort, Fault};

/// Returns a fault without effect.
pub(super) fn none() -> Fault {
    Fault {
        delay: None,
        abort: None,
        upstream_cluster: None,
        headers: Vec::new(),
    }
}

/// Compiles a fault. `None`: it has no effect.
pub(super) fn compile(message: &message::HttpFault) -> Result<Option<Fault>> {
    // Runtime keys are ignored because the proxy has no runtime layer. Settings of statistics have no visible effect.
    fields!(message => message::HttpFault {
        refused: downstream_nodes max_active_faults response_rate_limit;
        used: delay abort upstream_cluster headers;
        ignored: delay_percent_runtime abort_percent_runtime delay_duration_runtime abort_http_status_runtime
            max_active_faults_runtime response_rate_limit_percent_runtime abort_grpc_status_runtime
            disable_downstream_cluster_stats filter_metadata;
    });
    let mut fault = none();
    if let Some(written) = &message.delay {
        let delay = delay(written).map_err(|problem| problem.within("delay"))?;
        fault.delay = delay
            .zip(Some(share::fixed(
                "delay.percentage",
                written.percentage.as_ref(),
            )?))
            .filter(|(_, share)| share.numerator > 0);
    }
    if let Some(written) = &message.abort {
        let abort = abort(written).map_err(|problem| problem.within("abort"))?;
        let share = share::fixed("abort.percentage", written.percentage.as_ref())?;
        fault.abort = Some((abort, share)).filter(|_| share.numerator > 0);
    }
    fault.headers = matching::headers(&message.headers)?;
    if !message.upstream_cluster.is_empty() {
        fault.upstream_cluster = Some(Arc::from(message.upstream_cluster.as_str()));
    }
    Ok(Some(fault).filter(|fault| fault.delay.is_some() || fault.abort.is_some()))
}

/// Rounds the delay down to whole milliseconds, the resolution of Envoy's timers. `None`: no delay.
fn delay(message: &FaultDelay) -> Result<Option<Duration>> {
    fields!(message => FaultDelay {
        used: percentage fault_delay_secifier;
    });
    match &message.fault_delay_secifier {
        Some(FaultDelaySecifier::FixedDelay(written)) => {
            let delay = duration("fixed_delay", Some(written))?.unwrap_or_default();
            let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            Ok(Some(Duration::from_millis(millis)).filter(|delay| !delay.is_zero()))
        }
        Some(FaultDelaySecifier::HeaderDelay(_)) => Err(FieldProblem::unsupported("header_delay")),
        None => Err(FieldProblem::new(
            "fixed_delay",
            "expected a duration, found nothing",
        )),
    }
}

fn abort(message: &message::FaultAbort) -> Result<Abort> {
    fields!(message => message::FaultAbort {
        refused: response_body;
        used: percentage error_type;
    });
    match message.error_type {
        Some(ErrorType::HttpStatus(status)) => match u16::try_from(status) {
            Ok(status) if (200..600).contains(&status) => Ok(Abort::Http(status)),
            _ => Err(FieldProblem::new(
                "http_status",
                format!("expected 200 to 599, found {status}"),
            )),
        },
        Some(ErrorType::GrpcStatus(status)) => Ok(Abort::Grpc(status)),
        Some(ErrorType::HeaderAbort(_)) => Err(FieldProblem::unsupported("header_abort")),
        None => Err(FieldProblem::new(
            "http_status",
            "expected `http_status` or `grpc_status`, found nothing",
        )),
    }
}
