//! The states that a gauge may be in, as numbers: what a check compares is always a number.

use shakedown_types::CanaryPhase;

use super::Ratio;

/// Flagger's phases, in the order of a rollout, then its possible ends; then the states of a breaker.
/// No two gauges share a number.
const STATES: [(&str, i64); 15] = [
    named(CanaryPhase::Initializing),
    named(CanaryPhase::Initialized),
    named(CanaryPhase::Waiting),
    named(CanaryPhase::Progressing),
    named(CanaryPhase::WaitingPromotion),
    named(CanaryPhase::Promoting),
    named(CanaryPhase::Finalising),
    ("promoted", phase(CanaryPhase::Succeeded)),
    named(CanaryPhase::Succeeded),
    named(CanaryPhase::Terminating),
    named(CanaryPhase::Terminated),
    named(CanaryPhase::Failed),
    ("rolled-back", ROLLED_BACK),
    ("closed", CLOSED),
    ("open", OPEN),
];

/// Failed, with or without weight in force: what is rolled back has failed too.
pub(crate) const FAILED: Ratio = Ratio::whole(phase(CanaryPhase::Failed) as i128);
/// Failed, with weight 0 in force at every proxy.
pub(crate) const ROLLED_BACK: i64 = 11;
/// A breaker that lets pass.
pub(crate) const CLOSED: i64 = 100;
/// A breaker at its limit.
pub(crate) const OPEN: i64 = 101;

/// The number of a phase of a canary.
pub(crate) const fn phase(phase: CanaryPhase) -> i64 {
    phase as i64
}

const fn named(canary: CanaryPhase) -> (&'static str, i64) {
    (canary.name(), phase(canary))
}

/// The number of a state.
pub(crate) fn state(name: &str) -> Option<Ratio> {
    let known = STATES.iter().find(|(known, _)| *known == name);
    known.map(|(_, number)| Ratio::whole(i128::from(*number)))
}

/// The name of a state.
pub(crate) fn state_name(number: Ratio) -> Option<&'static str> {
    let known = STATES
        .iter()
        .find(|(_, known)| Ratio::whole(i128::from(*known)) == number);
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
