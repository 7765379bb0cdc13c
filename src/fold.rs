//! Folds a Journal, record by record, into a digest, checks and a summary, and those into a results document. Records
//! are not kept.

use shakedown_reports::{JudgedChecks, RunLabels, Summary, SummaryHeader};
use shakedown_results::{CheckResult, Digest, Digester, Document, Participants, Record};
use shakedown_scenarios::scenario::ResolvedScenario;
use shakedown_scenarios::{Judge, SeedSample};

/// The views of a Journal that every run needs.
pub(crate) struct Fold {
    digester: Digester,
    judge: Judge,
    summary: Summary,
}

/// The results that follow from a whole Journal alone.
pub(crate) struct Folded {
    pub(crate) results: FoldedResults,
    /// The outcomes of the checks over seeds under this seed.
    pub(crate) samples: Vec<SeedSample>,
    /// Violated invariants, which make the run invalid.
    pub(crate) invariants: Vec<String>,
}

/// The part of the results from which the results document is built.
pub(crate) struct FoldedResults {
    pub(crate) digest: Digest,
    checks: Vec<CheckResult>,
    summary: Summary,
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
            results: FoldedResults {
                digest: self.digester.finish(),
                checks: judged.checks,
                summary: self.summary,
            },
            samples: judged.samples,
            invariants: judged.invariants,
        }
    }
}

impl FoldedResults {
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
            variant: scenario.variant.clone(),
            version: crate::version(),
            digest: self.digest,
            labels,
        };
        let judgement = JudgedChecks {
            checks: self.checks,
            invalid,
            verdict,
        };
        self.summary.finish(header, judgement)
    }
}
