//! The states that a gauge may be in, as numbers: what a check compares is always a number.

use super::Ratio;

/// Flagger's phases, in the order of a rollout, then its possible ends; then the states of a breaker.
/// No two gauges share a number.
const STATES: [(&str, i128); 15] = [
    ("initializing", 0),
    ("initialized", 1),
    ("waiting", 2),
    ("progressing", 3),
    ("waiting-promotion", 4),
    ("promoting", 5),
    ("finalising", 6),
    ("promoted", 7),
    ("succeeded", 7),
    ("terminating", 8),
    ("terminated", 9),
    ("failed", 10),
    ("rolled-back", 11),
    ("closed", 100),
    ("open", 101),
];

/// Failed, with or without weight in force: what is rolled back has failed too.
pub(crate) const FAILED: Ratio = Ratio::whole(10);
/// Failed, with weight 0 in force at every proxy.
pub(crate) const ROLLED_BACK: i64 = 11;
/// A breaker that lets pass.
pub(crate) const CLOSED: i64 = 100;
/// A breaker at its limit.
pub(crate) const OPEN: i64 = 101;

/// The number of a state.
pub(crate) fn state(name: &str) -> Option<Ratio> {
    let known = STATES.iter().find(|(known, _)| *known == name);
    known.map(|(_, number)| Ratio::whole(*number))
}

/// The name of a state.
pub(crate) fn state_name(number: Ratio) -> Option<&'static str> {
    let known = STATES
        .iter()
        .find(|(_, known)| Ratio::whole(*known) == number);
    known.map(|(name, _)| *name)
}

/// Returns true if a state is of a breaker, else it is of a canary.
pub(crate) fn is_breakers(number: Ratio) -> bool {
    number >= Ratio::whole(i128::from(CLOSED))
}

/// All names, for messages.
pub(crate) fn states() -> impl Iterator<Item = &'static str> + Clone {
    STATES.iter().map(|(name, _)| *name)
}
