//! The outcome of a request, a call or an attempt.

use serde::{Deserialize, Serialize};
use shakedown_types::GrpcStatus;

/// The result of a request, a call or an attempt, as its sender counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// A success by the condition of the sender.
    Ok,
    /// Another response, or a broken connection.
    Error,
    /// The sender's timeout has passed, or the run has ended.
    Timeout,
    /// Never sent, because the load was at its in-flight limit.
    Dropped,
    /// Cancelled by the sender.
    Cancelled,
}

/// The outcome of a request, a call or an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// HTTP status; 0 without a response.
    pub status: u16,
    /// gRPC status; `None` if the response was not gRPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcStatus>,
    /// Result, as the sender counts it.
    pub answer: Answer,
}

impl Outcome {
    /// Creates an outcome with this HTTP status.
    pub const fn new(status: u16, answer: Answer) -> Outcome {
        Outcome {
            status,
            grpc: None,
            answer,
        }
    }

    /// Creates an outcome without a response of the other side.
    pub const fn none(answer: Answer) -> Outcome {
        Outcome::new(0, answer)
    }

    /// Creates the outcome of a response for a caller that counts 200 to 399 as success or, for gRPC, the
    /// status OK.
    pub fn of_status(status: u16, grpc: Option<GrpcStatus>) -> Outcome {
        let ok = match grpc {
            Some(grpc) => grpc == GrpcStatus::Ok,
            None => (200..400).contains(&status),
        };
        let answer = if ok { Answer::Ok } else { Answer::Error };
        Outcome {
            status,
            grpc,
            answer,
        }
    }
}
