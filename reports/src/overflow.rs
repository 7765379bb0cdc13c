//! Describes outlier detections that could not eject a pod, for all kinds of report.

use shakedown_results::EjectionOverflow;

use crate::units;

/// Returns the figures: `40 detections could not eject 1 pod, because maxEjectionPercent was reached`.
pub(crate) fn words(row: &EjectionOverflow) -> String {
    format!(
        "{} could not eject {}, because maxEjectionPercent was reached",
        units::counted(row.count, "detection"),
        units::counted(row.pods, "pod"),
    )
}

/// Returns a full sentence with the edge, the figures and the time.
pub(crate) fn sentence(row: &EjectionOverflow) -> String {
    let (from, to) = (units::duration(row.from_ns), units::duration(row.to_ns));
    let when = match row.count {
        1 => format!("at {from}"),
        _ => format!("from {from} to {to}"),
    };
    format!(
        "outlier detection {} -> {}: {}, {when}",
        row.source,
        row.destination,
        words(row)
    )
}
