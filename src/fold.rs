//! Folds a Journal, record by record, into a digest, checks and a summary, and those into a results document. Records
//! are not kept.

use shakedown_reports::{JudgedChecks, Summary, SummaryHeader};
use shakedown_results::{
    CheckResult, Digest, Digester, Document, Engine, NotModelled, Participants, Record,
};
use shakedown_scenarios::scenario::ResolvedScenario;
use shakedown_scenarios::{Judge, SeedSample};

/// The views of a Journal that every run needs.
pub(crate) struct Fold {
    digester: Digester,
    judge: Judge,
    summary: Summary,
}

/// A complete fold: all results that follow from the Journal alone.
pub(crate) struct Folded {
    pub(crate) digest: Digest,
    pub(crate) checks: Vec<CheckResult>,
    /// The outcomes of the checks over seeds under this seed.
    pub(crate) samples: Vec<SeedSample>,
    /// Violated invariants, which make the run invalid.
    pub(crate) invariants: Vec<String>,
    summary: Summary,
}

/// The properties of a run that its Journal does not contain.
pub(crate) struct RunLabels {
    /// The description of the scenario.
    pub(crate) story: String,
    pub(crate) set: Vec<String>,
    pub(crate) seed: u64,
    pub(crate) engine: Engine,
    /// The command that repeats the run.
    pub(crate) replay: String,
    pub(crate) elapsed_ns: i64,
    /// The time at which the user stopped the run. `None` if it was not stopped.
    pub(crate) cut_ns: Option<i64>,
    pub(crate) not_modelled: Vec<NotModelled>,
}

impl Fold {
    pub(crate) fn new(
        scenario: &ResolvedScenario,
        seed: u64,
        participants: &Participants,
        judge: Judge,
    ) -> Fold {
        Fold {
            digester: Digester::new(&crate::version(), &scenario.expanded, seed, participants),
            judge,
            summary: Summary::new(participants),
        }
    }

    /// Adds a record. `participants` must include the pods that were added before it.
    pub(crate) fn record(&mut self, participants: &Participants, record: &Record) {
        self.digester.record(record);
        self.judge.record(record);
        self.summary.record(participants, record);
    }

    pub(crate) fn finish(self) -> Folded {
        let judged = self.judge.conclude();
        Folded {
            digest: self.digester.finish(),
            checks: judged.checks,
            samples: judged.samples,
            invariants: judged.invariants,
            summary: self.summary,
        }
    }
}

impl Folded {
    /// Returns the number of calls that have not ended.
    pub(crate) fn in_flight(&self) -> u64 {
        self.summary.in_flight()
    }

    /// Builds the results document. `invalid` contains the reasons why the run is invalid regardless of its checks.
    pub(crate) fn document(
        self,
        scenario: &ResolvedScenario,
        labels: RunLabels,
        mut invalid: Vec<String>,
    ) -> Document {
        let verdict = shakedown_scenarios::verdict(&self.checks, &invalid);
        invalid.extend(shakedown_scenarios::not_judged(&self.checks));
        let header = SummaryHeader {
            scenario: scenario.name.clone(),
            story: labels.story,
            variant: scenario.variant.clone(),
            set: labels.set,
            seed: labels.seed,
            engine: labels.engine,
            version: crate::version(),
            digest: self.digest,
            replay: labels.replay,
            elapsed_ns: labels.elapsed_ns,
            cut_ns: labels.cut_ns,
            not_modelled: labels.not_modelled,
        };
        let judgement = JudgedChecks {
            checks: self.checks,
            invalid,
            verdict,
        };
        self.summary.finish(header, judgement)
    }
}
