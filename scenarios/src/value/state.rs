//! The states of a gauge as numbers, because a check always compares numbers.

use shakedown_types::CanaryPhase;

use super::Ratio;

/// Flagger's phases in the order of a rollout, followed by its possible ends and the states of a breaker. No two gauges
/// share a number.
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

/// A failed canary, with or without weight in force. A rolled-back canary has failed, too, and compares greater.
pub(crate) const FAILED: Ratio = Ratio::whole(phase(CanaryPhase::Failed) as i128);
/// A failed canary whose weight is 0 in force at every proxy.
pub(crate) const ROLLED_BACK: i64 = 11;
/// A breaker that admits requests.
pub(crate) const CLOSED: i64 = 100;
/// A breaker at its limit.
pub(crate) const OPEN: i64 = 101;

pub(crate) const fn phase(phase: CanaryPhase) -> i64 {
    phase as i64
}

const fn named(canary: CanaryPhase) -> (&'static str, i64) {
    (canary.name(), phase(canary))
}

pub(crate) fn state(name: &str) -> Option<Ratio> {
    let known = STATES.iter().find(|(known, _)| *known == name);
    known.map(|(_, number)| Ratio::whole(i128::from(*number)))
}

pub(crate) fn state_name(number: Ratio) -> Option<&'static str> {
    let known = STATES
        .iter()
        .find(|(_, known)| Ratio::whole(i128::from(*known)) == number);
    known.map(|(name, _)| *name)
}

/// Returns true if a state belongs to a breaker rather than a canary.
pub(crate) fn is_breakers(number: Ratio) -> bool {
    number >= Ratio::whole(i128::from(CLOSED))
}

/// All names of states, for messages.
pub(crate) fn states() -> impl Iterator<Item = &'static str> + Clone {
    STATES.iter().map(|(name, _)| *name)
}
