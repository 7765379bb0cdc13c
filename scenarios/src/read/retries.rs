//! Reads retries of calls and loads.

use std::time::Duration;

use shakedown_yaml::Node;

use super::fields::{Keys, get, long};
use super::reader::ScenarioReader;
use crate::scenario::AppRetries;
use crate::value::Share;

const RETRIES: Keys = Keys {
    known: &["times", "on", "backoff", "max-backoff", "jitter", "budget"],
    later: &[],
};
/// The maximum number of retries of one call. The journal counts attempts in 16 bits.
const TIMES_MAX: u32 = 10_000;
/// The default of `max-backoff`, as a multiple of `backoff`.
const BACKOFF_GROWTH: u32 = 10;

/// A kind of failure that is retried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Status,
    Reset,
    Timeout,
}

impl ScenarioReader<'_> {
    /// Reads `retries` of a call or a load. `None` if there are none. `path` names the random stream.
    pub(super) fn retries(&mut self, node: &Node, path: &str) -> Option<AppRetries> {
        let retries = long(get(node, "retries")?, "times");
        self.keys(&retries, &RETRIES);
        let Some(written) = get(&retries, "times") else {
            self.missing(&retries, "times", "retries: {times: 2}");
            return None;
        };
        let times = self.count_of(written)?;
        if times > TIMES_MAX {
            self.error(
                &written.place,
                format!("`{times}` retries are too many: at most {TIMES_MAX}"),
            );
            return None;
        }
        let on = self.retry_on(&retries);
        let backoff = self.duration(&retries, "backoff").unwrap_or(Duration::ZERO);
        let grown = backoff.saturating_mul(BACKOFF_GROWTH);
        let max_backoff = self.duration(&retries, "max-backoff").unwrap_or(grown);
        if let Some(written) = get(&retries, "max-backoff")
            && max_backoff < backoff
        {
            self.error(&written.place, "`max-backoff` is `backoff` at least");
        }
        let jitter = get(&retries, "jitter")
            .and_then(|node| self.word(node, &[("full", true), ("none", false)], &[]));
        let budget = self.budget(&retries);
        let place = self.place(format!("{path}/retries"));
        (times > 0).then(|| AppRetries {
            times,
            on_5xx: on.contains(&On::Status),
            on_reset: on.contains(&On::Reset),
            on_timeout: on.contains(&On::Timeout),
            backoff,
            max_backoff,
            full_jitter: jitter.unwrap_or(true),
            budget,
            place,
        })
    }

    /// Reads the failures that are retried: a word or a list of words. The default is all.
    fn retry_on(&mut self, retries: &Node) -> Vec<On> {
        const WORDS: [(&str, On); 3] = [
            ("5xx", On::Status),
            ("reset", On::Reset),
            ("timeout", On::Timeout),
        ];
        let Some(written) = get(retries, "on") else {
            return WORDS.iter().map(|(_, on)| *on).collect();
        };
        let items = match written.as_list() {
            Some([]) => {
                self.error(
                    &written.place,
                    "retries happen on something: write `on: [5xx, reset, timeout]`",
                );
                return Vec::new();
            }
            Some(items) => items.to_vec(),
            None => vec![written.clone()],
        };
        items
            .iter()
            .filter_map(|item| self.word(item, &WORDS, &[]))
            .collect()
    }

    /// Reads the budget: a share of first attempts, or `none`.
    fn budget(&mut self, retries: &Node) -> Option<Share> {
        let written = get(retries, "budget")?;
        if written.as_str() == Some("none") {
            return None;
        }
        self.share(retries, "budget")
    }
}
