//! The units of the JSON form.

use std::time::Duration;

use shakedown_xds::table::RequestShare;

pub(in crate::explain) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Converts a share to parts per million, rounded down.
pub(super) fn ppm(share: RequestShare) -> u32 {
    let parts = u64::from(share.numerator) * 1_000_000 / u64::from(share.denominator);
    u32::try_from(parts.min(1_000_000)).expect("a million fits")
}
