//! The analysis of a new version: a check at each interval, and a step of its weight for each check that passes.

use super::super::judge::{CheckVerdict, judge};
use super::{Machine, RolloutAction, RolloutStage, TickInput, pods};

impl Machine {
    pub(super) fn analyse(&mut self, turn: &mut TickInput<'_>) {
        if self.is_withdrawn(turn) || self.is_replaced(turn) {
            return;
        }
        match self.next {
            None if turn.in_force => {
                self.next = Some(turn.now + turn.canary.analysis.every());
                turn.acts.push(RolloutAction::Sample);
            }
            Some(due) if due <= turn.now && !turn.seen.sampling => {
                self.next = Some(turn.now + turn.canary.analysis.every());
                self.tick(turn);
            }
            _ => {}
        }
        if self.progress.stage == RolloutStage::Analysing {
            let reason = match (&*self.last_reason, self.next) {
                (_, None) => "not every proxy has applied its weight",
                ("", Some(_)) => "no check has reached a verdict",
                (reason, Some(_)) => reason,
            };
            let reason = reason.to_owned();
            self.keep_deadline(turn, |late| format!("{reason}, {late}"));
        }
    }

    /// Runs the check at the end of an interval, unless pods are not ready. Source: Flagger,
    /// `scheduler.go::advanceCanary`.
    fn tick(&mut self, turn: &mut TickInput<'_>) {
        if self.halts(turn) {
            return;
        }
        let (ready, wanted) = pods(&self.state(turn));
        if ready < wanted {
            let version = self.state_name();
            let words = format!(
                "{ready} of {wanted} pods of {version} are ready: the weight is not changed"
            );
            self.report_once(turn, words);
        } else if turn.canary.skip_analysis {
            self.promote(turn, "its analysis is skipped from now on");
        } else {
            self.check(turn);
        }
    }

    fn check(&mut self, turn: &mut TickInput<'_>) {
        let analysis = &turn.canary.analysis;
        let version = self.progress.canary.clone().unwrap_or_default();
        match judge(&analysis.metrics, turn.seen.history, &version, turn.now) {
            CheckVerdict::Fail(words) => {
                self.progress.failed += 1;
                let (failed, most) = (self.progress.failed, analysis.failures_max());
                let words = format!("{words}: {failed} of {most} failed checks");
                if failed >= most {
                    self.retreat(turn, words);
                } else {
                    self.report_once(turn, format!("{words}, the weight is not changed"));
                }
            }
            CheckVerdict::Silent(words) => {
                let trouble = turn.seen.trouble.map(|trouble| format!(" ({trouble})"));
                let trouble = trouble.unwrap_or_default();
                self.report_once(turn, format!("{words}{trouble}, so no verdict"));
            }
            CheckVerdict::Pass(words) => self.pass(turn, &words),
        }
    }

    fn pass(&mut self, turn: &mut TickInput<'_>, words: &str) {
        let analysis = &turn.canary.analysis;
        self.since = turn.now;
        if !analysis.r#match.is_empty() {
            self.progress.passed += 1;
            let (passed, rounds) = (self.progress.passed, analysis.rounds());
            let words = format!("{words}: {passed} of {rounds} checks passed");
            if passed >= rounds {
                self.promote(turn, &words);
            } else {
                self.report(turn, words);
            }
            return;
        }
        let now = self.progress.weight;
        match analysis.steps().into_iter().find(|step| *step > now) {
            Some(step) => {
                self.progress.weight = step;
                self.next = None;
                self.last_reason.clear();
                self.report(turn, format!("{words}: weight {now}% -> {step}%"));
            }
            None => self.promote(turn, words),
        }
    }
}
