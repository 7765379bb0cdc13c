//! The status of a gRPC call. Source: gRPC, "Status codes and their use in gRPC".

use std::fmt;

use http::HeaderValue;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The status of a gRPC call. The discriminant is the status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum GrpcStatus {
    /// Success.
    Ok,
    /// Cancelled, usually by the caller.
    Cancelled,
    /// An unknown error; also any code that gRPC does not define.
    Unknown,
    /// An argument is invalid, regardless of the state of the system.
    InvalidArgument,
    /// The deadline passed before the call completed.
    DeadlineExceeded,
    /// An entity was not found.
    NotFound,
    /// The entity to be created already exists.
    AlreadyExists,
    /// The caller lacks the permission.
    PermissionDenied,
    /// A quota or another resource is exhausted.
    ResourceExhausted,
    /// The system is not in the state that the call requires.
    FailedPrecondition,
    /// Aborted, usually because of a concurrent change.
    Aborted,
    /// Past the valid range.
    OutOfRange,
    /// The method is not implemented.
    Unimplemented,
    /// An invariant of the system is broken.
    Internal,
    /// The service is unavailable; a retry may succeed.
    Unavailable,
    /// Data is lost or corrupted.
    DataLoss,
    /// The caller is not authenticated.
    Unauthenticated,
}

impl GrpcStatus {
    /// All statuses, by code.
    const ALL: [GrpcStatus; 17] = [
        GrpcStatus::Ok,
        GrpcStatus::Cancelled,
        GrpcStatus::Unknown,
        GrpcStatus::InvalidArgument,
        GrpcStatus::DeadlineExceeded,
        GrpcStatus::NotFound,
        GrpcStatus::AlreadyExists,
        GrpcStatus::PermissionDenied,
        GrpcStatus::ResourceExhausted,
        GrpcStatus::FailedPrecondition,
        GrpcStatus::Aborted,
        GrpcStatus::OutOfRange,
        GrpcStatus::Unimplemented,
        GrpcStatus::Internal,
        GrpcStatus::Unavailable,
        GrpcStatus::DataLoss,
        GrpcStatus::Unauthenticated,
    ];

    /// The status of a code.
    pub fn from_code(code: u32) -> GrpcStatus {
        let index = usize::try_from(code).unwrap_or(usize::MAX);
        let known = GrpcStatus::ALL.get(index).copied();
        known.unwrap_or(GrpcStatus::Unknown)
    }

    /// The status of a name, in capitals.
    pub fn from_name(name: &str) -> Option<GrpcStatus> {
        GrpcStatus::ALL
            .into_iter()
            .find(|status| status.name() == name)
    }

    /// The status that a client derives from an HTTP response without a gRPC status.
    /// Source: gRPC, "HTTP to gRPC Status Code Mapping"; Envoy, `Grpc::Utility::httpToGrpcStatus`.
    pub const fn from_http(status: u16) -> GrpcStatus {
        match status {
            400 => GrpcStatus::Internal,
            401 => GrpcStatus::Unauthenticated,
            403 => GrpcStatus::PermissionDenied,
            404 => GrpcStatus::Unimplemented,
            429 | 502..=504 => GrpcStatus::Unavailable,
            _ => GrpcStatus::Unknown,
        }
    }

    /// The equivalent HTTP status. Source: Envoy, `Grpc::Utility::grpcToHttpStatus`.
    pub const fn to_http(self) -> u16 {
        match self {
            GrpcStatus::Ok => 200,
            GrpcStatus::Cancelled => 499,
            GrpcStatus::InvalidArgument
            | GrpcStatus::FailedPrecondition
            | GrpcStatus::OutOfRange => 400,
            GrpcStatus::DeadlineExceeded => 504,
            GrpcStatus::NotFound => 404,
            GrpcStatus::AlreadyExists | GrpcStatus::Aborted => 409,
            GrpcStatus::PermissionDenied => 403,
            GrpcStatus::ResourceExhausted => 429,
            GrpcStatus::Unimplemented => 501,
            GrpcStatus::Unavailable => 503,
            GrpcStatus::Unauthenticated => 401,
            GrpcStatus::Unknown | GrpcStatus::Internal | GrpcStatus::DataLoss => 500,
        }
    }

    /// The names of all statuses, by code.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        GrpcStatus::ALL.into_iter().map(GrpcStatus::name)
    }

    /// The status code.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name, in capitals.
    pub const fn name(self) -> &'static str {
        match self {
            GrpcStatus::Ok => "OK",
            GrpcStatus::Cancelled => "CANCELLED",
            GrpcStatus::Unknown => "UNKNOWN",
            GrpcStatus::InvalidArgument => "INVALID_ARGUMENT",
            GrpcStatus::DeadlineExceeded => "DEADLINE_EXCEEDED",
            GrpcStatus::NotFound => "NOT_FOUND",
            GrpcStatus::AlreadyExists => "ALREADY_EXISTS",
            GrpcStatus::PermissionDenied => "PERMISSION_DENIED",
            GrpcStatus::ResourceExhausted => "RESOURCE_EXHAUSTED",
            GrpcStatus::FailedPrecondition => "FAILED_PRECONDITION",
            GrpcStatus::Aborted => "ABORTED",
            GrpcStatus::OutOfRange => "OUT_OF_RANGE",
            GrpcStatus::Unimplemented => "UNIMPLEMENTED",
            GrpcStatus::Internal => "INTERNAL",
            GrpcStatus::Unavailable => "UNAVAILABLE",
            GrpcStatus::DataLoss => "DATA_LOSS",
            GrpcStatus::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<GrpcStatus> for HeaderValue {
    fn from(status: GrpcStatus) -> HeaderValue {
        HeaderValue::from(u16::from(status.code()))
    }
}

impl Serialize for GrpcStatus {
    /// The status code.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.code())
    }
}

impl<'de> Deserialize<'de> for GrpcStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<GrpcStatus, D::Error> {
        let code = u8::deserialize(deserializer)?;
        let known = GrpcStatus::ALL.get(usize::from(code)).copied();
        known.ok_or_else(|| {
            D::Error::invalid_value(Unexpected::Unsigned(code.into()), &"a gRPC status code")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::GrpcStatus;

    #[test]
    fn a_name_and_its_code_are_one_status() {
        for (code, name) in (0..).zip(GrpcStatus::names()) {
            let status = GrpcStatus::from_code(code);
            assert_eq!(GrpcStatus::from_name(name), Some(status));
            assert_eq!((u32::from(status.code()), status.name()), (code, name));
        }
        assert_eq!(GrpcStatus::from_name("Unavailable"), None);
    }

    #[test]
    fn a_code_that_is_not_grpcs_is_unknown() {
        assert_eq!(GrpcStatus::from_code(17), GrpcStatus::Unknown);
        assert_eq!(GrpcStatus::from_code(u32::MAX), GrpcStatus::Unknown);
    }

    #[test]
    fn statuses_become_those_of_http() {
        let to_http: Vec<u16> = (0..18)
            .map(|code| GrpcStatus::from_code(code).to_http())
            .collect();
        assert_eq!(
            to_http,
            [
                200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500,
                401, 500
            ]
        );
    }

    #[test]
    fn statuses_of_http_become_those_of_grpc() {
        for (http, grpc) in [
            (200, GrpcStatus::Unknown),
            (400, GrpcStatus::Internal),
            (401, GrpcStatus::Unauthenticated),
            (403, GrpcStatus::PermissionDenied),
            (404, GrpcStatus::Unimplemented),
            (429, GrpcStatus::Unavailable),
            (500, GrpcStatus::Unknown),
            (502, GrpcStatus::Unavailable),
            (503, GrpcStatus::Unavailable),
            (504, GrpcStatus::Unavailable),
        ] {
            assert_eq!(GrpcStatus::from_http(http), grpc, "{http}");
        }
    }

    #[test]
    fn a_status_is_serialised_as_its_code() {
        let status = GrpcStatus::Unauthenticated;
        assert_eq!(serde_json::to_string(&status).unwrap(), "16");
        assert_eq!(postcard::to_stdvec(&status).unwrap(), [16]);
        assert_eq!(serde_json::from_str::<GrpcStatus>("16").unwrap(), status);
        let error = serde_json::from_str::<GrpcStatus>("17").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid value: integer `17`, expected a gRPC status code"
        );
    }
}
