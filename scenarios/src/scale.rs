//! `scale`: divides the timeline of a scenario by a factor. Rates, thresholds, service times, latencies, timeouts, mesh
//! documents and `drain` do not change, so that fewer requests reach the same system.
//!
//! The edit is applied to the tree, so that the scaled scenario is printed, recorded and replayed.

use shakedown_yaml::tree::Value;
use shakedown_yaml::{Diagnostics, Node};

use crate::value::{Decimal, Ratio, format_ns, parse_duration};

/// The top-level key of the factor.
pub(crate) const KEY: &str = "scale";
const TOP: [&str; 2] = ["duration", "warm-up"];
const LOAD: [&str; 2] = ["start", "stop"];
const CHAOS: [&str; 5] = ["at", "every", "from", "until", "for"];
/// Words of a check that are followed by a time of the run.
const WINDOWS: [&str; 3] = ["during", "after", "before"];

/// Removes the key `scale` from a file's tree and divides the timeline by its value.
pub(crate) fn apply(file: &mut Node, errors: &mut Diagnostics) {
    let entry = file.as_map_mut().and_then(|map| map.shift_remove(KEY));
    let Some(entry) = entry.filter(|entry| !entry.node.is_null()) else {
        return;
    };
    let Some(factor) = entry.node.as_str().and_then(factor) else {
        let message = format!(
            "expected a number above 0, such as `5`, found {}",
            entry.node.describe()
        );
        errors.add(&entry.node.place, message);
        return;
    };
    let mut scale = DurationScale { factor, errors };
    scale.keys(file, &TOP);
    for load in children(child(file, "load")) {
        scale.keys(load, &LOAD);
        for stage in children(child(load, "stages")) {
            scale.keys(stage, &["for"]);
        }
    }
    for item in children(child(file, "chaos")) {
        scale.keys(item, &CHAOS);
    }
    for check in children(child(file, "expect")) {
        match &check.value {
            Value::Map(_) => children(Some(check))
                .into_iter()
                .for_each(|named| scale.check(named)),
            _ => scale.check(check),
        }
    }
}

/// The factor, as text, that scales a run of length `from` to length `to`.
pub(crate) fn between(from: std::time::Duration, to: std::time::Duration) -> Option<String> {
    let nanos = |time: std::time::Duration| i128::try_from(time.as_nanos()).ok();
    let factor = Ratio::new(nanos(from)?, nanos(to)?)?;
    Some(factor.decimal(2))
}

fn factor(text: &str) -> Option<Ratio> {
    let millionths = Decimal::parse(text)?.times(1_000_000)?;
    Ratio::new(i128::from(millionths), 1_000_000).filter(|factor| *factor > Ratio::ZERO)
}

struct DurationScale<'e> {
    factor: Ratio,
    errors: &'e mut Diagnostics,
}

impl DurationScale<'_> {
    /// Divides the values of the given keys of a map.
    fn keys(&mut self, map: &mut Node, keys: &[&str]) {
        for key in keys {
            let Some(node) = child(map, key) else {
                continue;
            };
            if node.as_str().is_some_and(|text| text.contains("file ")) {
                let message =
                    "not supported yet: `scale` of a distribution that is read from a file";
                self.errors.add(&node.place, message);
            }
            self.rewrite(node, |_| true);
        }
    }

    /// Divides the windows and slices of a check, but not its thresholds.
    fn check(&mut self, check: &mut Node) {
        let mut of_run = OfRun::default();
        self.rewrite(check, |token| of_run.token(token));
    }

    /// Divides the durations for which `is_of_run` returns true. `is_of_run` is called for every token.
    fn rewrite(&mut self, node: &mut Node, mut is_of_run: impl FnMut(ValueToken<'_>) -> bool) {
        let Value::Scalar { text, .. } = &mut node.value else {
            return;
        };
        let mut out = String::with_capacity(text.len());
        for (token, written) in tokens(text) {
            let picked = is_of_run(token);
            match token {
                ValueToken::Duration(nanos) if picked => out.push_str(&self.divided(nanos)),
                _ => out.push_str(written),
            }
        }
        *text = out;
    }

    fn divided(&self, nanos: i128) -> String {
        let exact = Ratio::whole(nanos).checked_div(self.factor);
        let nanos = exact.map_or(nanos, Ratio::rounded);
        // At least 1 ns, so that a span never becomes empty.
        format_ns(Ratio::whole(nanos.max(1)))
    }
}

/// A token of a value's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueToken<'a> {
    /// A duration above zero, ns.
    Duration(i128),
    Word(&'a str),
    Other(char),
}

/// Splits a text into tokens, each with its source text.
fn tokens(text: &str) -> impl Iterator<Item = (ValueToken<'_>, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if first.is_ascii_alphanumeric() || first == '_' {
            word_end(rest)
        } else {
            first.len_utf8()
        };
        let (written, after) = rest.split_at(end);
        rest = after;
        let duration = parse_duration(written).ok().map(|time| time.as_nanos());
        let token = match duration.and_then(|nanos| i128::try_from(nanos).ok()) {
            Some(nanos) if nanos > 0 => ValueToken::Duration(nanos),
            _ if end > first.len_utf8() || first.is_ascii_alphanumeric() => {
                ValueToken::Word(written)
            }
            _ => ValueToken::Other(first),
        };
        Some((token, written))
    })
}

/// The end of a word. Names may contain hyphens and slashes and numbers one dot. `..` separates two times.
fn word_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0;
    while let Some(byte) = bytes.get(end) {
        let dot = *byte == b'.' && bytes.get(end + 1) != Some(&b'.') && bytes[end - 1] != b'.';
        let is_name = !bytes[0].is_ascii_digit() && matches!(byte, b'-' | b'/' | b'_');
        if !byte.is_ascii_alphanumeric() && !dot && !is_name && *byte != b'_' {
            break;
        }
        end += 1;
    }
    end
}

/// Finds the durations of a check that are times of the run: those after `during`, `after`, `before` or `within`, up to
/// the closing bracket around them, and the one after `per`.
#[derive(Debug, Default)]
struct OfRun {
    in_window: bool,
    after_per: bool,
    /// True directly after `within`, which may also be followed by a share.
    after_within: bool,
}

impl OfRun {
    fn token(&mut self, token: ValueToken<'_>) -> bool {
        match token {
            ValueToken::Other(c) if c.is_whitespace() => false,
            ValueToken::Duration(_) => {
                let per = std::mem::take(&mut self.after_per);
                self.in_window |= std::mem::take(&mut self.after_within);
                per || self.in_window
            }
            ValueToken::Word(word) => {
                self.in_window |= WINDOWS.contains(&word);
                self.after_within = word == "within";
                self.after_per = word == "per";
                false
            }
            ValueToken::Other(c) => {
                if c == ')' {
                    self.in_window = false;
                }
                (self.after_within, self.after_per) = (false, false);
                false
            }
        }
    }
}

fn child<'n>(map: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    map.as_map_mut()?.get_mut(key).map(|entry| &mut entry.node)
}

fn children(node: Option<&mut Node>) -> Vec<&mut Node> {
    match node.map(|node| &mut node.value) {
        Some(Value::List(items)) => items.iter_mut().collect(),
        Some(Value::Map(map)) => map.values_mut().map(|entry| &mut entry.node).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use shakedown_yaml::tree;

    use super::*;

    fn scaled(text: &str) -> String {
        let mut node = tree::parse("f.yaml", text).unwrap().remove(0);
        let mut errors = Diagnostics::new();
        apply(&mut node, &mut errors);
        assert!(errors.is_empty(), "{errors}");
        node.to_yaml_string()
    }

    fn check(text: &str) -> String {
        let mut node = Node::string(text, shakedown_yaml::Location::whole("f"));
        let (factor, mut errors) = (Ratio::whole(5), Diagnostics::new());
        let mut scale = DurationScale {
            factor,
            errors: &mut errors,
        };
        scale.check(&mut node);
        node.as_str().unwrap().to_owned()
    }

    #[test]
    fn instants_and_durations_of_the_run_are_divided_and_nothing_else() {
        let file = |scale: &str, d: &str, w: &str, l: &str, c: &str, every: &str| {
            format!(
                "{scale}duration: {d}\nwarm-up: {w}\ndrain: 30s\n\
                 topology: {{services: {{a: {{endpoints: {{GET /: [work: exp(4ms)]}}}}}}}}\n\
                 load: {{u: {{start: {l}, timeout: 10s, stages: [{{for: {c}, rate: 10/s}}]}}}}\n\
                 chaos:\n- {{at: {c}, for: {w}, do: slow, add: 10ms}}\n- {{every: {every}, from: {w}, do: crash}}\n"
            )
        };
        let before = file("scale: 5\n", "10m", "50s", "5s", "1m30s", "exp(20s)");
        let after = file("", "2m", "10s", "1s", "18s", "exp(4s)");
        assert_eq!(scaled(&before), scaled(&after));
    }

    #[test]
    fn windows_and_slices_of_checks_are_divided_and_thresholds_stay() {
        for (before, after) in [
            ("p99(users) < 250ms", "p99(users) < 250ms"),
            (
                "p99(users during 10s..20s) < 250ms + 5ms",
                "p99(users during 2s..4s) < 250ms + 5ms",
            ),
            (
                "always p99(users) < 50ms per 5s during sick + 10s..end - 5s",
                "always p99(users) < 50ms per 1s during sick + 2s..end - 1s",
            ),
            (
                "recovers success(users) > 99% per 1s within 1m of sick.end",
                "recovers success(users) > 99% per 200ms within 12s of sick.end",
            ),
            (
                "mean(api/v1/0 after 10s) ~= 4ms within 5% over seeds",
                "mean(api/v1/0 after 2s) ~= 4ms within 5% over seeds",
            ),
            (
                "share(users where latency > 1s before 0s) == 0%",
                "share(users where latency > 1s before 0s) == 0%",
            ),
        ] {
            assert_eq!(check(before), after);
        }
    }

    #[test]
    fn a_factor_is_a_number_above_zero() {
        for text in ["scale: 0\nduration: 1m\n", "scale: 5s\nduration: 1m\n"] {
            let mut node = tree::parse("f.yaml", text).unwrap().remove(0);
            let mut errors = Diagnostics::new();
            apply(&mut node, &mut errors);
            let error = errors.to_string();
            assert!(
                error.starts_with("f.yaml:1:8: expected a number above 0"),
                "{error}"
            );
        }
    }
}
