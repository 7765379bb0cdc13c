//! Reads retries of calls and loads.

use shakedown_yaml::{Node, Raw};

use super::fields::{get, long};
use super::reader::ScenarioReader;
use crate::file::{Jitter, RetriedFailure, RetryKeys, Span};
use crate::scenario::AppRetries;

/// The maximum number of retries of one call. The journal counts attempts in 16 bits.
const TIMES_MAX: u32 = 10_000;
/// The default of `max-backoff`, as a multiple of `backoff`.
const BACKOFF_GROWTH: u32 = 10;

impl ScenarioReader<'_> {
    /// Reads `retries` of a call or a load. `None` if there are none. `path` names the random stream.
    pub(super) fn retries(&mut self, node: &Node, path: &str) -> Option<AppRetries> {
        let retries = long(get(node, "retries")?, "times");
        let keys: RetryKeys = self.decode(&retries)?;
        let times = keys.times.0;
        if times > TIMES_MAX
            && let Some(written) = get(&retries, "times")
        {
            self.error(
                &written.place,
                format!("`{times}` retries are too many: at most {TIMES_MAX}"),
            );
            return None;
        }
        let on = self.retry_on(keys.on.as_ref());
        let Span(backoff) = keys.backoff;
        let grown = backoff.saturating_mul(BACKOFF_GROWTH);
        let max_backoff = keys.max_backoff.map_or(grown, |longest| longest.0);
        if let Some(written) = get(&retries, "max-backoff")
            && max_backoff < backoff
        {
            self.error(&written.place, "`max-backoff` must be at least `backoff`");
        }
        let draw_id = self.stream(format!("{path}/retries"));
        (times > 0).then(|| AppRetries {
            times,
            on_5xx: on.contains(&RetriedFailure::Status),
            on_reset: on.contains(&RetriedFailure::Reset),
            on_timeout: on.contains(&RetriedFailure::Timeout),
            backoff,
            max_backoff,
            full_jitter: keys.jitter == Jitter::Full,
            budget: keys.budget.0,
            draw_id,
        })
    }

    /// Reads the failures that are retried: a word or a list of words. The default is all.
    fn retry_on(&mut self, written: Option<&Raw>) -> Vec<RetriedFailure> {
        let Some(Raw(written)) = written else {
            return vec![
                RetriedFailure::Status,
                RetriedFailure::Reset,
                RetriedFailure::Timeout,
            ];
        };
        let items = match written.as_list() {
            Some([]) => {
                self.error(
                    &written.place,
                    "`on` must not be empty, for example `on: [5xx, reset, timeout]`",
                );
                return Vec::new();
            }
            Some(items) => items.to_vec(),
            None => vec![written.clone()],
        };
        items.iter().filter_map(|item| self.decode(item)).collect()
    }
}
