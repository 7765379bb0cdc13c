//! The outcome of a request, a call or an attempt.

use serde::{Deserialize, Serialize};
use shakedown_types::GrpcStatus;

/// The result of a request, a call or an attempt, as its sender counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// A success by the condition of the sender.
    Ok,
    /// Another answer, or a broken connection.
    Error,
    /// The sender's timeout has passed, or the run has ended.
    Timeout,
    /// Never sent: the load was over its in-flight cap.
    Dropped,
    /// Cancelled by the sender.
    Cancelled,
}

/// The end of a request, a call or an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The HTTP status; 0 when there was none.
    pub status: u16,
    /// The status of gRPC, if it was answered over gRPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcStatus>,
    /// The result.
    pub answer: Answer,
}

impl Outcome {
    /// An end with this status of HTTP.
    pub const fn new(status: u16, answer: Answer) -> Outcome {
        Outcome {
            status,
            grpc: None,
            answer,
        }
    }

    /// An end without an answer of the other side.
    pub const fn none(answer: Answer) -> Outcome {
        Outcome::new(0, answer)
    }

    /// An answer to a caller that counts 200 to 399 as success or, where gRPC is spoken, its OK.
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
