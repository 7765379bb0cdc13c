//! `shakedown check`: validates scenarios and mesh configuration, all errors at once.

use std::fmt::Display;
use std::path::PathBuf;

use shakedown::run::not_modelled;
use shakedown_analysis::advise;
use shakedown_istio::registry::Mesh;
use shakedown_istio::{Omission, refused};
use shakedown_reports::omitted;
use shakedown_translate::validate;

use super::exit::{Exit, Reported};
use super::fault::{bad_input, words};
use super::input::{InputKind, MeshFiles, inputs};
use super::out;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  shakedown check shop.yaml                check a scenario and all its variants
  shakedown check mesh/                    check all mesh configuration in a folder together
  kubectl get vs,dr,svc -A -o yaml | shakedown check -
  shakedown check --strict --fail-on warning mesh/*.yaml

Kinds and fields that are not modelled are passed over. A warning describes the effect, if there is one.

Exit codes: 0 valid, 1 a warning with `--fail-on warning`, 2 an error.")]
pub(crate) struct CheckArgs {
    /// Scenario files, names of catalogue scenarios, mesh configuration files or folders, or `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Reject kinds and fields that are not modelled
    #[arg(long)]
    strict: bool,
    /// Lowest severity that makes the command fail
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = FindingLevel::Error)]
    fail_on: FindingLevel,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FindingLevel {
    /// Warnings and errors
    Warning,
    /// Errors only
    Error,
}

pub(crate) fn main(args: &CheckArgs) -> Reported {
    let mut exit = Exit::Pass;
    let mut mesh = MeshFiles::default();
    for input in inputs(&args.paths).map_err(bad_input)? {
        match input.held() {
            InputKind::Mesh(bytes) => mesh.read(&input.name(), &bytes),
            InputKind::Other(omission) => mesh.omissions.push(omission),
            InputKind::Scenario => {
                exit = exit.max(scenario(args, &input.path(), &input.name()));
            }
        }
    }
    Ok(exit.max(judge(args, mesh)))
}

/// Checks a scenario in all its variants.
fn scenario(args: &CheckArgs, path: &str, name: &str) -> Exit {
    let scenarios = match shakedown_scenarios::load_all(path) {
        Ok(scenarios) => scenarios,
        Err(error) => return bad_input(words(error)),
    };
    let mut findings = Findings::default();
    for scenario in &scenarios {
        scenario
            .warnings
            .iter()
            .for_each(|warning| findings.warning(warning));
        findings.omissions(&scenario.omissions);
    }
    let variants = scenarios.len() - 1;
    let s = if variants == 1 { "" } else { "s" };
    let what = format!("{name}: valid, with {variants} variant{s}");
    findings.print(args, &[what])
}

/// Checks mesh documents.
fn judge(args: &CheckArgs, mut files: MeshFiles) -> Exit {
    if files.names.is_empty() && files.omissions.is_empty() {
        return Exit::Pass;
    }
    let mesh = Mesh {
        registry: files.declared(),
        documents: std::mem::take(&mut files.documents),
        ..Mesh::default()
    };
    // Documents may refer to one that could not be parsed, so validation needs all of them.
    if files.problems.is_empty() {
        files.problems.append(validate(&mesh));
    }
    if args.strict {
        files.problems.append(refused(&files.omissions));
    }
    if !files.problems.is_empty() {
        return bad_input(files.problems.sorted());
    }
    let mut findings = Findings::default();
    for advice in advise(&mesh).iter() {
        findings.warning(advice);
    }
    findings.omissions(&files.omissions);
    let good = files.names.iter().map(|name| format!("{name}: valid"));
    findings.print(args, &good.collect::<Vec<_>>())
}

/// Findings that are not errors, without duplicates.
#[derive(Default)]
struct Findings {
    warnings: Vec<String>,
    omissions: Vec<Omission>,
}

impl Findings {
    fn warning(&mut self, warning: impl Display) {
        let warning = warning.to_string();
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn omissions(&mut self, omissions: &[Omission]) {
        for omission in omissions {
            if !self.omissions.contains(omission) {
                self.omissions.push(omission.clone());
            }
        }
    }

    /// Prints all findings, then the names of the valid inputs.
    fn print(mut self, args: &CheckArgs, good: &[String]) -> Exit {
        if args.strict && !self.omissions.is_empty() {
            return bad_input(refused(&self.omissions));
        }
        let (named, harmless): (Vec<_>, Vec<_>) = self
            .omissions
            .into_iter()
            .partition(|omission| omission.effect.is_some());
        let named = named.iter().map(|omission| omission.warning().to_string());
        self.warnings.extend(named);
        for warning in &self.warnings {
            out::complain(format_args!("warning: {warning}"));
        }
        for line in omitted::lines(&not_modelled(&harmless)) {
            out::complain(format_args!("passed over, {line}"));
        }
        for line in good {
            if let Err(exit) = out::print(format_args!("{line}\n")) {
                return exit;
            }
        }
        match args.fail_on {
            FindingLevel::Warning if !self.warnings.is_empty() => Exit::Fail,
            _ => Exit::Pass,
        }
    }
}
