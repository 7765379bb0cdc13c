//! The arguments that select a variant of a scenario and edit it, of `run` and `sweep`.

use shakedown::ResolvedScenario;
use shakedown_istio::refused;

use super::exit::Exit;
use super::fault::bad_input;

#[derive(clap::Args)]
pub(crate) struct EditArgs {
    /// Variant to run, or `all` to run every variant and print a table
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Option<String>,
    /// Change a value of the scenario: a path of keys, and a YAML value (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Divide all times and durations of the scenario's timeline by N, like `--set scale=N`
    #[arg(long, value_name = "N")]
    scale: Option<String>,
    /// Reject kinds and fields of mesh documents that are not modelled
    #[arg(long)]
    strict: bool,
}

impl EditArgs {
    /// Returns the edits of `--set`, in order, and the one that `--scale` abbreviates.
    pub(crate) fn set(&self) -> Vec<String> {
        let scale = self.scale.iter().map(|factor| format!("scale={factor}"));
        self.set.iter().cloned().chain(scale).collect()
    }

    /// Refuses a scenario with omissions if `--strict` is set.
    pub(crate) fn refuse_omissions(&self, scenario: &ResolvedScenario) -> Result<(), Exit> {
        if self.strict && !scenario.omissions.is_empty() {
            Err(bad_input(refused(&scenario.omissions)))
        } else {
            Ok(())
        }
    }
}
