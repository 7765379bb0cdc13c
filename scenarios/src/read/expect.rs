//! Reads `expect`: the names and texts of checks. Maps offsets in a text to places in the file.

use std::collections::BTreeSet;

use shakedown_yaml::tree::Value;
use shakedown_yaml::{Location as FilePlace, Node};

use super::reader::ScenarioReader;
use crate::check::names::CheckNames;
use crate::check::{Check, resolve};

/// The maximum number of checks in a scenario.
const CHECKS_MAX: usize = 1_000;

impl ScenarioReader<'_> {
    /// Reads all checks. Invalid ones are reported and left out.
    pub(super) fn expect(&mut self, list: &Node, names: &CheckNames) -> Vec<Check> {
        let mut checks = Vec::new();
        let mut taken = BTreeSet::new();
        let items = self.list(list, "checks");
        if items.len() > CHECKS_MAX {
            self.error(
                &items[CHECKS_MAX].place,
                format!("a scenario may have at most {CHECKS_MAX} checks"),
            );
        }
        for item in items.iter().take(CHECKS_MAX) {
            let Some((name, node)) = self.named(item) else {
                continue;
            };
            if let Some((name, place)) = name.as_ref()
                && !taken.insert(name.clone())
            {
                self.error(place, format!("two checks are named `{name}`"));
            }
            let Some(text) = self.text(node, "a check, such as `p99(users) < 250ms`") else {
                continue;
            };
            let own = name.as_ref().map(|(name, _)| name.as_str());
            match resolve::check(own, text, &node.place, names) {
                Ok(check) => checks.push(check),
                Err(problems) => {
                    for problem in problems {
                        self.error(&inside(node, text, problem.at), problem.message);
                    }
                }
            }
        }
        checks
    }

    /// The name of a check, if it has one, and its value.
    fn named<'n>(&mut self, item: &'n Node) -> Option<(Option<(String, FilePlace)>, &'n Node)> {
        match &item.value {
            Value::Map(map) => match map.first() {
                Some((name, entry)) if map.len() == 1 => {
                    Some((Some((name.clone(), entry.key.clone())), &entry.node))
                }
                _ => {
                    self.error(
                        &item.place,
                        "a check is a string or a map with one key (`name: check`); quote a check that contains `: `, or a comma within brackets",
                    );
                    None
                }
            },
            _ => Some((None, item)),
        }
    }
}

/// The place of a byte in a scalar's text. Exact for a single line. In a folded text the place is approximate, because
/// the byte is assumed to be on the first line.
fn inside(node: &Node, text: &str, at: usize) -> FilePlace {
    let mut place = node.place.clone();
    if place.line == 0 {
        return place;
    }
    let quoted = matches!(&node.value, Value::Scalar { quoted: true, .. });
    let before = text.get(..at).map_or(0, |before| before.chars().count());
    place.column += u32::try_from(before).unwrap_or(0) + u32::from(quoted);
    place
}
