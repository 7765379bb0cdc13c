//! Reports errors to the user.

use std::fmt::Display;

use shakedown_scenarios::LoadError;

use super::exit::Exit;
use super::out;

/// Reports invalid input to the user.
pub(crate) fn bad_input(problem: impl Display) -> Exit {
    out::fault(problem);
    Exit::Input
}

/// Describes a scenario's load error: the problems found in the file, or the error with all its causes.
pub(crate) fn words(error: LoadError) -> String {
    match error {
        LoadError::Wrong(problems) => problems.to_string(),
        error => format!("{:#}", anyhow::Error::from(error)),
    }
}

/// Reports an error with all its causes to the user.
pub(crate) fn failed(exit: Exit, error: impl Into<anyhow::Error>) -> Exit {
    out::fault(format_args!("{:#}", error.into()));
    exit
}
