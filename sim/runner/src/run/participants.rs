//! The planned faults and the participants of a run, which follow from the scenario and the seed.

use shakedown_env::stream_seed;
use shakedown_results::Participants;
use shakedown_scenarios::PlannedAction;
use shakedown_scenarios::scenario::ResolvedScenario;

/// Returns the planned faults and the participants of a run of `scenario` under `seed`, identical to those
/// that [`run`](super::run) uses.
pub fn plan_run(scenario: &ResolvedScenario, seed: u64) -> (Vec<PlannedAction>, Participants) {
    let plan = shakedown_scenarios::plan(scenario, |label: &str| stream_seed(seed, "chaos", label));
    let participants = shakedown_scenarios::list_participants(scenario, &plan);
    (plan, participants)
}
