//! Resolves every form of window to two points and checks them as far as the file alone allows.

use shakedown_yaml::suggest;

use crate::check::names::CheckNames;
use crate::check::syntax::{
    ChaosEdge, SyntaxError, WindowKind, WrittenBase, WrittenPoint, WrittenWindow,
};
use crate::check::{Base, TimePoint, Window};
use crate::value::{Ratio, format_ns};

/// The meaning of a chaos item's bare name as a point.
#[derive(Clone, Copy)]
enum Bare {
    Start,
    End,
    /// The end, or the start for an item that takes effect at a single instant. Such an item lasts to the end of the
    /// run, so that a window after its end would be empty.
    After,
}

/// Resolves a window.
///
/// # Errors
/// The error of the window. `None` if other errors of the file explain the failure.
pub(super) fn resolve(
    window: &WrittenWindow,
    names: &CheckNames,
) -> Result<Window, Option<SyntaxError>> {
    let warm_up = TimePoint {
        base: Base::WarmUp,
        offset_ns: 0,
    };
    let end = TimePoint {
        base: Base::End,
        offset_ns: 0,
    };
    let resolved = match &window.kind {
        WindowKind::During(from, to) => Window {
            from: point(from, Bare::Start, names)?,
            to: point(to, Bare::End, names)?,
            within: false,
        },
        WindowKind::DuringItem(item) => Window {
            from: point(item, Bare::Start, names)?,
            to: point(item, Bare::End, names)?,
            within: false,
        },
        WindowKind::After(from) => Window {
            from: point(from, Bare::After, names)?,
            to: end,
            within: false,
        },
        WindowKind::Before(to) => Window {
            from: warm_up,
            to: point(to, Bare::Start, names)?,
            within: false,
        },
        WindowKind::Within(length) => stretch(
            TimePoint {
                base: Base::Zero,
                offset_ns: 0,
            },
            *length,
        ),
        WindowKind::WithinOf(length, from) => stretch(point(from, Bare::Start, names)?, *length),
        WindowKind::WithinAfter(length, from) => stretch(point(from, Bare::After, names)?, *length),
    };
    inside(window, &resolved, names)?;
    Ok(resolved)
}

/// The window of a given length from a point on.
fn stretch(from: TimePoint, length_ns: u64) -> Window {
    let length = i64::try_from(length_ns).expect("a duration fits into 63 bits");
    let to = TimePoint {
        base: from.base.clone(),
        offset_ns: from.offset_ns.saturating_add(length),
    };
    Window {
        from,
        to,
        within: true,
    }
}

fn point(
    written: &WrittenPoint,
    bare: Bare,
    names: &CheckNames,
) -> Result<TimePoint, Option<SyntaxError>> {
    let (base, base_ns) = match &written.base {
        WrittenBase::Time(nanos) => (
            Base::Zero,
            i64::try_from(*nanos).expect("a duration fits into 63 bits"),
        ),
        WrittenBase::End => (Base::End, 0),
        WrittenBase::Name(name, edge) => {
            let Some(item) = names.chaos.iter().find(|item| item.name == *name) else {
                return Err(unknown(written.at, name, names));
            };
            let base = match (edge, bare) {
                (Some(ChaosEdge::Start), _) | (None, Bare::Start) => Base::StartOf(name.clone()),
                (None, Bare::After) if item.is_instant => Base::StartOf(name.clone()),
                (Some(ChaosEdge::End), _) | (None, Bare::End | Bare::After) => {
                    Base::EndOf(name.clone())
                }
            };
            (base, 0)
        }
    };
    Ok(TimePoint {
        base,
        offset_ns: base_ns.saturating_add(written.offset_ns),
    })
}

fn unknown(at: usize, name: &str, names: &CheckNames) -> Option<SyntaxError> {
    if names.incomplete && names.chaos.is_empty() {
        return None;
    }
    let known = names.chaos.iter().map(|item| item.name.as_str());
    let hint = if names.chaos.is_empty() {
        "the file has no named item; a time is written `90s`".to_owned()
    } else {
        suggest::hint(name, known.collect::<Vec<_>>())
    };
    Some(SyntaxError::new(
        at,
        format!("no chaos item `{name}`: {hint}"),
    ))
}

/// Refuses a window that is empty or outside the run, as far as the file alone determines it.
fn inside(
    written: &WrittenWindow,
    window: &Window,
    names: &CheckNames,
) -> Result<(), Option<SyntaxError>> {
    let (from, to) = (known(&window.from, names), known(&window.to, names));
    let show = |nanos: i64| format_ns(Ratio::whole(i128::from(nanos)));
    let problem = |message: String| Err(Some(SyntaxError::new(written.at, message)));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return problem(format!(
            "the window from {} to {} is empty",
            show(from),
            show(to)
        ));
    }
    if let Some(from) = from.filter(|from| *from < 0) {
        return problem(format!(
            "the window begins at {}, before the run",
            show(from)
        ));
    }
    if let Some(to) = to.filter(|to| *to > names.duration_ns) {
        let duration = show(names.duration_ns);
        return problem(format!(
            "the window ends at {}, after the run's `duration` of {duration}",
            show(to)
        ));
    }
    Ok(())
}

/// The time of a point, ns, if the file alone determines it.
fn known(point: &TimePoint, names: &CheckNames) -> Option<i64> {
    let item = |name: &str| names.chaos.iter().find(|item| item.name == name);
    let base = match &point.base {
        Base::Zero => 0,
        Base::WarmUp => names.warm_up_ns,
        Base::End => names.duration_ns,
        Base::StartOf(name) => item(name)?.start_ns?,
        Base::EndOf(name) => item(name)?.end_ns?,
    };
    Some(base.saturating_add(point.offset_ns))
}
