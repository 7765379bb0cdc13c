//! `shakedown explain`: the treatment of a request by the mesh, and the line of YAML that decides each step.

mod source;
mod text;
mod words;

use std::path::PathBuf;

use shakedown::run::not_modelled;
use shakedown_analysis::explain::{ExplainedRequest, Explanation, explain};
use shakedown_istio::refused;
use shakedown_reports::omitted;
use shakedown_results::NotModelled;
use shakedown_scenarios::Edits;

use super::exit::{Exit, Reported};
use super::fault::{bad_input, failed};
use super::out;
use source::MeshSource;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  shakedown explain --config mesh/ --request 'GET http://reviews:9080/x' -H 'end-user: jason'
  shakedown explain --config reviews.yaml --request http://reviews:9080/x --from productpage.shop
  shakedown explain --config header-routing --request http://reviews:9080/ --json
  shakedown explain --scenario crash-fail-over --variant no-outlier --request http://api:8080/

With mesh configuration only, the services are those of its Service documents. If it has no Service, every
host that it names is a service, at the ports of its destinations or else the port of the request. The
endpoints are then unknown. With a scenario, services and endpoints are those of the scenario. A URL without
a port means port 80.

Exit codes: 0 the request is forwarded, or answered as configured; 1 it is rejected; 2 bad input.")]
pub(crate) struct ExplainArgs {
    /// Mesh configuration file or folder, scenario file, name of a catalogue scenario, or `-` for standard input
    /// (repeatable)
    #[arg(long, visible_alias = "scenario", required = true, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// Variant of the scenario [default: the file as written]
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,
    /// Change a value of the scenario, such as `control.outbound=registry-only` (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Request to explain: a URL, optionally preceded by a method
    #[arg(long, value_name = "METHOD URL")]
    request: String,
    /// Request header, written `NAME: VALUE` (repeatable)
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Caller: a service or load; with mesh configuration only, a pod labelled `app: SVC` [default: a pod of no
    /// service]
    #[arg(long, value_name = "SVC[.NAMESPACE]")]
    from: Option<String>,
    /// Reject kinds and fields that are not modelled
    #[arg(long)]
    strict: bool,
    /// Print the explanation as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(args: &ExplainArgs) -> Reported {
    let request = ExplainedRequest::parse(&args.request, &args.headers).map_err(bad_input)?;
    let edits = Edits {
        variant: args.variant.clone(),
        set: args.set.clone(),
    };
    let known = MeshSource::read(&args.config, &edits, &request).map_err(bad_input)?;
    if args.strict && !known.omissions.is_empty() {
        return Err(bad_input(refused(&known.omissions)));
    }
    let sender = known.sender(args.from.as_deref()).map_err(bad_input)?;
    for warning in &known.warnings {
        out::complain(format_args!("warning: {warning}"));
    }
    let explanation =
        explain(&known.mesh, &sender, &request).map_err(|problem| failed(Exit::Input, problem))?;
    print(args, &explanation, &not_modelled(&known.omissions))?;
    Ok(match explanation.rejected_by {
        None => Exit::Pass,
        Some(_) => Exit::Fail,
    })
}

/// Prints the explanation as text or JSON.
fn print(
    args: &ExplainArgs,
    explanation: &Explanation,
    not_modelled: &[NotModelled],
) -> Result<(), Exit> {
    if args.json {
        let json = serde_json::to_string_pretty(&Printed {
            explanation,
            not_modelled,
        });
        let json = json.map_err(|error| failed(Exit::Input, error))?;
        out::print(format_args!("{json}\n"))
    } else {
        out::print(text::render(explanation))?;
        for line in omitted::lines(not_modelled) {
            out::print(format_args!("Not modelled: {line}\n"))?;
        }
        Ok(())
    }
}

/// The JSON form: the explanation, and the fields and kinds that it does not model.
#[derive(serde::Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    explanation: &'a Explanation,
    not_modelled: &'a [NotModelled],
}
