//! Synthetic Journals, in the form that a run writes.

#[path = "journal/frame.rs"]
mod frame;
#[path = "journal/requests.rs"]
mod requests;
#[path = "journal/rollout.rs"]
mod rollout;
#[path = "journal/storm.rs"]
mod storm;

use shakedown_reports::JudgedChecks;
use shakedown_results::{CheckResult, Document, ParticipantId, Verdict};

use requests::{PlannedRequest, request};

#[allow(
    unused_imports,
    reason = "not every target that includes this module uses it"
)]
pub(crate) use frame::{fold, participants, started};
#[allow(
    unused_imports,
    reason = "not every target that includes this module uses it"
)]
pub(crate) use requests::outcome;
#[allow(
    unused_imports,
    reason = "not every target that includes this module uses it"
)]
pub(crate) use {rollout::rollout, storm::stormy};

pub(crate) const MS: i64 = 1_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;

const PRODUCTPAGE: ParticipantId = ParticipantId(0);
const REVIEWS: ParticipantId = ParticipantId(1);

/// A short run without faults, small enough for a snapshot.
#[allow(
    dead_code,
    reason = "not every target that includes this module uses it"
)]
pub(crate) fn calm() -> Document {
    let participants = participants(3 * SECOND, 0, vec![]);
    let mut records = started(&participants);
    for (load, every) in [(ParticipantId(2), 500 * MS), (ParticipantId(3), 125 * MS)] {
        for seq in 0..3 * SECOND / every {
            let took = 4 * MS + seq % 5 * 250_000;
            request(
                &mut records,
                &participants,
                load,
                seq,
                seq * every,
                PlannedRequest {
                    took,
                    ..PlannedRequest::default()
                },
            );
        }
    }
    let check = |name: &str, check: &str, observed: &str| CheckResult {
        name: name.to_owned(),
        check: check.to_owned(),
        pass: Some(true),
        over_seeds: false,
        observed: observed.to_owned(),
        measured: None,
        expected: "exactly 100%".to_owned(),
    };
    let checks = vec![
        check(
            "success(jason) == 100%",
            "success(jason) == 100%",
            "100% (6 of 6)",
        ),
        check(
            "jason-v2",
            "share(jason where via reviews/v2) == 100%",
            "100% (6 of 6)",
        ),
    ];
    let judgement = JudgedChecks {
        checks,
        invalid: vec![],
        verdict: Verdict::Pass,
    };
    fold(&participants, records, judgement, "base")
}
