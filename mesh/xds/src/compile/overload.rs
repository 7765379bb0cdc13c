//! Compiles overload protection: adaptive concurrency and shedding by workloads, hedging and throttling by callers.

use std::time::Duration;

use super::problem::{FieldProblem, Result, duration, fields};
use crate::proto::adaptive_concurrency::adaptive_concurrency::ConcurrencyControllerConfig;
use crate::proto::adaptive_concurrency::gradient_controller_config::{
    ConcurrencyLimitCalculationParams, MinimumRttCalculationParams,
};
use crate::proto::adaptive_concurrency::{self as message, GradientControllerConfig};
use crate::proto::cluster::Cluster;
use crate::proto::percent::Percent;
use crate::proto::{self, policies};
use crate::table::{AdaptiveConcurrency, AdaptiveThrottle, HedgePolicy, Shed, UpstreamPolicy};

/// Compiles the caller policies in a cluster's metadata.
pub(super) fn upstream(cluster: &Cluster) -> Result<UpstreamPolicy> {
    let metadata = cluster.metadata.as_ref();
    let packed = metadata.and_then(|metadata| {
        metadata
            .typed_filter_metadata
            .get(policies::UPSTREAM_POLICY)
    });
    let Some(packed) = packed else {
        return Ok(UpstreamPolicy::default());
    };
    let path = format!(
        "metadata.typed_filter_metadata[{}]",
        policies::UPSTREAM_POLICY
    );
    let message: policies::UpstreamPolicy =
        proto::unpack(packed).map_err(|error| FieldProblem::new(&path, error.to_string()))?;
    let compiled = || {
        let within = |field: &'static str| move |problem: FieldProblem| problem.within(field);
        Ok(UpstreamPolicy {
            hedge: message
                .hedge
                .as_ref()
                .map(hedge)
                .transpose()
                .map_err(within("hedge"))?,
            throttle: message
                .throttle
                .as_ref()
                .map(throttle)
                .transpose()
                .map_err(within("throttle"))?,
        })
    };
    compiled().map_err(|problem: FieldProblem| problem.within(&path))
}

fn hedge(message: &policies::Hedge) -> Result<HedgePolicy> {
    let after = some_time("after", duration("after", message.after.as_ref())?)?;
    if after.is_none() {
        return Err(FieldProblem::new(
            "after",
            "expected a duration, found nothing",
        ));
    }
    if message.times == 0 {
        return Err(FieldProblem::new("times", "expected 1 or more, found 0"));
    }
    Ok(HedgePolicy {
        on_per_try_timeout: false,
        after,
        times: message.times,
        budget_ppm: message.budget_ppm.as_ref().map(|share| share.value),
    })
}

fn throttle(message: &policies::AdaptiveThrottle) -> Result<AdaptiveThrottle> {
    let default = AdaptiveThrottle::default();
    let k_milli = match message.k_milli {
        0 => default.k_milli,
        given if given < 1000 => {
            let text = format!("expected 1000 or more, found {given}");
            return Err(FieldProblem::new("k_milli", text));
        }
        given => given,
    };
    let window = some_time("window", duration("window", message.window.as_ref())?)?;
    Ok(AdaptiveThrottle {
        k_milli,
        window: window.unwrap_or(default.window),
    })
}

/// Compiles the queue in front of the application.
pub(super) fn shed(message: &policies::Shed) -> Result<Shed> {
    let default = Shed::default();
    if message.concurrency == 0 {
        return Err(FieldProblem::new(
            "concurrency",
            "expected 1 or more, found 0",
        ));
    }
    let target = some_time("target", duration("target", message.target.as_ref())?)?;
    let interval = some_time("interval", duration("interval", message.interval.as_ref())?)?;
    Ok(Shed {
        concurrency: message.concurrency,
        queue_max: message
            .queue
            .as_ref()
            .map_or(default.queue_max, |queue| queue.value),
        target: target.unwrap_or(default.target),
        interval: interval.unwrap_or(default.interval),
    })
}

/// Compiles Envoy's adaptive concurrency filter. `None` if it is disabled.
pub(super) fn adaptive(
    message: &message::AdaptiveConcurrency,
) -> Result<Option<AdaptiveConcurrency>> {
    fields!(message => message::AdaptiveConcurrency {
        used: enabled concurrency_limit_exceeded_status concurrency_controller_config;
    });
    let Some(ConcurrencyControllerConfig::GradientControllerConfig(gradient)) =
        &message.concurrency_controller_config
    else {
        let text = "expected a controller, found nothing";
        return Err(FieldProblem::new("gradient_controller_config", text));
    };
    let enabled = message.enabled.as_ref();
    let enabled = enabled.and_then(|flag| flag.default_value.as_ref());
    let status = match &message.concurrency_limit_exceeded_status {
        // Envoy does not accept a status below 400 for rejections.
        Some(status) => u16::try_from(status.code).ok().filter(|code| *code >= 400),
        None => None,
    };
    let compiled =
        controller(gradient).map_err(|problem| problem.within("gradient_controller_config"))?;
    let compiled = AdaptiveConcurrency {
        status: status.unwrap_or(compiled.status),
        ..compiled
    };
    Ok(enabled
        .is_none_or(|enabled| enabled.value)
        .then_some(compiled))
}

fn controller(gradient: &GradientControllerConfig) -> Result<AdaptiveConcurrency> {
    fields!(gradient => GradientControllerConfig {
        used: sample_aggregate_percentile concurrency_limit_params min_rtt_calc_params;
    });
    let default = AdaptiveConcurrency::default();
    let Some(limit) = &gradient.concurrency_limit_params else {
        let text = "expected parameters, found nothing";
        return Err(FieldProblem::new("concurrency_limit_params", text));
    };
    let Some(min_rtt) = &gradient.min_rtt_calc_params else {
        return Err(FieldProblem::new(
            "min_rtt_calc_params",
            "expected parameters, found nothing",
        ));
    };
    let within = |problem: FieldProblem| problem.within("concurrency_limit_params");
    fields!(limit => ConcurrencyLimitCalculationParams {
        refused: min_concurrency_limit;
        used: max_concurrency_limit concurrency_update_interval;
    });
    let field = "concurrency_update_interval";
    let update = duration(field, limit.concurrency_update_interval.as_ref()).map_err(within)?;
    let update = some_time(field, update).map_err(within)?;
    let update = update.ok_or_else(|| {
        within(FieldProblem::new(
            field,
            "expected a duration, found nothing",
        ))
    })?;
    let read = AdaptiveConcurrency {
        percentile_ppm: percent(
            "sample_aggregate_percentile",
            gradient.sample_aggregate_percentile.as_ref(),
            default.percentile_ppm,
        )?,
        limit_max: limit
            .max_concurrency_limit
            .as_ref()
            .map_or(default.limit_max, |most| most.value),
        update_interval: update,
        ..default
    };
    measurement(min_rtt, read).map_err(|problem| problem.within("min_rtt_calc_params"))
}

fn measurement(
    params: &MinimumRttCalculationParams,
    read: AdaptiveConcurrency,
) -> Result<AdaptiveConcurrency> {
    fields!(params => MinimumRttCalculationParams {
        refused: fixed_value;
        used: interval request_count jitter min_concurrency buffer;
    });
    let interval = some_time("interval", duration("interval", params.interval.as_ref())?)?;
    let Some(min_rtt_interval) = interval else {
        return Err(FieldProblem::new(
            "interval",
            "expected a duration, found nothing",
        ));
    };
    let count = |field: &str, value: Option<u32>, default: u32| match value {
        Some(0) => Err(FieldProblem::new(field, "expected 1 or more, found 0")),
        given => Ok(given.unwrap_or(default)),
    };
    let value = |wrapped: &Option<proto::protobuf::UInt32Value>| {
        wrapped.as_ref().map(|number| number.value)
    };
    Ok(AdaptiveConcurrency {
        min_rtt_interval,
        min_rtt_jitter_ppm: percent("jitter", params.jitter.as_ref(), read.min_rtt_jitter_ppm)?,
        min_rtt_requests: count(
            "request_count",
            value(&params.request_count),
            read.min_rtt_requests,
        )?,
        limit_min: count(
            "min_concurrency",
            value(&params.min_concurrency),
            read.limit_min,
        )?,
        buffer_ppm: percent("buffer", params.buffer.as_ref(), read.buffer_ppm)?,
        ..read
    })
}

/// Converts a percentage to parts per million.
fn percent(field: &str, written: Option<&Percent>, default: u32) -> Result<u32> {
    let Some(written) = written else {
        return Ok(default);
    };
    if !(0.0..=100.0).contains(&written.value) {
        let text = format!("expected 0 to 100, found {}", written.value);
        return Err(FieldProblem::new(field, text));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1,000,000, as was checked"
    )]
    let ppm = (written.value * 10_000.0).round() as u32;
    Ok(ppm)
}

/// Refuses a duration of zero.
fn some_time(field: &str, value: Option<Duration>) -> Result<Option<Duration>> {
    match value {
        Some(span) if span.is_zero() => Err(FieldProblem::new(field, "expected more than 0s")),
        other => Ok(other),
    }
}
