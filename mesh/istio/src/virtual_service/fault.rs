//! Faults injected into requests.

use serde::Deserialize;
use shakedown_types::GrpcStatus;
use shakedown_yaml::Spanned;

use crate::Percent;
use crate::duration::GoDuration;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    pub delay: Option<Spanned<Delay>>,
    /// Applied after the delay if both are given.
    pub abort: Option<Spanned<Abort>>,
}

/// A delay of requests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delay {
    pub fixed_delay: Option<Spanned<GoDuration>>,
    /// The share of requests. `None`: `percent`.
    pub percentage: Option<Spanned<Percentage>>,
    /// The share of requests in whole percent. `None`: no request. Istio's older form of `percentage`.
    pub percent: Option<Spanned<u32>>,
}

/// A response instead of forwarding.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Abort {
    pub http_status: Option<Spanned<u16>>,
    /// The gRPC status by name: `UNAVAILABLE`.
    pub grpc_status: Option<Spanned<String>>,
    /// The share of requests. `None`: no request.
    pub percentage: Option<Spanned<Percentage>>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Percentage {
    /// The share in percent.
    pub value: Percent,
}

impl Abort {
    /// Returns the number of the gRPC status, if one is given by a valid name.
    pub fn grpc_number(&self) -> Option<u32> {
        let name = self.grpc_status.as_ref()?.as_str();
        GrpcStatus::from_name(name).map(|status| status.code().into())
    }
}
