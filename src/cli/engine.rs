//! `--engine`: selects the simulator, refuses by line each part of a scenario that turmoil cannot simulate, and reports
//! the checks that the two engines judge differently.

#[cfg(feature = "turmoil")]
mod fit;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use shakedown::{Document, Engine, ResolvedScenario, RunOptions};

#[cfg(feature = "turmoil")]
pub(crate) use self::fit::{fits_turmoil, notes};
use super::exit::Exit;
#[cfg(not(feature = "turmoil"))]
use super::fault::bad_input;
use super::fault::failed;

/// Parses the simulators that `--engine` accepts.
pub(crate) fn simulators() -> impl TypedValueParser<Value = Engine> {
    let native = PossibleValue::new(Engine::Native.name())
        .help("Shakedown's own simulator: resolution of 1 ns, thousands of hosts");
    let turmoil = PossibleValue::new(Engine::Turmoil.name())
        .help("The turmoil simulator: ticks of 1 ms, up to 30 hosts; also runs the native engine and compares the results");
    PossibleValuesParser::new([native, turmoil]).map(|name| {
        if name == Engine::Turmoil.name() {
            Engine::Turmoil
        } else {
            Engine::Native
        }
    })
}

/// Refuses `--engine turmoil` in a build without the feature `turmoil`.
#[cfg(not(feature = "turmoil"))]
pub(crate) fn fits_turmoil(
    _story: &ResolvedScenario,
    _scenario: &str,
    _seed: u64,
) -> Result<(), Exit> {
    Err(bad_input(
        "invalid --engine turmoil: this build does not include turmoil; rebuild with the feature `turmoil`, which is on by default",
    ))
}

/// Returns no notes: a build without turmoil never runs on it.
#[cfg(not(feature = "turmoil"))]
pub(crate) fn notes(_engine: Engine, _story: &ResolvedScenario, _seed: u64) -> String {
    String::new()
}

/// Runs the scenario on the native engine too and compares its checks with those of the turmoil run. Returns lines for
/// the summary, or an empty string if `engine` is native.
///
/// # Errors
/// Fails if the scenario cannot be run on the native engine.
pub(crate) fn compare(
    engine: Engine,
    scenario: &ResolvedScenario,
    turmoil: &Document,
    set: &[String],
) -> Result<String, Exit> {
    if engine == Engine::Native {
        return Ok(String::new());
    }
    let options = RunOptions {
        seed: Some(turmoil.seed),
        set: set.to_vec(),
        ..RunOptions::default()
    };
    let native = shakedown::run(scenario, options).map_err(|error| failed(Exit::Invalid, error))?;
    Ok(differences(turmoil, &native.document))
}

/// Returns a line for each check that the two engines judge differently.
fn differences(turmoil: &Document, native: &Document) -> String {
    let word = |pass: Option<bool>| match pass {
        Some(true) => "true",
        Some(false) => "false",
        None => "not judged",
    };
    let pairs = turmoil.checks.iter().zip(&native.checks);
    let differing: Vec<String> = pairs
        .filter(|(here, there)| here.pass != there.pass)
        .map(|(here, there)| {
            format!(
                "  differs {}: {} on turmoil ({}), {} on the native engine ({})\n",
                here.name,
                word(here.pass),
                here.observed,
                word(there.pass),
                there.observed
            )
        })
        .collect();
    match (differing.is_empty(), turmoil.verdict == native.verdict) {
        (true, true) => "  note    the native engine agrees on every check\n".to_owned(),
        (true, false) => {
            "  differs the native engine reaches a different verdict, although it agrees on every check\n".to_owned()
        }
        (false, _) => differing.concat(),
    }
}
