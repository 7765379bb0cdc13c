//! Windows resolved to times of a run.

use shakedown_results::Participants;

use crate::check::{Base, TimePoint, Window};
use crate::value::{Ratio, format_ns};

/// A window in ns from 0 s. The start is inclusive, the end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeSpan {
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
}

/// Resolves a window with the times of this run's faults.
///
/// # Errors
/// An error if the window is empty, outside the run, or refers to a chaos item that does not happen.
pub(super) fn resolve(window: &Window, participants: &Participants) -> Result<TimeSpan, String> {
    let (from_ns, to_ns) = (
        time(&window.from, participants)?,
        time(&window.to, participants)?,
    );
    let show = |nanos: i64| format_ns(Ratio::whole(i128::from(nanos)));
    if from_ns >= to_ns {
        return Err(format!(
            "its window is empty: {} to {}",
            show(from_ns),
            show(to_ns)
        ));
    }
    if from_ns < 0 || to_ns > participants.duration_ns {
        return Err(format!(
            "its window is outside the run: {} to {}",
            show(from_ns),
            show(to_ns)
        ));
    }
    Ok(TimeSpan { from_ns, to_ns })
}

fn time(point: &TimePoint, participants: &Participants) -> Result<i64, String> {
    let base = match &point.base {
        Base::Zero => 0,
        Base::WarmUp => participants.warm_up_ns,
        Base::End => participants.duration_ns,
        Base::StartOf(name) => {
            let starts = participants
                .faults
                .iter()
                .filter(|fault| fault.name == *name)
                .map(|fault| fault.start_ns);
            starts
                .min()
                .ok_or_else(|| format!("`{name}` does not occur in this run"))?
        }
        Base::EndOf(name) => {
            let ends = participants
                .faults
                .iter()
                .filter(|fault| fault.name == *name);
            let ends = ends.map(|fault| fault.end_ns.unwrap_or(participants.duration_ns));
            // A fault may outlast the load, but windows end with the load.
            ends.max()
                .map(|end| end.min(participants.duration_ns))
                .ok_or_else(|| format!("`{name}` does not occur in this run"))?
        }
    };
    Ok(base.saturating_add(point.offset_ns))
}
