//! `--engine`: which simulator, what turmoil's cannot carry, told by line, and where the two judge a story otherwise.

#[cfg(feature = "turmoil")]
mod fit;

use shakedown::{Document, Options, Story};

#[cfg(feature = "turmoil")]
pub(crate) use self::fit::{fits_turmoil, notes};
#[cfg(not(feature = "turmoil"))]
use super::bad_input;
use super::{Exit, failed};

/// Whose simulator carries a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// Shakedown's own: to the nanosecond, thousands of hosts
    Native,
    /// Turmoil's: ticks of 1 ms, up to 30 hosts; the native one runs too, and is compared
    Turmoil,
}

/// Refuses `--engine turmoil`, as this build is without it.
#[cfg(not(feature = "turmoil"))]
pub(crate) fn fits_turmoil(_story: &Story, _scenario: &str, _seed: u64) -> Result<(), Exit> {
    Err(bad_input(
        "`--engine turmoil`: this build is without turmoil; build it with the feature `turmoil`, which is on by default",
    ))
}

/// Nothing: no run of this build is on turmoil.
#[cfg(not(feature = "turmoil"))]
pub(crate) fn notes(_engine: Engine, _story: &Story, _seed: u64) -> String {
    String::new()
}

/// How the native engine judges the story that turmoil has run: what a second opinion is asked for. Lines for the summary;
/// empty for a native run.
///
/// # Errors
/// The story could not be run.
pub(crate) fn compare(
    engine: Engine,
    story: &Story,
    turmoil: &Document,
    set: &[String],
) -> Result<String, Exit> {
    if engine == Engine::Native {
        return Ok(String::new());
    }
    let options = Options {
        seed: Some(turmoil.seed),
        set: set.to_vec(),
        ..Options::default()
    };
    let native = shakedown::run(story, options).map_err(|error| failed(Exit::Invalid, error))?;
    Ok(differences(turmoil, &native.document))
}

/// A line for each check that two engines judge otherwise.
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
        (true, true) => "  note    the native engine judges every check alike\n".to_owned(),
        (true, false) => {
            "  differs the native engine has another verdict, by no check\n".to_owned()
        }
        (false, _) => differing.concat(),
    }
}
