//! A check during a run: its leaves, its slices or instants, and its result.

mod slices;
mod tree;

use shakedown_results::{CheckResult, Participants, PodId, Record};

use super::board::{CountChange, PodBoard};
use super::fact::{Class, RequestFacts};
use super::instant::{Instants, compare};
use super::leaf::{Leaf, Reading};
use super::sample::SeedSample;
use super::span::{self, TimeSpan};
use super::words::{expected, measured, nanos, time};
use crate::check::{Check, Expression, Temporal, Window};
use crate::scenario::ResolvedScenario;
use crate::value::{Ratio, Unit};
use slices::Slices;
use tree::{ExpressionBuilder, Tree};

/// A check and its accumulated state.
#[derive(Clone, Debug)]
pub(super) struct CheckTrial {
    check: Check,
    state: Result<TrialState, String>,
}

#[derive(Clone, Debug)]
struct TrialState {
    leaves: Vec<Leaf>,
    left: Tree,
    right: Tree,
    instants: Option<Instants>,
    /// The window of the check.
    span: TimeSpan,
    has_meters: bool,
}

/// The result of a check, or the reason why there is none.
type Finding = Result<TrialOutcome, String>;

struct TrialOutcome {
    holds: bool,
    /// The observed value, in words.
    words: String,
    /// The deciding value with its unit, if there is one.
    value: Option<(Ratio, Unit)>,
    samples: Option<u64>,
}

impl TrialOutcome {
    fn new(holds: bool, words: String) -> TrialOutcome {
        TrialOutcome {
            holds,
            words,
            value: None,
            samples: None,
        }
    }

    fn with(self, value: Ratio, unit: Unit) -> TrialOutcome {
        TrialOutcome {
            value: Some((value, unit)),
            ..self
        }
    }
}

impl CheckTrial {
    pub(super) fn new(
        check: &Check,
        scenario: &ResolvedScenario,
        participants: &Participants,
        board: &PodBoard,
    ) -> CheckTrial {
        CheckTrial {
            check: check.clone(),
            state: TrialState::new(check, scenario, participants, board),
        }
    }

    pub(super) fn change(
        &mut self,
        record: &Record,
        change: Option<CountChange>,
        board: &PodBoard,
    ) {
        let Ok(state) = &mut self.state else { return };
        if !state.has_meters {
            return;
        }
        for index in 0..state.leaves.len() {
            if !state.leaves[index].is_meter() {
                continue;
            }
            let delta = state.leaves[index].delta(record, change, board);
            if delta == 0 {
                continue;
            }
            state.observe(record.at_ns, &self.check);
            state.leaves[index].step(record.at_ns, delta);
        }
    }

    /// Counts an event that does not belong to a request. Returns false if no metric counts such events.
    pub(super) fn happened(
        &mut self,
        record: &Record,
        change: Option<CountChange>,
        board: &PodBoard,
    ) -> bool {
        let mut counted = false;
        if let Ok(state) = &mut self.state {
            for leaf in &mut state.leaves {
                counted |= leaf.happened(record, change, board);
            }
        }
        counted
    }

    pub(super) fn worked(
        &mut self,
        pod: PodId,
        since_ns: i64,
        at_ns: i64,
        core_ns: i64,
        board: &PodBoard,
    ) {
        if let Ok(state) = &mut self.state {
            for leaf in &mut state.leaves {
                leaf.worked(pod, since_ns, at_ns, core_ns, board);
            }
        }
    }

    pub(super) fn fact(&mut self, class: Class, fact: &RequestFacts, board: &PodBoard) {
        if let Ok(state) = &mut self.state {
            for leaf in &mut state.leaves {
                leaf.fact(class, fact, board);
            }
        }
    }

    /// Returns the result, and the sample if the check is judged over seeds.
    pub(super) fn conclude(
        self,
        index: usize,
        end_ns: i64,
        board: &PodBoard,
    ) -> (CheckResult, Option<SeedSample>) {
        let CheckTrial { check, state } = self;
        let (finding, sides) = match state {
            Ok(mut state) => {
                state.finish(end_ns, &check);
                (state.judge(&check, board), state.sides(board).ok())
            }
            Err(reason) => (Err(reason), None),
        };
        let over_seeds = check.over_seeds();
        let (holds, observed) = match &finding {
            Ok(seen) => (Some(seen.holds), seen.words.clone()),
            Err(reason) => (None, format!("not judged: {reason}")),
        };
        let limit = match check.right {
            Expression::Constant(limit) => Some(limit),
            _ => sides.map(|(_, right)| right),
        };
        let measured = finding.as_ref().ok().and_then(|seen| {
            let (value, unit) = seen.value?;
            let limit = limit.filter(|_| unit == check.unit);
            measured(unit, value, limit, seen.samples)
        });
        let sample = over_seeds.then(|| SeedSample {
            check: index,
            sides,
            holds,
            reason: finding.as_ref().err().cloned().unwrap_or_default(),
        });
        let result = CheckResult {
            name: check.name.clone(),
            check: check.text.clone(),
            pass: if over_seeds { None } else { holds },
            over_seeds,
            observed,
            measured,
            expected: expected(&check, sides.map(|(_, right)| right)),
        };
        (result, sample)
    }
}

impl TrialState {
    fn new(
        check: &Check,
        scenario: &ResolvedScenario,
        participants: &Participants,
        board: &PodBoard,
    ) -> Result<TrialState, String> {
        let span = span::resolve(&check.window, participants)?;
        // `recovers` is observed to the end of the run, and its window is only the deadline.
        let to_ns = if check.temporal == Temporal::Recovers {
            participants.duration_ns
        } else {
            span.to_ns
        };
        let watched = TimeSpan {
            from_ns: span.from_ns,
            to_ns,
        };
        let per_ns = check
            .per
            .filter(|_| check.temporal != Temporal::Once)
            .map(nanos);
        let mut leaves = Vec::new();
        let mut builder = ExpressionBuilder {
            leaves: &mut leaves,
            watched,
            per_ns,
            is_whole: check.window == Window::WHOLE && check.per.is_none(),
            scenario,
            participants,
            board,
        };
        let (left, right) = (builder.tree(&check.left)?, builder.tree(&check.right)?);
        let has_meters = leaves.iter().any(Leaf::is_meter);
        let instants = check
            .instants
            .then(|| Instants::new(watched.from_ns, watched.to_ns));
        Ok(TrialState {
            leaves,
            left,
            right,
            instants,
            span,
            has_meters,
        })
    }

    /// Records the comparison up to `now_ns`. Must be called before a gauge changes.
    fn observe(&mut self, now_ns: i64, check: &Check) {
        if !self
            .instants
            .as_ref()
            .is_some_and(|instants| instants.is_stale(now_ns))
        {
            return;
        }
        let value = |tree: &Tree| tree.compute(&|leaf| Some(self.leaves[leaf].value()));
        let seen = value(&self.left)
            .zip(value(&self.right))
            .and_then(|(left, right)| {
                compare(check.relation, left, right)
                    .ok()
                    .map(|holds| (left, holds))
            });
        if let Some(instants) = &mut self.instants {
            instants.observe(now_ns, seen);
        }
    }

    fn finish(&mut self, end_ns: i64, check: &Check) {
        self.observe(end_ns, check);
        for leaf in &mut self.leaves {
            leaf.finish(end_ns);
        }
    }

    /// The left and right side over the window, for a check that is computed once.
    fn sides(&self, board: &PodBoard) -> Result<(Ratio, Ratio), String> {
        Ok((
            self.eval(&self.left, 0, board)?,
            self.eval(&self.right, 0, board)?,
        ))
    }

    fn eval(&self, tree: &Tree, slice: usize, board: &PodBoard) -> Result<Ratio, String> {
        let failure = std::cell::RefCell::new(None);
        let value = tree.compute(&|leaf| match self.leaves[leaf].read(slice, board) {
            Ok(Reading { value, .. }) => Some(value),
            Err(reason) => {
                failure.borrow_mut().get_or_insert(reason);
                None
            }
        });
        value.ok_or_else(|| {
            failure
                .into_inner()
                .unwrap_or_else(|| "a division by zero, or a number out of range".to_owned())
        })
    }

    fn judge(&self, check: &Check, board: &PodBoard) -> Finding {
        match (&self.instants, check.temporal) {
            (Some(instants), temporal) => of_instants(instants, temporal, self.span, check),
            (None, Temporal::Once) => self.once(check, board),
            (None, temporal) => self.of_slices(temporal, check, board),
        }
    }

    fn once(&self, check: &Check, board: &PodBoard) -> Finding {
        let (left, right) = self.sides(board)?;
        let holds = compare(check.relation, left, right)?;
        let mut observed = check.unit.format(left);
        if let Tree::Leaf(leaf) = self.left
            && let Some((hits, all)) = self.leaves[leaf].read(0, board)?.parts
        {
            observed.push_str(&format!(" ({hits} of {all})"));
        }
        let samples = match self.left {
            Tree::Leaf(leaf) => self.leaves[leaf].read(0, board)?.samples,
            _ => None,
        };
        Ok(TrialOutcome {
            samples,
            ..TrialOutcome::new(holds, observed).with(left, check.unit)
        })
    }

    fn of_slices(&self, temporal: Temporal, check: &Check, board: &PodBoard) -> Finding {
        let slots = self
            .leaves
            .iter()
            .map(Leaf::slots)
            .max_by_key(|slots| slots.count());
        let Some(slots) = slots else {
            return self.once(check, board);
        };
        if slots.count() == 0 {
            return Err("its window is shorter than one slice".to_owned());
        }
        let slices = Slices {
            state: self,
            check,
            board,
            slots,
        };
        match temporal {
            Temporal::Recovers => slices.recover(),
            Temporal::Eventually => slices.some(),
            Temporal::Always | Temporal::Once => slices.all(true),
            Temporal::Never => slices.all(false),
        }
    }
}

fn of_instants(instants: &Instants, temporal: Temporal, span: TimeSpan, check: &Check) -> Finding {
    if instants.undefined {
        return Err("at some instant a side has no value".to_owned());
    }
    let at = |holds, words: &str, (at, value): (i64, Ratio)| {
        let words = format!("{words} {} at {}", check.unit.format(value), time(at));
        TrialOutcome::new(holds, words).with(value, check.unit)
    };
    let always = |holds, words: &str| TrialOutcome::new(holds, words.to_owned());
    Ok(match temporal {
        Temporal::Always => match instants.first_false {
            Some(seen) => at(false, "false first with", seen),
            None => always(true, "true at every instant"),
        },
        Temporal::Never => match instants.first_true {
            Some(seen) => at(false, "true first with", seen),
            None => always(true, "false at every instant"),
        },
        Temporal::Eventually | Temporal::Once => match instants.first_true {
            Some(seen) => at(true, "true first with", seen),
            None => always(false, "false at every instant"),
        },
        Temporal::Recovers => {
            let since = instants
                .last_false
                .map_or(instants.begin_ns(), |(until, _)| until);
            let holds = since <= span.to_ns;
            match instants.last_false {
                Some((_, value)) if since >= instants.end_ns() => {
                    let words =
                        format!("still false at the end, with {}", check.unit.format(value));
                    TrialOutcome::new(false, words).with(value, check.unit)
                }
                _ => recovered(holds, since),
            }
        }
    })
}

/// The result of a check that is true from some time on.
fn recovered(holds: bool, since_ns: i64) -> TrialOutcome {
    let words = format!("true from {} on", time(since_ns));
    TrialOutcome::new(holds, words).with(Ratio::whole(i128::from(since_ns)), Unit::Duration)
}
