//! Consumers of a load's records: digest, judge and summary.

use shakedown_reports::{Header, Judgement, Summary};
use shakedown_results::{Cast, Digester, Document, Event, Mode, PartyKind, Record};
use shakedown_scenarios::Judge;
use shakedown_scenarios::story::Story;

/// The digest, judge and summary of a load, updated record by record.
#[derive(Default)]
pub(super) struct Views {
    fold: Option<Fold>,
    last_ns: i64,
}

/// Descriptive fields of the results document.
pub(super) struct Labels {
    pub(super) story: String,
    pub(super) set: Vec<String>,
    pub(super) seed: u64,
    pub(super) replay: String,
    /// The time at which the user interrupted the load.
    pub(super) cut_ns: Option<i64>,
}

struct Fold {
    cast: Cast,
    digester: Digester,
    judge: Judge,
    summary: Summary,
}

impl Views {
    pub(super) fn new(story: &Story, cast: Cast) -> Views {
        let version = crate::version();
        let fold = Fold {
            digester: Digester::new(&version, &story.expanded, story.seed, &cast),
            judge: Judge::new(story, &cast).of_real_servers(),
            summary: Summary::new(&cast),
            cast,
        };
        Views {
            fold: Some(fold),
            last_ns: 0,
        }
    }

    pub(super) fn record(&mut self, record: &Record) {
        self.last_ns = record.at_ns;
        if let Some(fold) = &mut self.fold {
            fold.digester.record(record);
            fold.judge.record(record);
            fold.summary.record(&fold.cast, record);
        }
    }

    /// Records the reasons why the run is invalid.
    pub(super) fn invalid(&mut self, reasons: impl IntoIterator<Item = String>) {
        for reason in reasons {
            let at_ns = self.last_ns;
            self.record(&Record {
                at_ns,
                event: Event::Invalid { reason },
            });
        }
    }

    pub(super) fn conclude(self, story: &Story, labels: Labels) -> Document {
        let fold = self.fold.expect("views are concluded once");
        let judged = fold.judge.conclude();
        let mut invalid = judged.invariants;
        let verdict = shakedown_scenarios::verdict(&judged.checks, &invalid);
        invalid.extend(shakedown_scenarios::not_judged(&judged.checks));
        let header = Header {
            scenario: story.name.clone(),
            story: labels.story,
            variant: story.variant.clone(),
            set: labels.set,
            mode: Mode::Real,
            seed: labels.seed,
            engine: "real".to_owned(),
            version: crate::version(),
            digest: fold.digester.finish(),
            replay: labels.replay,
            elapsed_ns: self.last_ns,
            cut_ns: labels.cut_ns,
            not_modelled: Vec::new(),
        };
        let judgement = Judgement {
            checks: judged.checks,
            invalid,
            verdict,
        };
        let services = fold.cast.parties.iter();
        let names: Vec<&str> = services
            .filter(|party| party.kind == PartyKind::Service)
            .map(|party| party.name.as_str())
            .collect();
        let mut document = fold.summary.finish(header, judgement);
        // Rates are computed over the time in which the load was sent.
        if let Some(cut_ns) = document.cut_ns {
            document.duration_ns = cut_ns.clamp(document.warm_up_ns, document.duration_ns);
        }
        // Only the server's responses are known, so its service row is removed.
        document
            .services
            .retain(|row| !names.contains(&row.name.as_str()));
        document
    }
}
