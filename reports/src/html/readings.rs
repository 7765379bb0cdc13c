//! What the cursor over all charts reads: the figures behind them, as JSON in a script block that is data, not code.

use maud::{Markup, PreEscaped, html};
use serde_json::{Value, json};
use shakedown_results::series::bucket_from_ns;

use crate::plot::Span;

/// Collects figures while a page is built; each gets a number, by which the page's marks name it.
#[derive(Debug, Default)]
pub(super) struct Readings {
    end_ns: i64,
    readings: Vec<Value>,
    heats: Vec<Value>,
}

/// What a number counts, and so how it is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// So many in each bin: a rate.
    PerSecond,
    /// Things.
    Count,
    /// Nanoseconds.
    Duration,
    /// Parts per million.
    Share,
    /// As it is.
    Text,
}

impl Unit {
    fn word(self) -> &'static str {
        match self {
            Unit::PerSecond => "rate",
            Unit::Count => "n",
            Unit::Duration => "ns",
            Unit::Share => "ppm",
            Unit::Text => "text",
        }
    }
}

impl Readings {
    /// None yet, of a time axis that ends then.
    pub(super) fn new(end_ns: i64) -> Readings {
        Readings {
            end_ns,
            ..Readings::default()
        }
    }

    /// A number a bin; `None` where there is none.
    pub(super) fn bins<N: Into<Option<i64>>>(
        &mut self,
        bin_ns: i64,
        values: impl Iterator<Item = N>,
        unit: Unit,
    ) -> usize {
        let values: Vec<Option<i64>> = values.map(Into::into).collect();
        self.push(json!({"k": "bins", "w": bin_ns, "v": values, "u": unit.word()}))
    }

    /// What holds from an instant until the next.
    pub(super) fn steps<V: Into<Value>>(
        &mut self,
        steps: impl Iterator<Item = (i64, V)>,
        unit: Unit,
    ) -> usize {
        let (at, values): (Vec<i64>, Vec<Value>) =
            steps.map(|(at, value)| (at, value.into())).unzip();
        self.push(json!({"k": "steps", "t": at, "v": values, "u": unit.word()}))
    }

    /// Names, each with the stretches of time in which it is said.
    pub(super) fn spans<'a>(
        &mut self,
        named: impl Iterator<Item = (&'a str, &'a [Span])>,
    ) -> usize {
        let rows: Vec<Value> = named
            .map(|(name, spans)| {
                let spans: Vec<[i64; 2]> = spans.iter().map(|s| [s.from_ns, s.to_ns]).collect();
                json!([name, spans])
            })
            .collect();
        self.push(json!({"k": "spans", "v": rows}))
    }

    /// A heatmap on an axis from one latency to another; its number among the heatmaps, and as a reading.
    pub(super) fn heat(
        &mut self,
        bin_ns: i64,
        bins: &[Vec<u64>],
        (low_ns, high_ns): (i64, i64),
    ) -> (usize, usize) {
        // The buckets' lower ends, so that the page need not know how they are cut.
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

    /// The block. No text in it can end it, nor look like a tag: angle brackets are written as escapes.
    pub(super) fn block(self) -> Markup {
        let all = json!({"end": self.end_ns, "readings": self.readings, "heats": self.heats});
        let text = all.to_string();
        let text = text.replace('<', "\\u003c").replace('>', "\\u003e");
        html! { script #figures type="application/json" { (PreEscaped(text)) } }
    }
}

/// Where the cursor's reading of a figure is shown.
pub(super) fn shown(reading: usize) -> Markup {
    html! { b.v data-r=(reading) {} }
}

/// The handle of the cursor: by pointer anywhere on a chart, by keyboard here. Only a page with scripts has it.
pub(super) fn handle() -> Markup {
    html! {
        div.handle hidden {
            p { label for="cursor" { "At " } output #at for="cursor" { "0 s" }
                span.hint { "move over a chart, or use the arrow keys" } }
            input #cursor type="range" min="0" max="1000" value="0" step="1";
        }
    }
}
