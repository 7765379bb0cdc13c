//! `shakedown check`: validates scenarios and mesh configuration, all errors at once.

use std::fmt::Display;
use std::path::PathBuf;

use shakedown_config::api::{Document, advise, validate};
use shakedown_config::{Diagnostics, Mesh, tree};

use super::{Ended, Exit, bad_input, out, words};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  shakedown check shop.yaml                a scenario with all its variants
  shakedown check mesh/*.yaml              mesh configuration, all files together")]
pub(crate) struct Args {
    /// Scenario files, names of the catalogue, and files of mesh configuration
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(crate) fn main(args: &Args) -> Ended {
    let mut exit = Exit::Pass;
    let mut mesh = MeshFiles::default();
    for path in &args.paths {
        let name = path.to_string_lossy();
        match std::fs::read(path) {
            Ok(bytes) if !is_scenario(&bytes) => mesh.read(&name, &bytes),
            // A scenario, a name of the catalogue, or what cannot be read: loading it says which.
            _ => exit = exit.max(scenario(&name)),
        }
    }
    Ok(exit.max(mesh.judge()))
}

/// A scenario names itself at the margin; mesh configuration has no such key.
pub(super) fn is_scenario(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let api = bytes
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"apiVersion:"));
    lines.any(|line| line.starts_with(b"scenario:")) || !api
}

/// Checks a scenario in all its variants.
fn scenario(name: &str) -> Exit {
    match shakedown_scenarios::load_all(name) {
        Ok(stories) => {
            for warning in stories.iter().flat_map(|story| &story.warnings) {
                out::complain(format_args!("warning: {warning}"));
            }
            let variants = stories.len() - 1;
            let s = if variants == 1 { "" } else { "s" };
            good(format_args!("{name}: good, with {variants} variant{s}\n"))
        }
        Err(error) => bad_input(words(error)),
    }
}

fn good(line: impl Display) -> Exit {
    out::print(line).map_or_else(|exit| exit, |()| Exit::Pass)
}

/// All files of mesh configuration of one call: they are judged together, as one cluster would see them.
#[derive(Default)]
struct MeshFiles {
    names: Vec<String>,
    mesh: Mesh,
    problems: Diagnostics,
}

impl MeshFiles {
    fn read(&mut self, name: &str, bytes: &[u8]) {
        self.names.push(name.to_owned());
        let nodes = match tree::parse_bytes(name, bytes) {
            Ok(nodes) => nodes,
            Err(problems) => return self.problems.append(problems),
        };
        for node in &nodes {
            match Document::read(node) {
                Ok(document) => self.mesh.documents.push(document),
                Err(problems) => self.problems.append(problems),
            }
        }
    }

    fn judge(mut self) -> Exit {
        // No registry is known here: hosts are not looked up.
        self.problems.append(validate(&self.mesh));
        if !self.problems.is_empty() {
            return bad_input(self.problems.sorted());
        }
        for advice in advise(&self.mesh).iter() {
            out::complain(format_args!("warning: {advice}"));
        }
        let exits = self.names.iter();
        let exits = exits.map(|name| good(format_args!("{name}: good\n")));
        exits.max().unwrap_or(Exit::Pass)
    }
}
