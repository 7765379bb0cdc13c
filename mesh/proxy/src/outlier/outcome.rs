//! The result of an attempt.

/// The result of an attempt as an input of outlier detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The attempt obtained a connection. Reported before the response.
    Connected,
    /// A response with this status.
    Status(u16),
    /// The attempt timed out. Counts as a 504 unless local-origin failures are counted separately.
    TimedOut,
    /// The attempt was reset or could not connect. Counts as a 503 unless local-origin failures are counted separately.
    Failed,
}
