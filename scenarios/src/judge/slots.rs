//! A window divided into slices, each with an accumulator.

use std::collections::BTreeMap;

use shakedown_results::Histogram;

use super::span::TimeSpan;
use crate::check::Statistic;
use crate::value::Ratio;

/// The part of a run in which a leaf counts.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    span: TimeSpan,
    /// The length of a slice; the length of the window if it is not divided.
    slice_ns: i64,
    count: usize,
    /// True if the window ends with the load. The last slice then includes requests that start later.
    takes_drain: bool,
    kind: CellKind,
    cells: BTreeMap<usize, Cell>,
}

/// The storage of a cell's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellKind {
    /// Count, sum, minimum and maximum.
    Plain,
    /// All values, for percentiles.
    Values,
}

/// The accumulator of one slice.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    /// The total number of requests.
    pub(super) all: u64,
    /// The number of requests that count.
    pub(super) hits: u64,
    /// The number of recorded values.
    pub(super) values: u64,
    /// The exact sum of the values.
    pub(super) sum: i128,
    /// The minimum and maximum.
    pub(super) range: Option<(i64, i64)>,
    /// The integral of a gauge's value over time.
    pub(super) integral: i128,
    spread: CellSpread,
}

#[derive(Clone, Debug, Default)]
enum CellSpread {
    #[default]
    None,
    /// For a single slice: the histogram that reports use.
    Dense(Box<Histogram>),
    /// For many slices: only the used buckets, with the same bounds.
    Sparse(BTreeMap<i64, u64>),
}

impl Slots {
    /// A single slice as long as the window, or consecutive slices of `per_ns`. A partial last slice is omitted.
    pub(super) fn new(
        span: TimeSpan,
        per_ns: Option<i64>,
        duration_ns: i64,
        kind: CellKind,
    ) -> Slots {
        let length = span.to_ns - span.from_ns;
        let slice_ns = per_ns.unwrap_or(length).max(1);
        let count = usize::try_from(length / slice_ns).unwrap_or(0);
        let end = span.from_ns + slice_ns * i64::try_from(count).unwrap_or(0);
        Slots {
            span,
            slice_ns,
            count,
            takes_drain: end == duration_ns,
            kind,
            cells: BTreeMap::new(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn slice_ns(&self) -> i64 {
        self.slice_ns
    }

    pub(super) fn bounds(&self, slice: usize) -> TimeSpan {
        let from_ns = self.span.from_ns + self.slice_ns * i64::try_from(slice).unwrap_or(i64::MAX);
        TimeSpan {
            from_ns,
            to_ns: from_ns + self.slice_ns,
        }
    }

    /// The accumulator of a request, by the start of its clock.
    pub(super) fn by_start(&mut self, start_ns: i64) -> Option<&mut Cell> {
        let slice = match self.index(start_ns) {
            None if self.takes_drain && start_ns >= self.span.to_ns => self.count.checked_sub(1)?,
            index => index?,
        };
        Some(self.cell(slice))
    }

    /// The accumulator of an instant. Times after the window, including the drain, have none.
    pub(super) fn by_time(&mut self, at_ns: i64) -> Option<&mut Cell> {
        let slice = self.index(at_ns)?;
        Some(self.cell(slice))
    }

    fn index(&self, at_ns: i64) -> Option<usize> {
        let offset = at_ns
            .checked_sub(self.span.from_ns)
            .filter(|offset| *offset >= 0)?;
        usize::try_from(offset / self.slice_ns)
            .ok()
            .filter(|index| *index < self.count)
    }

    fn cell(&mut self, slice: usize) -> &mut Cell {
        let spread = || match (self.kind, self.count) {
            (CellKind::Plain, _) => CellSpread::None,
            (CellKind::Values, 1) => CellSpread::Dense(Box::default()),
            (CellKind::Values, _) => CellSpread::Sparse(BTreeMap::new()),
        };
        self.cells.entry(slice).or_insert_with(|| Cell {
            spread: spread(),
            ..Cell::default()
        })
    }

    pub(super) fn read(&self, slice: usize) -> Option<&Cell> {
        self.cells.get(&slice)
    }

    /// Adds a gauge's value over a period to every slice that the period overlaps.
    pub(super) fn hold(&mut self, from_ns: i64, to_ns: i64, value: i64) {
        let end = self.bounds(self.count).from_ns;
        let mut at = from_ns.max(self.span.from_ns);
        let to = to_ns.min(end);
        while at < to {
            let Some(slice) = self.index(at) else { return };
            let until = self.bounds(slice).to_ns.min(to);
            let cell = self.cell(slice);
            cell.integral += i128::from(value) * i128::from(until - at);
            cell.widen(value);
            at = until;
        }
    }

    /// Spreads an amount evenly over a period and adds each slice's part.
    pub(super) fn spread(&mut self, from_ns: i64, to_ns: i64, amount: i64) {
        if from_ns >= to_ns {
            if let Some(cell) = self.by_time(to_ns) {
                cell.integral += i128::from(amount);
            }
            return;
        }
        let (length, end) = (i128::from(to_ns - from_ns), self.bounds(self.count).from_ns);
        let mut at = from_ns.max(self.span.from_ns);
        let to = to_ns.min(end);
        // Parts are differences of rounded running sums, so that they add up to the whole.
        let share = |until: i64| i128::from(amount) * i128::from(until - from_ns) / length;
        while at < to {
            let Some(slice) = self.index(at) else { return };
            let until = self.bounds(slice).to_ns.min(to);
            let part = share(until) - share(at);
            self.cell(slice).integral += part;
            at = until;
        }
    }
}

impl Cell {
    /// Records a value in ns.
    pub(super) fn value(&mut self, value_ns: i64) {
        let value_ns = value_ns.max(0);
        self.values += 1;
        self.sum += i128::from(value_ns);
        self.widen(value_ns);
        match &mut self.spread {
            CellSpread::None => {}
            CellSpread::Dense(histogram) => histogram.record(value_ns),
            CellSpread::Sparse(buckets) => *buckets.entry(bucket(value_ns)).or_default() += 1,
        }
    }

    /// A statistic of all values.
    pub(super) fn statistic(&self, statistic: Statistic) -> Option<Ratio> {
        let whole = |value: i64| Ratio::whole(i128::from(value));
        match statistic {
            Statistic::Mean => Ratio::new(self.sum, i128::from(self.values)),
            Statistic::Min => self.range.map(|(min, _)| whole(min)),
            Statistic::Max => self.range.map(|(_, max)| whole(max)),
            Statistic::Percentile(ppm) => self.percentile(ppm).map(whole),
        }
    }

    /// The percentile of all values, in parts per million.
    pub(super) fn percentile(&self, ppm: u32) -> Option<i64> {
        match &self.spread {
            CellSpread::None => None,
            CellSpread::Dense(histogram) => histogram.percentile_ns(ppm),
            CellSpread::Sparse(buckets) => {
                let (min, max) = self.range?;
                let rank = (u128::from(self.values) * u128::from(ppm))
                    .div_ceil(1_000_000)
                    .max(1);
                let mut seen = 0u128;
                for (top, count) in buckets {
                    seen += u128::from(*count);
                    if seen >= rank {
                        return Some((*top).clamp(min, max));
                    }
                }
                Some(max)
            }
        }
    }

    fn widen(&mut self, value: i64) {
        self.range = Some(match self.range {
            None => (value, value),
            Some((min, max)) => (min.min(value), max.max(value)),
        });
    }
}

/// The highest value in the same bucket of an HDR histogram with three significant digits.
fn bucket(value_ns: i64) -> i64 {
    /// Three digits need 2,048 sub-buckets: `2 * 10^3` rounded up to a power of two.
    const SUB_BUCKETS_LOG2: u32 = 11;
    let bits = 64 - value_ns.unsigned_abs().leading_zeros();
    let shift = bits.saturating_sub(SUB_BUCKETS_LOG2);
    value_ns | ((1i64 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CellKind, Slots, TimeSpan};

    fn slots(per_ns: Option<i64>, kind: CellKind) -> Slots {
        Slots::new(
            TimeSpan {
                from_ns: 100,
                to_ns: 1_100,
            },
            per_ns,
            1_100,
            kind,
        )
    }

    proptest! {
        #[test]
        fn a_sparse_cell_has_the_percentiles_of_a_histogram(
            values in prop::collection::vec(0i64..50_000_000_000, 1..200),
            ppm in 0u32..=1_000_000,
        ) {
            let (mut dense, mut sparse) = (slots(None, CellKind::Values), slots(Some(500), CellKind::Values));
            for value in values {
                dense.by_start(100).unwrap().value(value);
                sparse.by_start(100).unwrap().value(value);
            }
            prop_assert_eq!(dense.read(0).unwrap().percentile(ppm), sparse.read(0).unwrap().percentile(ppm));
        }
    }

    #[test]
    fn a_gauge_is_weighted_by_time_within_each_slice() {
        let mut slots = slots(Some(500), CellKind::Plain);
        slots.hold(0, 300, 2);
        slots.hold(300, 700, 4);
        slots.hold(700, 9_000, 1);
        let first = slots.read(0).unwrap();
        assert_eq!(
            (first.integral, first.range),
            (2 * 200 + 4 * 300, Some((2, 4)))
        );
        let second = slots.read(1).unwrap();
        assert_eq!(
            (second.integral, second.range),
            (4 * 100 + 400, Some((1, 4)))
        );
        assert!(slots.read(2).is_none());
    }

    #[test]
    fn work_that_is_spread_adds_up_to_the_whole() {
        let mut slots = slots(Some(300), CellKind::Plain);
        slots.spread(100, 1_000, 100);
        let sum: i128 = (0..3)
            .map(|slice| slots.read(slice).unwrap().integral)
            .sum();
        assert_eq!(sum, 100);
    }

    #[test]
    fn a_window_ending_with_the_load_includes_the_drain_only_by_start() {
        let mut slots = slots(None, CellKind::Plain);
        assert!(slots.by_start(1_500).is_some());
        assert!(slots.by_time(1_500).is_none());
        assert!(slots.by_start(99).is_none());
        let mut partial = Slots::new(
            TimeSpan {
                from_ns: 100,
                to_ns: 1_100,
            },
            Some(300),
            1_100,
            CellKind::Plain,
        );
        assert!(
            partial.by_start(1_050).is_none(),
            "a last partial slice is left out"
        );
        assert!(
            partial.by_start(1_500).is_none(),
            "and the drain behind it with it"
        );
    }

    #[test]
    fn work_that_took_no_time_counts_where_it_was_told() {
        let mut slots = slots(Some(500), CellKind::Plain);
        slots.spread(700, 700, 42);
        assert_eq!(slots.read(1).map(|cell| cell.integral), Some(42));
    }
}
