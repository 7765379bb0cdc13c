//! The end of a rollout that is not promoted: it fails, is withdrawn, or is replaced by a newer version.

use super::super::judge::seconds;
use super::{Machine, RETREAT_PATIENCE, RolloutAction, RolloutStage, TickInput, newest};

impl Machine {
    pub(super) fn roll_back(&mut self, turn: &mut TickInput<'_>) {
        let late = turn.now >= self.since + RETREAT_PATIENCE;
        if !turn.in_force && !late {
            return;
        }
        let mut reason = std::mem::take(&mut self.progress.reason);
        if !turn.in_force {
            let patience = seconds(RETREAT_PATIENCE);
            reason += &format!(" (not every proxy has acknowledged it within {patience})");
        }
        let version = self.state_name();
        self.progress.stage = RolloutStage::Failed;
        self.report(turn, reason);
        turn.acts.push(RolloutAction::Scale(version, 0));
        self.clear();
    }

    /// Switches to Replacing and returns true if a newer version exists. The newer rollout starts once every proxy has
    /// stopped routing to this version. After the analysis a version is not replaced, and the newer one waits. Source:
    /// Flagger, `scheduler.go::hasCanaryRevisionChanged`.
    pub(super) fn is_replaced(&mut self, turn: &mut TickInput<'_>) -> bool {
        let (own, newest) = (self.state_name(), newest(turn.seen.rollout));
        let Some(newest) = newest.filter(|newest| *newest != own && !self.primary_lacks_pods(turn))
        else {
            return false;
        };
        let weight = std::mem::take(&mut self.progress.weight);
        self.enter(RolloutStage::Replacing, turn.now);
        turn.acts.push(RolloutAction::Forget);
        self.report(
            turn,
            format!("{newest} replaces {own}: weight {weight}% -> 0%"),
        );
        true
    }

    pub(super) fn replace(&mut self, turn: &mut TickInput<'_>) {
        let late = turn.now >= self.since + RETREAT_PATIENCE;
        if !turn.in_force && !late {
            return;
        }
        match newest(turn.seen.rollout) {
            Some(version) => self.begin(turn, &version),
            // All other versions were scaled to 0 meanwhile.
            None => self.retreat(turn, format!("{} was scaled to 0", self.state_name())),
        }
    }

    /// Rolls the canary back.
    pub(super) fn retreat(&mut self, turn: &mut TickInput<'_>, words: String) {
        let weight = self.progress.weight;
        self.progress.reason = format!("{words}, rolled back");
        self.progress.weight = 0;
        self.enter(RolloutStage::RollingBack, turn.now);
        turn.acts.push(RolloutAction::Forget);
        self.report(turn, format!("{words}: weight {weight}% -> 0%"));
    }

    /// Rolls the canary back and returns true if it was scaled to 0 from outside.
    pub(super) fn is_withdrawn(&mut self, turn: &mut TickInput<'_>) -> bool {
        let state = self.state(turn);
        let gone = match state.desired {
            Some(replicas) => replicas == 0,
            None => state.pods.is_empty(),
        };
        if gone {
            self.retreat(turn, format!("{} was scaled to 0", self.state_name()));
        }
        gone
    }

    /// Rolls the canary back if it has made no step within its progress deadline.
    pub(super) fn keep_deadline(
        &mut self,
        turn: &mut TickInput<'_>,
        words: impl FnOnce(&str) -> String,
    ) {
        let deadline = turn.canary.progress_deadline();
        if turn.now >= self.since + deadline {
            let late = format!("after {} without a step", seconds(deadline));
            self.retreat(turn, words(&late));
        }
    }
}
