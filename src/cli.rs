//! The command line: arguments as typed, and the output of each command.
//!
//! Exit codes: 0 pass, 1 a check failed, 2 bad input, 3 the run is invalid, 4 a single run judges none of the checks,
//! 130 interrupted by Ctrl-C.

mod check;
mod edits;
mod engine;
mod exit;
mod explain;
mod fault;
mod input;
mod interrupt;
mod list;
mod load;
mod out;
mod output;
mod progress;
mod run;
mod schema;
mod sweep;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{ColorChoice, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use shakedown_yaml::suggest;

use exit::{Exit, Reported};
use fault::failed;

/// Test how your service mesh behaves under load and failure, before production.
#[derive(Parser)]
#[command(name = "shakedown", version, after_help = EXAMPLES)]
struct Cli {
    /// Colours of the output; `auto` uses them on a terminal, unless NO_COLOR is set or TERM is `dumb`
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  shakedown run header-routing --html report.html      run a catalogue scenario and write a report
  shakedown run shop.yaml --variant all                run every variant of a scenario file
  shakedown sweep theory-mm1 --seeds 1..30             run a scenario under 30 seeds
  shakedown run header-routing --real                  run on loopback sockets in real time
  shakedown load http://localhost:8080/ --rate 500/s --duration 30s
  shakedown check mesh/*.yaml                          validate mesh configuration
  shakedown explain --config mesh/ --request 'GET http://reviews:9080/x' -H 'end-user: jason'

Exit codes: 0 pass, 1 a check failed, 2 bad input, 3 the run is invalid, 4 all checks are over seeds (use sweep),
130 interrupted by Ctrl-C.";

#[derive(Subcommand)]
enum Command {
    /// Run a scenario and evaluate its checks
    Run(Box<run::RunArgs>),
    /// Run a scenario under many seeds, on all cores
    Sweep(sweep::SweepArgs),
    /// Send requests to a real HTTP server at a given rate, and evaluate checks
    Load(Box<load::LoadArgs>),
    /// List the scenarios in the catalogue
    List,
    /// Print a scenario
    Show(list::ShowArgs),
    /// Validate scenarios and mesh configuration
    Check(check::CheckArgs),
    /// Explain how the mesh handles a request, and which line of configuration decides each step
    Explain(explain::ExplainArgs),
    /// Print the JSON Schema of scenario files or results
    Schema(schema::SchemaArgs),
    /// Print a shell completion script
    Completions {
        /// Shell to generate completions for
        shell: Shell,
    },
    /// Print the manual page in roff format
    Man,
}

/// Parses the arguments and runs the command.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| suggesting(error).exit());
    out::choose_color(cli.color);
    let ended = match cli.command {
        Command::Run(args) => run::main(*args),
        Command::Sweep(args) => sweep::main(args),
        Command::Load(args) => load::main(&args),
        Command::List => list::main(),
        Command::Show(args) => list::show(&args),
        Command::Check(args) => check::main(&args),
        Command::Explain(args) => explain::main(&args),
        Command::Schema(args) => schema::main(&args),
        Command::Completions { shell } => completions(shell),
        Command::Man => manual(),
    };
    let exit = ended.unwrap_or_else(|exit| exit);
    ExitCode::from(exit as u8)
}

/// Suggests the nearest command for a mistyped one, because clap's own similarity measure finds no match for `rnu`.
fn suggesting(mut error: clap::Error) -> clap::Error {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) => typed.clone(),
        _ => return error,
    };
    let command = Cli::command();
    let names = command.get_subcommands().map(clap::Command::get_name);
    if let Some(name) = suggest::nearest(&typed, names)
        && error.get(ContextKind::SuggestedSubcommand).is_none()
    {
        let names = ContextValue::Strings(vec![name.to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, names);
    }
    error
}

/// Prints the script that makes a shell complete commands, options and files.
fn completions(shell: Shell) -> Reported {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "shakedown", &mut script);
    out::print(String::from_utf8_lossy(&script))?;
    Ok(Exit::Pass)
}

/// Prints the manual: a page for `shakedown` and one for each of its commands.
fn manual() -> Reported {
    let mut command = Cli::command();
    command.build();
    let pages = std::iter::once(&command).chain(command.get_subcommands());
    for page in pages {
        let mut roff = Vec::new();
        clap_mangen::Man::new(page.clone())
            .render(&mut roff)
            .map_err(|error| failed(Exit::Input, error))?;
        out::print(String::from_utf8_lossy(&roff))?;
    }
    Ok(Exit::Pass)
}
