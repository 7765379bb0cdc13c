//! The promotion of a version that has passed: it is scaled up and takes over the traffic, and the old one is scaled
//! down.
//!
//! As in Flagger, a step waits while the primary is not ready. Here both versions count as primary meanwhile: the old
//! one receives the rest of the traffic, and the new one will receive all of it. Source: Flagger,
//! `scheduler.go::advanceCanary`.

use super::{Machine, RolloutAction, RolloutStage, TickInput, pods};

impl Machine {
    pub(super) fn promote(&mut self, turn: &mut TickInput<'_>, words: &str) {
        self.enter(RolloutStage::Scaling, turn.now);
        turn.acts.push(RolloutAction::Forget);
        let wanted = self.replicas_of_stable(turn);
        self.report(turn, format!("{words}: promoting with {wanted} pods"));
    }

    pub(super) fn scale(&mut self, turn: &mut TickInput<'_>) {
        if self.is_withdrawn(turn) || self.halts(turn) {
            return;
        }
        let wanted = self.replicas_of_stable(turn);
        let state = self.state(turn);
        let version = self.progress.canary.clone().unwrap_or_default();
        if state.desired.is_none_or(|desired| desired < wanted) {
            turn.acts.push(RolloutAction::Scale(version, wanted));
        }
        let (ready, _) = pods(&state);
        if ready < wanted {
            self.keep_deadline(turn, |late| {
                format!("{ready} of {wanted} pods are ready to take over {late}")
            });
            return;
        }
        self.enter(RolloutStage::Shifting, turn.now);
        self.shift_more(turn, &format!("{ready} of {wanted} pods are ready"));
    }

    pub(super) fn shift(&mut self, turn: &mut TickInput<'_>) {
        if self.is_withdrawn(turn) {
            return;
        }
        match self.next {
            None if turn.in_force && self.progress.weight >= 100 => {
                let (old, new) = (self.progress.stable.clone(), self.state_name());
                self.enter(RolloutStage::Finalising, turn.now);
                turn.acts.push(RolloutAction::Stable(new.clone()));
                let words =
                    format!("every proxy sends all requests to {new}: {old} is scaled to 0");
                self.report(turn, words);
            }
            None if turn.in_force => {
                self.next = Some(turn.now + turn.canary.analysis.every());
            }
            Some(due) if due <= turn.now => {
                if self.halts_either(turn) {
                    self.next = Some(turn.now + turn.canary.analysis.every());
                    return;
                }
                self.since = turn.now;
                self.next = None;
                self.shift_more(turn, "promotion continues");
            }
            Some(_) => {}
            None => self.keep_deadline(turn, |late| {
                format!("not every proxy has applied its weight {late}")
            }),
        }
    }

    fn shift_more(&mut self, turn: &mut TickInput<'_>, words: &str) {
        let before = self.progress.weight;
        let step = if turn.canary.skip_analysis {
            100
        } else {
            turn.canary.analysis.promotion_step()
        };
        let weight = (before + step).min(100);
        self.progress.weight = weight;
        self.report(turn, format!("{words}: weight {before}% -> {weight}%"));
    }

    pub(super) fn finalise(&mut self, turn: &mut TickInput<'_>) {
        let (old, new) = (self.progress.stable.clone(), self.state_name());
        let state = turn.seen.rollout.versions.get(&old);
        if state.is_some_and(|state| state.desired != Some(0)) && self.halts_for_new(turn) {
            return;
        }
        // Emitted here and not on entry to this stage, so that it is emitted again if a crash happened in between.
        if state.is_some_and(|state| state.desired != Some(0)) {
            turn.acts.push(RolloutAction::Scale(old.clone(), 0));
        }
        let left = state.map_or(0, |state| state.pods.len());
        let late = turn.now >= self.since + turn.canary.progress_deadline();
        if left > 0 && !late {
            return;
        }
        self.progress.stage = RolloutStage::Succeeded;
        let words = match left {
            0 => format!("{new} is the stable version, {old} has no pods left"),
            _ => format!("{new} is the stable version, but {left} pods of {old} remain"),
        };
        self.report(turn, words);
        self.progress.stable = new;
        self.clear();
    }

    /// Returns true if the promotion pauses because one of both versions lacks ready pods.
    fn halts_either(&mut self, turn: &mut TickInput<'_>) -> bool {
        self.halts(turn) || self.halts_for_new(turn)
    }

    /// Returns true if the promotion pauses because the new version lacks ready pods. Deadlines are suspended
    /// meanwhile.
    fn halts_for_new(&mut self, turn: &mut TickInput<'_>) -> bool {
        let (ready, wanted) = pods(&self.state(turn));
        if ready >= wanted || turn.canary.skip_analysis {
            return false;
        }
        self.since = turn.now;
        let new = self.state_name();
        self.report_once(
            turn,
            format!("{ready} of {wanted} pods of {new} are ready: halted"),
        );
        true
    }

    /// The number of pods that the new version needs to replace the stable one.
    fn replicas_of_stable(&self, turn: &TickInput<'_>) -> u32 {
        let state = turn.seen.rollout.versions.get(&self.progress.stable);
        let wanted = state.map_or(0, |state| pods(state).1);
        let own = self.state(turn).desired.unwrap_or(0);
        // A canary that is already larger is not scaled down.
        wanted.max(own).max(1)
    }
}
