//! gRPC's statuses, by number and name. Source: gRPC, "Status codes and their use in gRPC".

use serde::{Deserialize, Serialize};

/// A status of gRPC: 0 is OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrpcStatus(u8);

/// Names, by number.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl GrpcStatus {
    /// It went well.
    pub const OK: GrpcStatus = GrpcStatus(0);
    /// Nobody knows; also what stands for any number that is not gRPC's.
    pub const UNKNOWN: GrpcStatus = GrpcStatus(2);
    /// Time was up.
    pub const DEADLINE_EXCEEDED: GrpcStatus = GrpcStatus(4);
    /// There is no such method.
    pub const UNIMPLEMENTED: GrpcStatus = GrpcStatus(12);
    /// Nobody is there to answer.
    pub const UNAVAILABLE: GrpcStatus = GrpcStatus(14);

    /// The status of a number.
    pub const fn of_number(number: u64) -> GrpcStatus {
        if number < NAMES.len() as u64 {
            GrpcStatus(number as u8)
        } else {
            GrpcStatus::UNKNOWN
        }
    }

    /// The status of a name, in capitals.
    pub fn of_name(name: &str) -> Option<GrpcStatus> {
        let at = NAMES.iter().position(|known| *known == name)?;
        u8::try_from(at).ok().map(GrpcStatus)
    }

    /// All names, by number.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        NAMES.into_iter()
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name; a number that gRPC does not have counts as unknown.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).unwrap_or(&"UNKNOWN")
    }

    /// What a caller makes of an answer of HTTP without a status of gRPC.
    /// Source: gRPC, "HTTP to gRPC Status Code Mapping".
    pub const fn of_http(status: u16) -> GrpcStatus {
        GrpcStatus(match status {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502..=504 => 14,
            _ => 2,
        })
    }

    /// The status of HTTP that stands for it. Source: Envoy, `Grpc::Utility::grpcToHttpStatus`.
    pub const fn http(self) -> u16 {
        match self.0 {
            0 => 200,
            1 => 499,
            3 | 9 | 11 => 400,
            4 => 504,
            5 => 404,
            6 | 10 => 409,
            7 => 403,
            8 => 429,
            12 => 501,
            14 => 503,
            16 => 401,
            _ => 500,
        }
    }
}

impl std::fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::GrpcStatus;

    #[test]
    fn a_name_and_its_number_are_one_status() {
        for (number, name) in (0..).zip(GrpcStatus::names()) {
            let status = GrpcStatus::of_number(number);
            assert_eq!(GrpcStatus::of_name(name), Some(status));
            assert_eq!((u64::from(status.number()), status.name()), (number, name));
        }
        assert_eq!(GrpcStatus::of_name("Unavailable"), None);
    }

    #[test]
    fn a_number_that_is_not_grpcs_is_unknown() {
        assert_eq!(GrpcStatus::of_number(17), GrpcStatus::UNKNOWN);
        assert_eq!(GrpcStatus::of_number(u64::MAX), GrpcStatus::UNKNOWN);
    }

    #[test]
    fn what_nobody_answers_is_unavailable_in_both_words() {
        assert_eq!(GrpcStatus::of_http(503), GrpcStatus::UNAVAILABLE);
        assert_eq!(GrpcStatus::UNAVAILABLE.http(), 503);
        assert_eq!(GrpcStatus::DEADLINE_EXCEEDED.http(), 504);
        assert_eq!(GrpcStatus::of_http(200), GrpcStatus::UNKNOWN);
    }
}
