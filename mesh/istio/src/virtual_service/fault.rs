//! What is done to requests on purpose.

use serde::Deserialize;
use shakedown_types::GrpcStatus;
use shakedown_yaml::Spanned;

use crate::Percent;
use crate::duration::GoDuration;

/// Delays and aborts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Holds requests back.
    pub delay: Option<Spanned<Delay>>,
    /// Answers them. What is delayed may be aborted after it.
    pub abort: Option<Spanned<Abort>>,
}

/// Holds requests back.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delay {
    /// How long.
    pub fixed_delay: Option<Spanned<GoDuration>>,
    /// The share of requests; none: `percent`.
    pub percentage: Option<Spanned<Percentage>>,
    /// The share of requests, whole percent; none: no request. Istio's older form.
    pub percent: Option<Spanned<u32>>,
}

/// Answers requests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Abort {
    /// With this status.
    pub http_status: Option<Spanned<u16>>,
    /// With this status of gRPC, by name: `UNAVAILABLE`.
    pub grpc_status: Option<Spanned<String>>,
    /// The share of requests; none: no request.
    pub percentage: Option<Spanned<Percentage>>,
}

/// A share of requests.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Percentage {
    /// In percent.
    pub value: Percent,
}

impl Abort {
    /// The number of the status of gRPC, where it names one.
    pub fn grpc_number(&self) -> Option<u32> {
        let name = self.grpc_status.as_ref()?.as_str();
        GrpcStatus::from_name(name).map(|status| status.code().into())
    }
}
