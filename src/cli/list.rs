//! `shakedown list` and `shakedown show`.

use std::collections::BTreeSet;

use shakedown_scenarios::{Edits, catalogue};

use super::exit::{Exit, Reported};
use super::fault::{bad_input, words};
use super::out;
use super::run::load;

#[derive(clap::Args)]
pub(crate) struct ShowArgs {
    /// Scenario file, or the name of a catalogue scenario
    scenario: String,
    /// Print the scenario with its variant merged and its included files inlined
    #[arg(long)]
    expanded: bool,
    /// Variant to print (implies --expanded)
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
}

/// Prints a line for each scenario of the catalogue.
pub(crate) fn main() -> Reported {
    let width = catalogue().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, _) in catalogue() {
        // Warnings are printed when the scenario is run.
        let scenario = shakedown_scenarios::load(name, &Edits::default())
            .map_err(|error| bad_input(words(error)))?;
        out::print(format_args!("{name:width$}  {}\n", scenario.story.trim()))?;
    }
    Ok(Exit::Pass)
}

/// Prints one scenario, as written or expanded.
pub(crate) fn show(args: &ShowArgs) -> Reported {
    if args.expanded || args.variant.is_some() {
        let scenario = load(
            &args.scenario,
            args.variant.clone(),
            &[],
            &mut BTreeSet::new(),
        )?;
        out::print(&scenario.expanded)?;
        return Ok(Exit::Pass);
    }
    if let Some((_, text)) = catalogue().find(|(name, _)| *name == args.scenario) {
        out::print(text)?;
        return Ok(Exit::Pass);
    }
    // Loading it first reports a bad path better than reading the file would.
    load(&args.scenario, None, &[], &mut BTreeSet::new())?;
    let text = std::fs::read_to_string(&args.scenario)
        .map_err(|error| bad_input(format!("{}: {error}", args.scenario)))?;
    out::print(text)?;
    Ok(Exit::Pass)
}
