//! Runs the catalogue's header-routing scenario.

use std::collections::BTreeMap;

use shakedown_results::{Answer, Event, ParticipantId, PodId};
use shakedown_scenarios::{BASE, Edits, load};

use super::{Played, play};

/// Participants of the scenario, in the file's order.
const REVIEWS: ParticipantId = ParticipantId(2);
const JASON: ParticipantId = ParticipantId(4);

fn scenario(variant: &str) -> Played {
    let edits = Edits {
        variant: Some(variant.to_owned()),
        set: vec!["duration=3s".to_owned()],
    };
    play(&load("header-routing", &edits).unwrap())
}

/// Number of requests of jason, and of the others, that each version of reviews received.
fn seen(played: &Played) -> BTreeMap<(bool, u32), usize> {
    let mut seen = BTreeMap::new();
    for record in &played.records {
        if let Event::Arrived {
            root: Some(root),
            pod,
            ..
        } = &record.event
            && (2..=3).contains(&pod.0)
        {
            *seen.entry((root.load == JASON, pod.0 - 1)).or_default() += 1;
        }
    }
    seen
}

#[test]
fn jason_sees_version_2_and_everyone_else_version_1() {
    let played = scenario(BASE);
    played.check_laws();
    assert!(played.records.iter().all(|record| match &record.event {
        Event::Finished { outcome, .. } => outcome.answer == Answer::Ok,
        _ => true,
    }));
    assert_eq!(
        seen(&played),
        BTreeMap::from([((true, 2), 60), ((false, 1), 240)])
    );
}

#[test]
fn an_app_that_does_not_forward_the_header_breaks_the_rule() {
    let played = scenario("fragile");
    assert_eq!(
        seen(&played),
        BTreeMap::from([((true, 1), 60), ((false, 1), 240)])
    );
}

#[test]
fn an_edge_is_told_by_its_caller() {
    let played = scenario(BASE);
    let productpage = PodId(0);
    let calls = played.count(|event| {
        matches!(event, Event::CallEnded { from, to, .. } if *from == productpage && *to == REVIEWS)
    });
    assert_eq!(calls, 300);
}
