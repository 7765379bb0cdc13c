//! `shakedown schema`.

use super::exit::{Exit, Reported};
use super::fault::failed;
use super::out;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SchemaArgs {
    /// Format to describe
    #[arg(value_enum, default_value_t = SchemaFormat::Scenario)]
    format: SchemaFormat,
}

const EXAMPLES: &str = "\
Examples:
  shakedown schema > scenario.schema.json              let an editor complete and check scenario files
  shakedown schema results                             describe the output of --json

An editor with the YAML language server uses the schema if the first line of a scenario file is
  # yaml-language-server: $schema=scenario.schema.json";

#[derive(Clone, Copy, clap::ValueEnum)]
enum SchemaFormat {
    /// Scenario files
    Scenario,
    /// The results that `run`, `sweep` and `load` write with `--json`
    Results,
}

/// Prints the JSON Schema of a format.
pub(crate) fn main(args: &SchemaArgs) -> Reported {
    let schema = match args.format {
        SchemaFormat::Scenario => shakedown_scenarios::schema(),
        SchemaFormat::Results => shakedown_results::schema(),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(|error| failed(Exit::Input, error))?;
    out::print(format_args!("{text}\n"))?;
    Ok(Exit::Pass)
}
