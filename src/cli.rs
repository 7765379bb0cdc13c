//! The command line: arguments as typed, and what each command prints. Exit codes: 0 pass, 1 a check failed, 2 bad input,
//! 3 the run is invalid, 130 it was interrupted.

mod check;
mod engine;
mod explain;
mod interrupt;
mod list;
mod load;
mod out;
mod output;
mod progress;
mod run;
mod sweep;

use std::fmt::Display;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shakedown::Verdict;
use shakedown_scenarios::LoadError;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Every check holds.
    Pass = 0,
    /// A check failed.
    Fail = 1,
    /// The input is bad.
    Input = 2,
    /// The run says nothing.
    Invalid = 3,
    /// The user ended it by Ctrl-C.
    Interrupted = 130,
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Pass => Exit::Pass,
            Verdict::Fail => Exit::Fail,
            Verdict::Invalid => Exit::Invalid,
        }
    }
}

/// An end that was told to the user already.
pub(crate) type Ended = Result<Exit, Exit>;

/// Learn before production what your service mesh does under load and failure.
#[derive(Parser)]
#[command(name = "shakedown", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  shakedown run header-routing --html report.html      a story of the catalogue, with a report
  shakedown run shop.yaml --variant all                each ending of your own
  shakedown sweep theory-mm1 --seeds 1..30             the same under thirty seeds
  shakedown run header-routing --real                  real sockets on loopback, real time
  shakedown load http://localhost:8080/ --rate 500/s --duration 30s
  shakedown check mesh/*.yaml                          validate configuration
  shakedown explain --config mesh/ --request 'GET http://reviews/x' -H 'end-user: jason'

Exit codes: 0 pass, 1 a check failed, 2 bad input, 3 the run is invalid, 130 it was cut short by Ctrl-C.";

#[derive(Subcommand)]
enum Command {
    /// Run one scenario and judge it
    Run(Box<run::Args>),
    /// Run a scenario under many seeds, on all cores
    Sweep(sweep::Args),
    /// Load a real HTTP server at a rate, and judge how it answers
    Load(Box<load::Args>),
    /// List the catalogue
    List,
    /// Print a scenario
    Show(list::ShowArgs),
    /// Validate scenarios and mesh configuration
    Check(check::Args),
    /// Tell what a request would meet, and which line decided it
    Explain(explain::Args),
}

/// Parses the arguments and runs the command.
pub(crate) fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Run(args) => run::main(*args),
        Command::Sweep(args) => sweep::main(args),
        Command::Load(args) => load::main(&args),
        Command::List => list::main(),
        Command::Show(args) => list::show(&args),
        Command::Check(args) => check::main(&args),
        Command::Explain(args) => explain::main(&args),
    };
    let exit = ended.unwrap_or_else(|exit| exit);
    ExitCode::from(exit as u8)
}

/// Tells the user what is wrong with the input.
pub(crate) fn bad_input(problem: impl Display) -> Exit {
    out::complain(problem);
    Exit::Input
}

/// Why a scenario cannot be had, with all causes, or what is wrong with it.
pub(crate) fn words(error: LoadError) -> String {
    match error {
        LoadError::Wrong(problems) => problems.to_string(),
        error => format!("shakedown: {:#}", anyhow::Error::from(error)),
    }
}

/// Tells the user an error with all its causes.
pub(crate) fn failed(exit: Exit, error: impl Into<anyhow::Error>) -> Exit {
    out::complain(format_args!("shakedown: {:#}", error.into()));
    exit
}
