//! Reads chaos items.

mod action;

pub(super) use action::known_start;

use std::time::Duration;

use shakedown_yaml::{Node, StructKeys, suggest};

use super::fields::get;
use super::reader::ScenarioReader;
use super::target::TargetNames;
use crate::check::names::ChaosSpan;
use crate::file::{self, ACTIONS, ActionKind, ItemKeys, TargetKeys};
use crate::scenario::{ChaosItem, Draw, FireTimes};

/// Instantaneous actions that are not supported yet.
const INSTANT_UNSUPPORTED: [&str; 5] = ["reset", "flush", "restart", "expire", "rotate-root"];
/// Keys of items whose action is not supported yet, and of the action's parameters. They are not reported as unknown.
const PARAMETERS: [&str; 26] = [
    "name",
    "do",
    "target",
    "at",
    "every",
    "from",
    "until",
    "for",
    "may-miss",
    "by",
    "rate",
    "limit",
    "stagger",
    "grace",
    "ip",
    "connections",
    "what",
    "share",
    "answer",
    "to",
    "in",
    "with",
    "port",
    "labels",
    "size",
    "when",
];
/// The maximum number of chaos items, and of firings of one item.
pub(super) const ITEMS_MAX: usize = 10_000;

impl ScenarioReader<'_> {
    /// Reads all items in the order of the file.
    pub(super) fn chaos(
        &mut self,
        list: &Node,
        names: &TargetNames<'_>,
        warm_up: Duration,
        duration: Duration,
    ) -> Vec<ChaosItem> {
        let mut items = Vec::new();
        let list = self.list(list, "chaos items");
        if list.len() > ITEMS_MAX {
            self.error(
                &list[ITEMS_MAX].place,
                format!("a scenario may have at most {ITEMS_MAX} chaos items"),
            );
        }
        for (index, node) in list.iter().enumerate().take(ITEMS_MAX) {
            items.extend(self.item(index, node, names, warm_up, duration));
        }
        items
    }

    fn item(
        &mut self,
        index: usize,
        node: &Node,
        names: &TargetNames<'_>,
        warm_up: Duration,
        duration: Duration,
    ) -> Option<ChaosItem> {
        self.map(node)?;
        let item_keys = StructKeys::new::<ItemKeys>();
        let Some(written) = get(node, "do") else {
            self.keys(node, item_keys, &[StructKeys::new::<TargetKeys>()]);
            self.missing(node, "do", "do: crash");
            return None;
        };
        let action = self.action_of(written, node)?;
        let instant = self.instant(node, action.name());
        let own: Vec<StructKeys> = action.parts().iter().map(|part| part.keys).collect();
        self.keys(node, item_keys, &own);
        let keys: ItemKeys = self.decode_part(node).unwrap_or_default();
        let name = match get(node, "name") {
            Some(name) => self.name(name, "chaos item")?,
            None => format!("chaos.{index}"),
        };
        let when = self.when(&keys, node, &name, warm_up, duration);
        let length = match get(node, "for").filter(|_| !instant) {
            Some(written) => keys.r#for.and_then(|length| {
                let from = self.with_file(length.0, written)?;
                Some(Draw {
                    from,
                    draw_id: self.stream(format!("chaos.{name}.for")),
                })
            }),
            None => None,
        };
        let action = self.action(action, (index, &name), node, names);
        let draw_id = self.stream(format!("chaos.{name}.target"));
        Some(ChaosItem {
            name,
            when: when?,
            length,
            action: action?,
            may_miss: keys.may_miss,
            draw_id,
        })
    }

    /// Reads the action of an item. `None` if it is invalid, which is reported, or if it is `nothing`.
    fn action_of(&mut self, written: &Node, node: &Node) -> Option<ActionKind> {
        let name = self.text(written, "an action")?;
        let action = self.decode_by(&file::decoder().choice("action"), written);
        if action.is_none() && file::is_unsupported_action(name) {
            self.instant(node, name);
            self.parameters(node);
        }
        if action == Some(ActionKind::Nothing) {
            let entries = node.as_map().into_iter().flatten();
            let mut others = entries.filter(|(key, _)| !matches!(key.as_str(), "name" | "do"));
            if let Some((_, entry)) = others.next() {
                self.error(&entry.key, "`nothing` accepts only `name`");
            }
            return None;
        }
        action
    }

    /// Returns true if the action is instantaneous, and reports a `for`, which such an action does not take.
    fn instant(&mut self, node: &Node, action: &str) -> bool {
        let instant = is_instant(action);
        if let Some(entry) = node.as_map().and_then(|map| map.get("for"))
            && instant
        {
            let advice = if action == "restart" {
                "; use `crash` for a longer outage"
            } else {
                ""
            };
            let message = format!("`{action}` is instantaneous and does not take `for`{advice}");
            self.error(&entry.key, message);
        }
        instant
    }

    /// Reports unknown keys of an item whose action is not supported yet.
    fn parameters(&mut self, node: &Node) {
        for (key, entry) in node.as_map().into_iter().flatten() {
            if !PARAMETERS.contains(&key.as_str()) {
                let hint = suggest::hint(key, PARAMETERS);
                self.error(&entry.key, format!("unknown key `{key}`: {hint}"));
            }
        }
    }

    fn when(
        &mut self,
        keys: &ItemKeys,
        node: &Node,
        name: &str,
        warm_up: Duration,
        duration: Duration,
    ) -> Option<FireTimes> {
        for key in ["from", "until"] {
            if let Some(entry) = node.as_map().and_then(|map| map.get(key))
                && get(node, "every").is_none()
            {
                self.error(&entry.key, format!("`{key}` requires `every`"));
            }
        }
        match (get(node, "at"), get(node, "every")) {
            (Some(at), None) => {
                let from = self.with_file(keys.at.clone()?.0, at)?;
                if let Some(nanos) = from.as_constant()
                    && Duration::from_nanos(nanos) >= duration
                {
                    self.error(
                        &at.place,
                        "the item must start before the end of the run (`duration`)",
                    );
                }
                Some(FireTimes::At(Draw {
                    from,
                    draw_id: self.stream(format!("chaos.{name}.at")),
                }))
            }
            (None, Some(every)) => self.every(keys, node, every, name, (warm_up, duration)),
            (Some(_), Some(every)) => {
                self.error(
                    &every.place,
                    "an item takes only one of `at`, `every` and `when`",
                );
                None
            }
            (None, None) => {
                if get(node, "when").is_none() {
                    self.missing(node, "at", "at: 1m");
                }
                None
            }
        }
    }

    fn every(
        &mut self,
        keys: &ItemKeys,
        node: &Node,
        every: &Node,
        name: &str,
        (warm_up, duration): (Duration, Duration),
    ) -> Option<FireTimes> {
        let interval = self.with_file(keys.every.clone()?.0, every)?;
        let from = keys.from.as_ref().map_or(warm_up, |from| from.0);
        let until = keys.until.as_ref().map_or(duration, |until| until.0);
        // The item first fires after one interval and does not fire at the end.
        let room = until.saturating_sub(from).as_nanos().saturating_sub(1);
        let few = interval
            .as_constant()
            .is_none_or(|nanos| nanos > 0 && room / u128::from(nanos) <= ITEMS_MAX as u128);
        if !few {
            self.error(
                &every.place,
                format!("the item would fire more than {ITEMS_MAX} times"),
            );
        }
        if from >= until || until > duration {
            let place = get(node, "until").or(get(node, "from")).unwrap_or(every);
            self.error(
                &place.place,
                "`from` must be before `until`, and `until` must be at most `duration`",
            );
        }
        let interval = Draw {
            from: interval,
            draw_id: self.stream(format!("chaos.{name}.every")),
        };
        Some(FireTimes::Every {
            interval,
            from,
            until,
        })
    }

    /// The spans of the run that items name, including items whose action is not supported yet.
    pub(super) fn spans(
        &mut self,
        list: &Node,
        items: &[ChaosItem],
        duration: Duration,
    ) -> Vec<ChaosSpan> {
        let mut spans = Vec::new();
        for (index, node) in list.as_list().unwrap_or_default().iter().enumerate() {
            let written = get(node, "name").and_then(Node::as_str).map(str::to_owned);
            let name = written.unwrap_or_else(|| format!("chaos.{index}"));
            if get(node, "do").and_then(Node::as_str) == Some("nothing") {
                continue;
            }
            let item = items.iter().find(|item| item.name == name);
            let (start_ns, end_ns) = item.map_or((None, None), |item| known_span(item, duration));
            let action = get(node, "do").and_then(Node::as_str).unwrap_or_default();
            spans.push(ChaosSpan {
                is_instant: is_instant(action) && get(node, "every").is_none(),
                applies: action == "apply",
                name,
                start_ns,
                end_ns,
            });
        }
        spans
    }
}

/// Returns true if an action is instantaneous, even if it is not supported yet.
fn is_instant(action: &str) -> bool {
    let supported = ACTIONS.iter().find(|known| known.name() == action);
    supported.is_some_and(|action| action.is_instant()) || INSTANT_UNSUPPORTED.contains(&action)
}

/// The first start and the last end of an item. `None` for a time that is drawn.
fn known_span(item: &ChaosItem, duration: Duration) -> (Option<i64>, Option<i64>) {
    let narrow = |nanos: u64| i64::try_from(nanos).ok();
    let end = i64::try_from(duration.as_nanos()).ok();
    match &item.when {
        FireTimes::At(at) => {
            let start = at.from.as_constant().and_then(narrow);
            let over = match &item.length {
                None => end,
                Some(length) => start
                    .zip(length.from.as_constant().and_then(narrow))
                    .and_then(|(start, length)| start.checked_add(length))
                    .map(|over| over.min(end.unwrap_or(i64::MAX))),
            };
            (start, over)
        }
        FireTimes::Every { interval, from, .. } => {
            let from = i64::try_from(from.as_nanos()).ok();
            let first = from
                .zip(interval.from.as_constant().and_then(narrow))
                .and_then(|(a, b)| a.checked_add(b));
            (first, if item.length.is_none() { end } else { None })
        }
    }
}
