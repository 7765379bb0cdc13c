//! The results of all cases, compared with the accepted differences.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use crate::case::Case;
use crate::listed::{EVERYWHERE, LISTED, Listed, PENDING};
use crate::seen::Difference;
use crate::world::{Outcome, Result};

/// The result of a case.
#[derive(Debug)]
enum End {
    Equal,
    Listed(&'static str),
    Failed(Vec<String>),
}

/// The completed cases, in the order of the tables.
#[derive(Debug, Default)]
pub(crate) struct Report {
    ends: BTreeMap<usize, (&'static str, End)>,
    shown: BTreeMap<usize, String>,
}

impl Report {
    pub(crate) fn add(&mut self, index: usize, case: &Case, result: Result) {
        if std::env::var_os("SHAKEDOWN_DIFF_SHOW").is_some() {
            let text = format!(
                "=== {}\nwants `{}`\n{}\n",
                case.name, result.summary, result.details
            );
            self.shown.insert(index, text);
        }
        self.ends
            .insert(index, (case.name, judge(case.name, result.outcome)));
    }

    /// Prints the results and a final summary line.
    pub(crate) fn print(self, took: Duration, whole: bool) -> ExitCode {
        for text in self.shown.values() {
            println!("{text}");
        }
        let (mut equal, mut listed, mut failed) = (0, 0, 0);
        for (name, end) in self.ends.values() {
            match end {
                End::Equal => equal += 1,
                End::Listed(why) => {
                    listed += 1;
                    println!("listed: {name}: {why}");
                }
                End::Failed(reasons) => {
                    failed += 1;
                    println!("FAILED: {name}");
                    reasons.iter().for_each(|reason| println!("    {reason}"));
                }
            }
        }
        if whole {
            for it in EVERYWHERE {
                println!("everywhere: {}: {}", it.field, it.why);
            }
            for name in unknown(&self.ends) {
                failed += 1;
                println!("FAILED: `{name}` is listed and no case has that name");
            }
        }
        let cases = self.ends.len();
        println!(
            "{cases} cases in {:.1} s, {failed} failed",
            took.as_secs_f32()
        );
        println!("differential: {cases} cases, {equal} equal, {listed} listed");
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn unknown(ends: &BTreeMap<usize, (&'static str, End)>) -> Vec<&'static str> {
    let listed = LISTED.iter().flat_map(|listed| listed.cases);
    let pending = PENDING.iter().flat_map(|pending| pending.cases);
    let is_unknown = |name: &&&str| !ends.values().any(|(known, _)| known == *name);
    listed.chain(pending).filter(is_unknown).copied().collect()
}

fn judge(name: &'static str, outcome: Outcome) -> End {
    let listed: Vec<&Listed> = LISTED
        .iter()
        .filter(|listed| listed.cases.contains(&name))
        .collect();
    let pending = PENDING.iter().find(|pending| pending.cases.contains(&name));
    let stale = |what: &str| End::Failed(vec![format!("{what}: strike it from the list")]);
    match outcome {
        Outcome::Broken(why) => End::Failed(vec![why]),
        Outcome::Refused(why) => match pending {
            Some(pending) => End::Listed(pending.why),
            None => End::Failed(vec![format!("our side refuses: {why}")]),
        },
        _ if pending.is_some() => stale("it is pending, and is not refused"),
        Outcome::Equal if listed.is_empty() => End::Equal,
        Outcome::Equal => stale("it is listed, and equal"),
        Outcome::Differs(all) => {
            let everywhere = |field: &str| {
                EVERYWHERE
                    .iter()
                    .any(|everywhere| everywhere.field == field)
            };
            let rest: Vec<&Difference> = all
                .iter()
                .filter(|difference| !everywhere(&difference.field))
                .collect();
            if rest.is_empty() {
                return judge(name, Outcome::Equal);
            }
            let is_of = |entry: &Listed, difference: &Difference| {
                entry.fields.iter().any(|f| covers(f, &difference.field))
            };
            let accepted =
                |difference: &Difference| listed.iter().any(|entry| is_of(entry, difference));
            let mut failed: Vec<String> = rest
                .iter()
                .filter(|difference| !accepted(difference))
                .map(|difference| text(difference))
                .collect();
            for entry in listed
                .iter()
                .filter(|entry| !rest.iter().any(|difference| is_of(entry, difference)))
            {
                failed.push(format!("listed, and equal in it: {}", entry.why));
            }
            match listed.first() {
                Some(listed) if failed.is_empty() => End::Listed(listed.why),
                _ => End::Failed(failed),
            }
        }
    }
}

fn covers(pattern: &str, field: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => field.starts_with(start),
        None => pattern == field,
    }
}

fn text(difference: &Difference) -> String {
    let value = |value: &Option<String>| {
        value
            .as_ref()
            .map_or("nothing".to_owned(), |value| format!("`{value}`"))
    };
    format!(
        "request {}: {}: Envoy {}, ours {}",
        difference.request,
        difference.field,
        value(&difference.envoy),
        value(&difference.ours)
    )
}
