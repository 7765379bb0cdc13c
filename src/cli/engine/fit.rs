//! Checks that turmoil can simulate a scenario: refuses each unsupported part by its line, and notes how coarse the
//! rest is.

use shakedown::{Engine, ResolvedScenario};
use shakedown_runner::{UnsupportedPart, turmoil_fit};
use shakedown_yaml::{Location, Node, tree};

use crate::cli::exit::Exit;
use crate::cli::fault::bad_input;

/// Refuses each part of a scenario that turmoil cannot simulate, by its line.
pub(crate) fn fits_turmoil(
    scenario: &ResolvedScenario,
    source: &str,
    seed: u64,
) -> Result<(), Exit> {
    let fit = turmoil_fit(scenario, seed);
    if !fit.refused.is_empty() {
        let root = document(source);
        let lines = fit.refused.iter().map(|refusal| {
            let place = place(root.as_ref(), &scenario.variant, source, refusal);
            format!(
                "{place}: `{}` is not supported by --engine turmoil: {}",
                refusal.path.join("."),
                refusal.reason
            )
        });
        return Err(bad_input(lines.collect::<Vec<_>>().join("\n")));
    }
    Ok(())
}

/// The maximum number of stretched steps listed in the notes.
const STRETCHED_MAX: usize = 4;

/// Returns the summary's notes on the precision of a run on turmoil. Empty for the native engine.
pub(crate) fn notes(engine: Engine, scenario: &ResolvedScenario, seed: u64) -> String {
    if engine == Engine::Native {
        return String::new();
    }
    let mut text =
        "  note    turmoil runs in ticks of 1 ms: every sleep and every hop is rounded up to whole ticks".to_owned();
    let fit = turmoil_fit(scenario, seed);
    let rounded: Vec<String> = fit
        .rounded
        .iter()
        .map(|(from, to)| format!("{} us to {} us", from / 1_000, to / 1_000))
        .collect();
    if !rounded.is_empty() {
        text.push_str("; latency: ");
        text.push_str(&rounded.join(", "));
    }
    text.push('\n');
    for step in fit.stretched.iter().take(STRETCHED_MAX) {
        let longer = (step.rounded_ns - step.mean_ns) * 100 / step.mean_ns.max(1);
        text.push_str(&format!(
            "  note    `{}` of {} takes {} us in whole ticks, {longer}% longer than its mean\n",
            step.step,
            step.service,
            step.rounded_ns / 1_000
        ));
    }
    text
}

/// Parses the scenario file as a tree. The file was read before, so `None` means that it has been removed meanwhile or
/// that the scenario does not come from a file.
fn document(source: &str) -> Option<Node> {
    let known = shakedown_scenarios::catalogue().find(|(name, _)| *name == source);
    let (name, bytes) = match known {
        Some((name, text)) => (format!("scenarios/{name}.yaml"), text.as_bytes().to_vec()),
        None => (source.to_owned(), std::fs::read(source).ok()?),
    };
    let documents = tree::parse_bytes(&name, &bytes).ok()?;
    documents.into_iter().next()
}

/// The source location of a refused part: in the variant if found there, else in the base scenario, else the file as a
/// whole.
fn place(root: Option<&Node>, variant: &str, source: &str, refusal: &UnsupportedPart) -> Location {
    let of_variant = root.and_then(|root| root.find(&["variants", variant]));
    let exact = [of_variant, root]
        .into_iter()
        .flatten()
        .find_map(|root| follow(root, &refusal.path));
    let whole =
        || Location::whole(root.map_or_else(|| source.into(), |root| root.place.file.clone()));
    exact.unwrap_or_else(whole)
}

/// The location at the end of a path of keys, or of the last key found. `None` if the first key is missing.
fn follow(root: &Node, path: &[String]) -> Option<Location> {
    let (first, rest) = path.split_first()?;
    let entry = root.as_map()?.get(first.as_str())?;
    let mut found = entry.key.clone();
    let mut node = &entry.node;
    for key in rest {
        if let Some(items) = node.as_list() {
            return item(items, key);
        }
        let Some(entry) = node.as_map().and_then(|map| map.get(key.as_str())) else {
            break;
        };
        found = entry.key.clone();
        node = &entry.node;
    }
    Some(found)
}

/// The location of a list item, found by its name, or by its index if it is unnamed (`chaos.2`).
fn item(items: &[Node], name: &str) -> Option<Location> {
    let named = |item: &&Node| item.get("name").and_then(Node::as_str) == Some(name);
    let number = || name.rsplit_once('.')?.1.parse::<usize>().ok();
    let found = items.iter().find(named).or_else(|| items.get(number()?))?;
    Some(found.place.clone())
}
