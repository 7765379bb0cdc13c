//! Loads a [`ResolvedScenario`] from a path or catalogue name, a variant and edits.

use std::collections::BTreeSet;
use std::fmt;

use shakedown_yaml::{Diagnostic, Diagnostics, Node, suggest, tree};

use crate::edit;
use crate::read;
use crate::scale;
use crate::scenario::ResolvedScenario;
use crate::source::{ScenarioSource, SourceError};
use crate::value::parse_duration;

/// The variant name of the file as written.
pub const BASE: &str = "base";

/// The edits to apply to a scenario file before it is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The variant's name. `None` and `base` select the file as written.
    pub variant: Option<String>,
    /// `--set` arguments in the order of application, such as `load.users.rate=150/s`.
    pub set: Vec<String>,
}

/// The error of loading a scenario. Its `Debug` output is its text, so that `unwrap` prints the same message as the
/// command.
#[derive(thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("`{scenario}` has no variant `{variant}`: {hint}")]
    Variant {
        scenario: String,
        variant: String,
        /// A hint with the known names.
        hint: String,
    },
    /// The file is invalid. Contains all errors, each with its place.
    #[error("{0}")]
    Wrong(#[from] Diagnostics),
}

impl fmt::Debug for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = match self {
            LoadError::Wrong(_) => None,
            error => std::error::Error::source(error),
        };
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Loads the scenario of a path or catalogue name.
///
/// # Errors
/// All errors of the file, including those of its other variants.
pub fn load(path_or_name: &str, edits: &Edits) -> Result<ResolvedScenario, LoadError> {
    File::open(ScenarioSource::open(path_or_name)?)?.load(edits)
}

/// Loads a scenario from text. Messages call the file `name`. The text cannot include files.
///
/// # Errors
/// See [`load`].
pub fn load_text(name: &str, text: &str, edits: &Edits) -> Result<ResolvedScenario, LoadError> {
    File::open(ScenarioSource::text(name, text))?.load(edits)
}

/// Loads a scenario from the tree of a file, which cannot include files. `errors` are those of building the tree.
///
/// # Errors
/// See [`load`].
pub fn load_tree(
    name: &str,
    tree: Node,
    mut errors: Diagnostics,
    edits: &Edits,
) -> Result<ResolvedScenario, LoadError> {
    let mut file = File::from_tree(ScenarioSource::text(name, ""), tree)?;
    errors.append(file.errors);
    file.errors = errors;
    file.load(edits)
}

/// Loads all variants of a path or catalogue name: the base, then the others in file order.
///
/// # Errors
/// See [`load`].
pub fn load_all(path_or_name: &str) -> Result<Vec<ResolvedScenario>, LoadError> {
    File::open(ScenarioSource::open(path_or_name)?)?.all()
}

/// Returns the names of a file's variants, `base` first.
///
/// # Errors
/// An error if the file cannot be read or is not valid YAML.
pub fn variants(path_or_name: &str) -> Result<Vec<String>, LoadError> {
    let file = File::open(ScenarioSource::open(path_or_name)?)?;
    Ok(std::iter::once(BASE.to_owned())
        .chain(file.variants.into_iter().map(|variant| variant.name))
        .collect())
}

/// A parsed scenario file with its variants split off.
struct File {
    source: ScenarioSource,
    base: Node,
    variants: Vec<Variant>,
    errors: Diagnostics,
}

struct Variant {
    name: String,
    edit: Node,
}

impl File {
    fn open(source: ScenarioSource) -> Result<File, Diagnostics> {
        let mut documents = tree::parse_bytes(&source.name, &source.bytes)?;
        if let Some(second) = documents.get(1) {
            return Err(Diagnostics::one(
                second.place.clone(),
                "a scenario must be a single YAML document",
            ));
        }
        File::from_tree(source, documents.remove(0))
    }

    fn from_tree(source: ScenarioSource, mut base: Node) -> Result<File, Diagnostics> {
        let mut errors = Diagnostics::new();
        let Some(map) = base.as_map_mut() else {
            let message = format!(
                "expected a scenario, a map with `scenario`, `story`, ..., found {}",
                base.describe()
            );
            return Err(Diagnostics::one(base.place, message));
        };
        let written = map.shift_remove("variants").map(|entry| entry.node);
        let mut variants = Vec::new();
        match written.as_ref().map(|node| (node, node.as_map())) {
            Some((_, Some(map))) => {
                for (name, entry) in map {
                    if name == BASE || name == "all" || name.is_empty() {
                        errors.add(
                            &entry.key,
                            format!("`{name}` is reserved: choose another name"),
                        );
                    } else if entry.node.as_map().is_none() {
                        let message = format!(
                            "expected a variant, a map of edits, found {}",
                            entry.node.describe()
                        );
                        errors.add(&entry.node.place, message);
                    } else {
                        variants.push(Variant {
                            name: name.clone(),
                            edit: entry.node.clone(),
                        });
                    }
                }
            }
            Some((node, None)) if !node.is_null() => {
                errors.add(
                    &node.place,
                    format!("expected a map of variants, found {}", node.describe()),
                );
            }
            _ => {}
        }
        Ok(File {
            source,
            base,
            variants,
            errors,
        })
    }

    fn load(self, edits: &Edits) -> Result<ResolvedScenario, LoadError> {
        let wanted = edits.variant.as_deref().unwrap_or(BASE);
        let variant = self.variants.iter().find(|variant| variant.name == wanted);
        if variant.is_none() && wanted != BASE {
            let known = self
                .variants
                .iter()
                .map(|variant| variant.name.as_str())
                .chain([BASE]);
            return Err(LoadError::Variant {
                scenario: self.source.name.clone(),
                variant: wanted.to_owned(),
                hint: suggest::hint(wanted, known.collect::<Vec<_>>()),
            });
        }
        let mut errors = self.errors.clone();
        for other in self.whole() {
            if let Err(found) = other {
                errors.append(found);
            }
        }
        let mut sets = Vec::new();
        for argument in &edits.set {
            match edit::set(argument) {
                Ok(node) => sets.push(node),
                Err(found) => errors.append(found),
            }
        }
        if !errors.is_empty() {
            return Err(LoadError::Wrong(once(errors)));
        }
        let scenario = self.scenario(variant, &sets);
        scenario.map_err(|mut errors| {
            errors.append(self.scale_instead(variant, &sets));
            LoadError::Wrong(once(errors))
        })
    }

    /// Returns a hint to use `--scale`, if the edits only fail because they shorten the run below the times of its
    /// events.
    fn scale_instead(&self, variant: Option<&Variant>, sets: &[Node]) -> Diagnostics {
        let shortens = |set: &&Node| set.get("duration").is_some();
        let (durations, others): (Vec<&Node>, Vec<&Node>) = sets.iter().partition(shortens);
        let others: Vec<Node> = others.into_iter().cloned().collect();
        let wanted = durations.last().and_then(|set| set.get("duration"));
        let hint = wanted.and_then(|wanted| {
            let to = parse_duration(wanted.as_str()?).ok()?;
            let from = self.scenario(variant, &others).ok()?.duration;
            let factor = scale::between(from, to).filter(|_| to < from)?;
            let message = format!(
                "a shorter `duration` does not move the times and windows of the scenario: use `--scale {factor}` instead, which divides all of them"
            );
            Some(Diagnostics::one(wanted.place.clone(), message))
        });
        hint.unwrap_or_else(Diagnostics::new)
    }

    fn all(self) -> Result<Vec<ResolvedScenario>, LoadError> {
        let mut errors = self.errors.clone();
        let mut scenarios = Vec::new();
        for scenario in self.whole() {
            match scenario {
                Ok(scenario) => scenarios.push(scenario),
                Err(found) => errors.append(found),
            }
        }
        if errors.is_empty() {
            Ok(scenarios)
        } else {
            Err(LoadError::Wrong(once(errors)))
        }
    }

    /// Reads the base and each variant.
    fn whole(&self) -> impl Iterator<Item = Result<ResolvedScenario, Diagnostics>> + '_ {
        std::iter::once(None)
            .chain(self.variants.iter().map(Some))
            .map(|variant| self.scenario(variant, &[]))
    }

    /// Reads the file with a variant and further edits applied.
    fn scenario(
        &self,
        variant: Option<&Variant>,
        sets: &[Node],
    ) -> Result<ResolvedScenario, Diagnostics> {
        let mut node = self.base.clone();
        let mut errors = Diagnostics::new();
        if let Some(variant) = variant {
            edit::apply(&mut node, &variant.edit, &mut errors);
        }
        for set in sets {
            edit::apply(&mut node, set, &mut errors);
        }
        scale::apply(&mut node, &mut errors);
        let breaks = variant.and_then(|variant| breaks(variant, &mut errors));
        let names = breaks
            .as_ref()
            .map(|breaks| breaks.iter().map(|(name, _)| name.clone()).collect());
        let read = read::read(
            &node,
            variant.map_or(BASE, |variant| &variant.name),
            names,
            &self.source,
        );
        for (name, place) in breaks.iter().flatten() {
            if !read.checks.contains(name) {
                let hint = suggest::hint(name, read.checks.iter().map(String::as_str));
                let variant = variant.map_or(BASE, |variant| &variant.name);
                errors.add(
                    place,
                    format!(
                        "variant `{variant}` breaks `{name}`, but no check has that name: {hint}"
                    ),
                );
            }
        }
        match read.scenario {
            Ok(scenario) => errors.or(scenario),
            Err(found) => {
                errors.append(found);
                Err(errors)
            }
        }
    }
}

/// The expected failures of a variant: check names with their places.
fn breaks(
    variant: &Variant,
    errors: &mut Diagnostics,
) -> Option<Vec<(String, shakedown_yaml::Location)>> {
    let node = variant.edit.get("breaks").filter(|node| !node.is_null())?;
    let Some(items) = node.as_list() else {
        errors.add(
            &node.place,
            format!("expected a list of check names, found {}", node.describe()),
        );
        return None;
    };
    let mut names = Vec::new();
    for item in items {
        match item.as_str() {
            Some(name) => names.push((name.to_owned(), item.place.clone())),
            None => errors.add(
                &item.place,
                format!("expected the name of a check, found {}", item.describe()),
            ),
        }
    }
    Some(names)
}

/// Removes duplicate errors and sorts by place. Variants share most of a file and therefore most errors.
fn once(errors: Diagnostics) -> Diagnostics {
    let mut seen = BTreeSet::new();
    let distinct: Vec<Diagnostic> = errors
        .into_iter()
        .filter(|error| seen.insert(error.to_string()))
        .collect();
    distinct.into_iter().collect::<Diagnostics>().sorted()
}
