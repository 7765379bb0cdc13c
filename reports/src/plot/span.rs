//! Spans of time, and their conversion to pixels.

/// A span of time, such as the duration of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneSpan {
    pub(crate) from_ns: i64,
    pub(crate) to_ns: i64,
}

/// Converts spans to pixels, each at least `least` wide. Spans that overlap or almost touch are joined, because ten
/// thousand faults must not need more rectangles than the chart has pixels.
pub(crate) fn joined(spans: &[LaneSpan], x: impl Fn(i64) -> f64, least: f64) -> Vec<(f64, f64)> {
    let mut spans = spans.to_vec();
    spans.sort_by_key(|span| (span.from_ns, span.to_ns));
    let mut joined: Vec<(f64, f64)> = Vec::new();
    for span in spans {
        let (from, to) = (x(span.from_ns), x(span.to_ns).max(x(span.from_ns) + least));
        match joined.last_mut() {
            Some(last) if from <= last.1 + 0.5 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}
