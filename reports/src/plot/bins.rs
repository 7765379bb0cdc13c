//! Joins the seconds of a load into as many bins as a chart has room for.

use shakedown_results::{Load, Second};

const SECOND_NS: i64 = 1_000_000_000;
/// Maximum number of bins. More points are too close to distinguish, and too long for a table.
const BINS_MAX: u64 = 320;

/// An interval of one or more whole seconds of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bin {
    pub(crate) from_ns: i64,
    pub(crate) offered: u64,
    pub(crate) admitted: u64,
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    /// The highest median of its seconds, since percentiles are never averaged; `None` if no request ended.
    pub(crate) p50_ns: Option<i64>,
    /// The highest 99th percentile of its seconds.
    pub(crate) p99_ns: Option<i64>,
}

/// The bins of a load, all of the same length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bins {
    pub(crate) seconds_each: u64,
    pub(crate) bins: Vec<Bin>,
}

impl Bins {
    /// Creates the bins of a load, up to its last row or to the end of load and chaos.
    pub(crate) fn new(load: &Load, duration_ns: i64) -> Bins {
        let ends = load
            .seconds
            .last()
            .map(|row| row.from_s + load.seconds_each);
        let seconds = (duration_ns.max(0).unsigned_abs())
            .div_ceil(SECOND_NS.unsigned_abs())
            .max(ends.unwrap_or(0));
        let round = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600];
        let mut each = round
            .into_iter()
            .find(|each| seconds.div_ceil(*each) <= BINS_MAX)
            .unwrap_or_else(|| seconds.div_ceil(BINS_MAX));
        // Rows are never split between bins.
        each = each.next_multiple_of(load.seconds_each.max(1));
        let bins = (0..seconds.div_ceil(each)).map(|at| Bin {
            from_ns: i64::try_from(at * each).expect("the seconds of a run fit in 63 bits")
                * SECOND_NS,
            ..Bin::default()
        });
        let mut bins: Vec<Bin> = bins.collect();
        for row in &load.seconds {
            let at = usize::try_from(row.from_s / each).expect("rows are within the bins");
            bins[at] = join(bins[at], row);
        }
        Bins {
            bins,
            seconds_each: each,
        }
    }

    /// Returns the highest rate of any series, per second.
    pub(crate) fn top(&self) -> u64 {
        let highest = |bin: &Bin| bin.offered.max(bin.admitted).max(bin.ok).max(bin.failed);
        let most = self.bins.iter().map(highest).max().unwrap_or(0);
        most.div_ceil(self.seconds_each)
    }

    /// Returns true if the number of admitted requests is known.
    pub(crate) fn admitted(&self) -> bool {
        self.bins.iter().any(|bin| bin.admitted > 0)
    }

    /// Length of a bin, ns.
    pub(crate) fn each_ns(&self) -> i64 {
        i64::try_from(self.seconds_each).expect("the seconds of a run fit in 63 bits") * SECOND_NS
    }
}

fn join(bin: Bin, second: &Second) -> Bin {
    let ended = second.ok + second.failed > 0 && (second.p50_ns > 0 || second.p99_ns > 0);
    let highest = |so_far: Option<i64>, ns: i64| if ended { so_far.max(Some(ns)) } else { so_far };
    Bin {
        from_ns: bin.from_ns,
        offered: bin.offered + second.offered,
        admitted: bin.admitted + second.admitted,
        ok: bin.ok + second.ok,
        failed: bin.failed + second.failed,
        p50_ns: highest(bin.p50_ns, second.p50_ns),
        p99_ns: highest(bin.p99_ns, second.p99_ns),
    }
}
