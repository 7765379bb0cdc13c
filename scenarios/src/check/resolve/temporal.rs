//! Checks that temporal words, slices and kinds of values fit together.

use super::resolver::Resolver;
use crate::check::Temporal;
use crate::check::figures::{self, MetricMeaning};
use crate::check::syntax::{Expr, ExprKind, WindowKind, WrittenCheck, WrittenWindow};

/// The maximum number of slices of a check. Each slice has its own figures.
const SLICES_MAX: i64 = 20_000;

impl Resolver<'_> {
    /// Checks that temporal word, `per`, `within` and kind of value fit together.
    pub(super) fn temporal(&mut self, written: &WrittenCheck) {
        let within = written.window.as_ref().filter(|window| {
            matches!(
                window.kind,
                WindowKind::Within(_) | WindowKind::WithinOf(..) | WindowKind::WithinAfter(..)
            )
        });
        let word = written.temporal.map(|(temporal, _)| temporal);
        if let (Some((Temporal::Recovers, at)), None) = (written.temporal, within) {
            self.error(at, "`recovers` needs a deadline: `within 30s after ITEM`");
        }
        let temporal = word.is_some() || within.is_some();
        let (mut instants, mut windows) = (Vec::new(), Vec::new());
        for side in [&written.left, &written.right] {
            sort(side, &mut instants, &mut windows);
        }
        if let (Some(gauge), Some(window)) = (instants.first(), windows.first()) {
            let mut message = format!(
                "`{}` is a value at an instant, `{}` one over a window: ",
                self.slice(gauge),
                self.slice(window)
            );
            message.push_str(&if is_state(gauge) {
                "they cannot be compared".to_owned()
            } else {
                format!("reduce the first (`{}`)", self.reduced(gauge))
            });
            self.error(gauge.at, message);
            return;
        }
        match instants.first() {
            Some(gauge) => self.of_instants(gauge, temporal, written),
            None => self.of_windows(windows.first().copied(), within, written),
        }
    }

    /// Checks values at an instant, which require a temporal word and accept no slices.
    fn of_instants(&mut self, gauge: &Expr, temporal: bool, written: &WrittenCheck) {
        if !temporal {
            let gauge_text = self.slice(gauge);
            let mut message = format!(
                "`{gauge_text}` is a value at an instant: use `always`, `never`, `eventually`"
            );
            message.push_str(&if is_state(gauge) {
                " or `within`".to_owned()
            } else {
                format!(", `within`, or `{}`", self.reduced(gauge))
            });
            self.error(gauge.at, message);
        } else if let Some((_, at)) = written.per {
            let message = format!(
                "`{}` is a value at an instant and does not take `per`",
                self.slice(gauge)
            );
            self.error(at, message);
        }
    }

    /// Checks values over windows, which require slices with a temporal word and accept none without.
    fn of_windows(
        &mut self,
        first: Option<&Expr>,
        within: Option<&WrittenWindow>,
        written: &WrittenCheck,
    ) {
        let temporal = written.temporal.is_some() || within.is_some();
        match (temporal, written.per) {
            (true, None) => {
                let (at, word) = match (written.temporal, within) {
                    (Some((temporal, at)), _) => (at, temporal_word(temporal)),
                    (None, Some(within)) => (within.at, "within"),
                    (None, None) => return,
                };
                let of = first.map_or_else(|| self.text, |w| self.slice(w));
                let message = format!(
                    "`{of}` is computed over a window: `{word}` needs slices of it, such as `per 5s`"
                );
                self.error(at, message);
            }
            (false, Some((_, at))) => {
                self.error(at, "`per` divides a window into slices for `always`, `never`, `eventually` or `recovers`");
            }
            (true, Some((0, at))) => self.error(at, "a slice must be longer than `0s`"),
            (true, Some((nanos, at))) => {
                if self.names.duration_ns / i64::try_from(nanos).unwrap_or(i64::MAX) > SLICES_MAX {
                    self.error(
                        at,
                        format!(
                            "a check may have at most {SLICES_MAX} slices: choose a longer `per`"
                        ),
                    );
                }
            }
            (false, None) => {}
        }
    }

    /// Rewrites a gauge as its reduction: `ejected(payment)` to `ejected.max(payment)`.
    fn reduced(&self, expr: &Expr) -> String {
        self.slice(expr).replacen('(', ".max(", 1)
    }
}

fn temporal_word(temporal: Temporal) -> &'static str {
    match temporal {
        Temporal::Once => "once",
        Temporal::Always => "always",
        Temporal::Never => "never",
        Temporal::Eventually => "eventually",
        Temporal::Recovers => "recovers",
    }
}

/// Returns true if the values of a metric are states.
fn is_state(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Metric(metric) if ["canary", "breaker"].contains(&metric.name.as_str()))
}

/// Returns true if the expression contains a gauge without reduction.
pub(super) fn gauges(expr: &Expr) -> bool {
    let (mut instants, mut windows) = (Vec::new(), Vec::new());
    sort(expr, &mut instants, &mut windows);
    !instants.is_empty()
}

/// Sorts the metrics of an expression into values at an instant and values over a window.
fn sort<'e>(expr: &'e Expr, instants: &mut Vec<&'e Expr>, windows: &mut Vec<&'e Expr>) {
    match &expr.kind {
        ExprKind::Metric(metric) => match figures::named(metric.measure.as_deref(), &metric.name) {
            Ok(MetricMeaning::Figure(figure)) if figure.is_instant() => instants.push(expr),
            Ok(MetricMeaning::UnsupportedGauge(_)) => instants.push(expr),
            _ => windows.push(expr),
        },
        ExprKind::Binary(_, left, right) => {
            sort(left, instants, windows);
            sort(right, instants, windows);
        }
        ExprKind::Quantity(_) | ExprKind::State(_) => {}
    }
}
