//! The fold of a load's records into its results document.

use shakedown_reports::RunLabels;
use shakedown_results::{Document, Event, ParticipantKind, Participants, Record};
use shakedown_scenarios::Judge;
use shakedown_scenarios::scenario::ResolvedScenario;

use crate::fold::Fold;

/// The fold of a load under way, and the time of its last record.
#[derive(Default)]
pub(super) struct LoadFold {
    fold: Option<(Participants, Fold)>,
    pub(super) last_ns: i64,
}

impl LoadFold {
    pub(super) fn new(scenario: &ResolvedScenario, participants: Participants) -> LoadFold {
        let judge = Judge::new(scenario, &participants).of_real_servers();
        let fold = Fold::new(scenario, scenario.seed, &participants, judge);
        LoadFold {
            fold: Some((participants, fold)),
            last_ns: 0,
        }
    }

    pub(super) fn record(&mut self, record: &Record) {
        self.last_ns = record.at_ns;
        if let Some((participants, fold)) = &mut self.fold {
            fold.record(participants, record);
        }
    }

    /// Records why the run is invalid.
    pub(super) fn invalid(&mut self, reasons: impl IntoIterator<Item = String>) {
        for reason in reasons {
            let at_ns = self.last_ns;
            self.record(&Record {
                at_ns,
                event: Event::Invalid { reason },
            });
        }
    }

    pub(super) fn conclude(self, scenario: &ResolvedScenario, labels: RunLabels) -> Document {
        let (participants, fold) = self.fold.expect("`conclude` is called once");
        let folded = fold.finish();
        let mut document = folded.results.document(scenario, labels, folded.invariants);
        // Rates are those of the time in which the load was sent.
        if let Some(cut_ns) = document.cut_ns {
            document.duration_ns = cut_ns.clamp(document.warm_up_ns, document.duration_ns);
        }
        // The server is outside of Shakedown: only its responses are known.
        let is_service = |name: &str| {
            let mut participants = participants.list.iter();
            participants.any(|participant| {
                participant.kind == ParticipantKind::Service && participant.name == name
            })
        };
        document.services.retain(|row| !is_service(&row.name));
        document
    }
}
