//! Invariants of every run: violations and exceptions.

use shakedown_results::{Answer, Event, Fate, Outcome, ParticipantId, PodId};
use shakedown_types::ResponseFlags;

use super::{ERROR, OK, Run, S};

fn broken(run: Run) -> Vec<String> {
    run.judge().invariants
}

#[test]
fn a_loads_request_is_never_cancelled() {
    let mut run = Run::new(&["count(users) > 0"]);
    run.request(11 * S, 12 * S, Outcome::none(Answer::Cancelled));
    assert_eq!(
        broken(run),
        ["users: 1 requests have an end that contradicts their start"]
    );
}

#[test]
fn what_was_dropped_was_not_sent() {
    let mut run = Run::new(&["count(users) > 0"]);
    run.request(11 * S, 12 * S, OK);
    for record in &mut run.records {
        if let Event::Finished { outcome, .. } = &mut record.event {
            *outcome = Outcome::none(Answer::Dropped);
        }
    }
    assert_eq!(
        broken(run),
        ["users: 1 requests have an end that contradicts their start"]
    );
}

#[test]
fn what_succeeded_has_arrived() {
    let with = |outcome| {
        let mut run = Run::new(&["count(users) > 0"]);
        run.at(
            12 * S,
            Event::Attempt {
                root: None,
                from: PodId(0),
                to: Some(PodId(1)),
                to_participant: ParticipantId(1),
                start_ns: 11 * S,
                outcome,
                flags: ResponseFlags::empty(),
                number: 1,
                hedge: false,
                plaintext: false,
            },
        );
        broken(run)
    };
    assert_eq!(with(OK), ["api: 1 attempts succeeded, but 0 arrived"]);
    assert_eq!(with(ERROR), Vec::<String>::new());
}

#[test]
fn a_queue_in_which_something_died_is_excused_from_littles_law() {
    let with = |end: Fate| {
        let mut run = Run::new(&["count(users) > 0"]);
        run.served(None, 1, 11 * S, S, 13 * S, OK);
        for record in &mut run.records {
            if let Event::Served {
                queue_wait_ns,
                fate,
                ..
            } = &mut record.event
            {
                (*queue_wait_ns, *fate) = (2 * S, end);
            }
        }
        broken(run).len()
    };
    assert_eq!((with(Fate::Done), with(Fate::Crashed)), (1, 0));
}

#[test]
fn a_queue_of_a_pod_that_crashed_is_excused_from_littles_law() {
    let with = |crashes: bool| {
        let mut run = Run::new(&["count(users) > 0"]);
        run.served(None, 1, 11 * S, S, 13 * S, OK);
        for record in &mut run.records {
            if let Event::Served { queue_wait_ns, .. } = &mut record.event {
                *queue_wait_ns = 2 * S;
            }
        }
        if crashes {
            run.at(20 * S, Event::Crashed { pod: PodId(1) });
        }
        broken(run).len()
    };
    assert_eq!((with(false), with(true)), (1, 0));
}

#[test]
fn a_queue_not_empty_at_the_end_is_exempt_from_littles_law() {
    let mut run = Run::new(&["count(users) > 0"]);
    run.served(None, 1, 11 * S, S, 13 * S, OK);
    run.served(None, 1, 12 * S, 10 * S, 60 * S, OK);
    // The second request is still in the queue.
    run.records.pop();
    run.records.pop();
    run.served(None, 1, 20 * S, 0, 21 * S, OK);
    let broken = broken(run);
    assert_eq!(broken, ["api: 3 requests arrived, 2 have a recorded end"]);
}

#[test]
fn a_reason_that_is_told_twice_is_one() {
    let mut run = Run::new(&["count(users) >= 0"]);
    for second in [11, 12] {
        let reason = "starved".to_owned();
        run.at(second * S, Event::Invalid { reason });
    }
    assert_eq!(broken(run), ["starved"]);
}

#[test]
fn an_item_that_may_not_miss_has_begun() {
    let with = |begins: bool| {
        let mut run = Run::new(&["count(users) >= 0"]);
        run.scenario.chaos[0].may_miss = false;
        if begins {
            let pods = vec![PodId(1)];
            run.at(20 * S, Event::FaultStarted { fault: 0, pods });
        }
        broken(run)
    };
    assert_eq!(with(false), ["chaos item `sick` never started"]);
    assert_eq!(with(true), Vec::<String>::new());
}
