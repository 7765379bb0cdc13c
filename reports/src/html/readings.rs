//! The values shown at the cursor of all charts, as JSON in a script block that is data, not code.

use maud::{Markup, PreEscaped, html};
use serde_json::{Value, json};
use shakedown_results::series::bucket_from_ns;

use crate::plot::LaneSpan;

/// Collects values while a page is built. Each gets an index, which the page's elements refer to.
#[derive(Debug, Default)]
pub(super) struct Readings {
    end_ns: i64,
    readings: Vec<Value>,
    heats: Vec<Value>,
}

/// The unit of a value, which determines its format.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReadingUnit {
    /// Counts per bin, shown as a rate.
    PerSecond,
    Count,
    Duration,
    Share,
    /// Shown unchanged.
    Text,
}

impl ReadingUnit {
    fn word(self) -> &'static str {
        match self {
            ReadingUnit::PerSecond => "rate",
            ReadingUnit::Count => "n",
            ReadingUnit::Duration => "ns",
            ReadingUnit::Share => "ppm",
            ReadingUnit::Text => "text",
        }
    }
}

impl Readings {
    /// Creates an empty collection for a time axis that ends at `end_ns`.
    pub(super) fn new(end_ns: i64) -> Readings {
        Readings {
            end_ns,
            ..Readings::default()
        }
    }

    /// Adds one number per bin; `None` for a bin without a value.
    pub(super) fn bins<N: Into<Option<i64>>>(
        &mut self,
        bin_ns: i64,
        values: impl Iterator<Item = N>,
        unit: ReadingUnit,
    ) -> usize {
        let values: Vec<Option<i64>> = values.map(Into::into).collect();
        self.push(json!({"k": "bins", "w": bin_ns, "v": values, "u": unit.word()}))
    }

    /// Adds values that are valid from an instant until the next one.
    pub(super) fn steps<V: Into<Value>>(
        &mut self,
        steps: impl Iterator<Item = (i64, V)>,
        unit: ReadingUnit,
    ) -> usize {
        let (at, values): (Vec<i64>, Vec<Value>) =
            steps.map(|(at, value)| (at, value.into())).unzip();
        self.push(json!({"k": "steps", "t": at, "v": values, "u": unit.word()}))
    }

    /// Adds names, each with the intervals during which it is shown.
    pub(super) fn spans<'a>(
        &mut self,
        named: impl Iterator<Item = (&'a str, &'a [LaneSpan])>,
    ) -> usize {
        let rows: Vec<Value> = named
            .map(|(name, spans)| {
                let spans: Vec<[i64; 2]> = spans.iter().map(|s| [s.from_ns, s.to_ns]).collect();
                json!([name, spans])
            })
            .collect();
        self.push(json!({"k": "spans", "v": rows}))
    }

    /// Adds a heatmap on an axis between two latencies. Returns its index among the heatmaps, and its index
    /// as a reading.
    pub(super) fn heat(
        &mut self,
        bin_ns: i64,
        bins: &[Vec<u64>],
        (low_ns, high_ns): (i64, i64),
    ) -> (usize, usize) {
        // Contains the lower bounds of the buckets, so that the script does not need to know their
        // definition.
        let last = bins
            .iter()
            .filter_map(|bin| Some(usize::try_from(*bin.first()?).ok()? + bin.len()))
            .max();
        let ends: Vec<i64> = (0..=last.unwrap_or(0)).map(bucket_from_ns).collect();
        let heat = json!({"w": bin_ns, "lo": low_ns, "hi": high_ns, "from": ends, "bins": bins});
        self.heats.push(heat);
        let heat = self.heats.len() - 1;
        (heat, self.push(json!({"k": "heat", "h": heat})))
    }

    fn push(&mut self, reading: Value) -> usize {
        self.readings.push(reading);
        self.readings.len() - 1
    }

    /// Renders the block. Angle brackets are escaped, so that no text in it can end the block or look like a
    /// tag.
    pub(super) fn block(self) -> Markup {
        let all = json!({"end": self.end_ns, "readings": self.readings, "heats": self.heats});
        let text = all.to_string();
        let text = text.replace('<', "\\u003c").replace('>', "\\u003e");
        html! { script #figures type="application/json" { (PreEscaped(text)) } }
    }
}

/// The element that shows a value at the cursor.
pub(super) fn shown(reading: usize) -> Markup {
    html! { b.v data-r=(reading) {} }
}

/// The handle of the cursor: by pointer on any chart, by keyboard here. Hidden without scripts.
pub(super) fn handle() -> Markup {
    html! {
        div.handle hidden {
            p { label for="cursor" { "At " } output #at for="cursor" { "0 s" }
                span.hint { "move over a chart, or use the arrow keys" } }
            input #cursor type="range" min="0" max="1000" value="0" step="1";
        }
    }
}
