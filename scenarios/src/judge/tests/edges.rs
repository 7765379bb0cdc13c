//! Edges: the calls and attempts that belong to them, and the attempts that are left out.

use shakedown_results::{Answer, Event, Outcome, ParticipantId, PodId, Root};
use shakedown_types::ResponseFlags;

use super::{ERROR, MS, OK, Run, S};

const USERS: PodId = PodId(4);

fn all_hold(run: Run) {
    for check in &run.checks() {
        assert_eq!(check.pass, Some(true), "{check:?}");
    }
}

/// Adds a call from a client of users to web, for an entry of their mix.
fn call(run: &mut Run, entry: u16, from_ns: i64, to_ns: i64) {
    let root = Some(run.entry(entry, from_ns, to_ns, OK));
    let (from, to) = (USERS, ParticipantId(0));
    run.at(from_ns, Event::CallStarted { root, from, to });
    run.at(
        to_ns,
        Event::CallEnded {
            root,
            from,
            to,
            endpoint: entry,
            start_ns: from_ns,
            outcome: OK,
            tries: 1,
            hedges: 0,
            asked: None,
            pool_wait_ns: 0,
        },
    );
}

/// Adds an attempt of web towards a pod of api.
fn attempt(run: &mut Run, pod: u32, outcome: Outcome, flags: ResponseFlags) {
    run.at(
        12 * S,
        Event::Attempt {
            root: None,
            from: PodId(0),
            to: Some(PodId(pod)),
            to_participant: ParticipantId(1),
            start_ns: 11 * S,
            outcome,
            flags,
            number: 1,
            hedge: false,
            plaintext: false,
        },
    );
}

#[test]
fn an_edge_from_a_mix_entry_counts_only_that_entrys_calls() {
    let mut run = Run::new(&[
        "count(users -> web) == 3",
        "count(users.home -> web) == 1",
        "count(users.other -> web) == 2",
        "in-flight.max(users -> web) == 3",
        "in-flight.max(users.home -> web) == 1",
        "in-flight.max(users.other -> web) == 2",
    ]);
    for entry in [0, 1, 1] {
        call(&mut run, entry, 11 * S, 12 * S);
    }
    all_hold(run);
}

#[test]
fn what_is_in_flight_between_two_is_what_the_one_sent() {
    let mut run = Run::new(&["in-flight.max(web -> api) == 1"]);
    let to = ParticipantId(1);
    for from in [PodId(0), USERS] {
        let root = None;
        run.at(20 * S, Event::CallStarted { root, from, to });
    }
    all_hold(run);
}

#[test]
fn a_routed_call_is_in_flight_to_where_it_was_routed() {
    let mut run = Run::new(&[
        "in-flight.max(users -> web) == 1",
        "in-flight.max(web -> api) == 2",
        "in-flight.min(web -> api) == 0",
    ]);
    // Sent to web (0), routed to api (1) and back.
    let (root, from) = (None, PodId(0));
    let (web, api) = (ParticipantId(0), ParticipantId(1));
    for _ in 0..2 {
        run.at(
            20 * S,
            Event::CallStarted {
                root,
                from,
                to: web,
            },
        );
    }
    for (at_s, left, to) in [(20, web, api), (21, web, api), (22, api, web)] {
        let routed = Event::CallRouted {
            root,
            from,
            left,
            to,
        };
        run.at(at_s * S, routed);
    }
    let from = USERS;
    run.at(
        20 * S,
        Event::CallStarted {
            root,
            from,
            to: api,
        },
    );
    let routed = Event::CallRouted {
        root,
        from,
        left: api,
        to: web,
    };
    run.at(23 * S, routed);
    all_hold(run);
}

#[test]
fn tries_are_told_apart_by_hedge_and_by_plaintext() {
    let mut run = Run::new(&[
        "count(web -> api/v1 where hedged) == 1",
        "count(web -> api/v1 where plaintext) == 1",
        "count(web -> api/v1 where hedged and plaintext) == 0",
        "count(web -> api/v1) == 3",
    ]);
    for (first, second) in [(false, false), (true, false), (false, true)] {
        attempt(&mut run, 1, OK, ResponseFlags::empty());
        let last = run.records.last_mut().map(|record| &mut record.event);
        if let Some(Event::Attempt {
            hedge, plaintext, ..
        }) = last
        {
            (*hedge, *plaintext) = (first, second);
        }
    }
    all_hold(run);
}

#[test]
fn pool_wait_is_the_callers_and_proxy_time_is_its_proxys() {
    let mut run = Run::new(&[
        "pool-wait.max(web -> api) == 30ms",
        "proxy-time.max(web -> api) == 7ms",
    ]);
    let (from, to) = (PodId(0), ParticipantId(1));
    run.at(
        12 * S,
        Event::CallEnded {
            root: None,
            from,
            to,
            endpoint: 0,
            start_ns: 11 * S,
            outcome: OK,
            tries: 1,
            hedges: 0,
            asked: None,
            pool_wait_ns: 30 * MS,
        },
    );
    run.at(
        12 * S,
        Event::Proxied {
            root: None,
            from,
            to: Some(to),
            start_ns: 11 * S,
            outcome: OK,
            flags: ResponseFlags::empty(),
            tries: 1,
            proxy_ns: 7 * MS,
        },
    );
    all_hold(run);
}

#[test]
fn a_try_that_another_one_beat_neither_succeeds_nor_fails() {
    let mut run = Run::new(&[
        "success(web -> api/v1) == 50%",
        "errors(web -> api/v1) == 50%",
        "count(web -> api/v1) == 4",
    ]);
    let taken_back = ResponseFlags::LR;
    attempt(&mut run, 1, OK, ResponseFlags::empty());
    attempt(
        &mut run,
        1,
        Outcome::none(Answer::Cancelled),
        ResponseFlags::empty(),
    );
    for _ in 0..2 {
        attempt(&mut run, 2, Outcome::none(Answer::Cancelled), taken_back);
    }
    all_hold(run);
}

#[test]
fn a_try_that_failed_and_was_taken_back_has_failed() {
    let mut run = Run::new(&["success(web -> api/v1) == 50%"]);
    attempt(&mut run, 1, OK, ResponseFlags::empty());
    attempt(&mut run, 2, ERROR, ResponseFlags::LR);
    all_hold(run);
}

#[test]
fn a_mirrors_copy_amplifies_nothing() {
    let mut run = Run::new(&["amplification(users -> api) == 1", "count(api) == 2"]);
    let root: Root = run.request(11 * S, 12 * S, OK);
    for _ in 0..2 {
        run.served(Some(root), 1, 11 * S, 0, 11 * S + MS, OK);
    }
    let mut arrivals = run
        .records
        .iter_mut()
        .filter_map(|record| match &mut record.event {
            Event::Arrived { copy, .. } => Some(copy),
            _ => None,
        });
    *arrivals.next().expect("it arrived") = true;
    all_hold(run);
}

#[test]
fn a_share_of_attempts_may_be_filtered_by_callee_version_or_pod() {
    let mut run = Run::new(&[
        "share(web -> api where via api/v2) == 25%",
        "share(web -> api where not via api/v2) == 75%",
        "count(web -> api where via api/v1/1) == 2",
        "share(web -> api where via api/v2 and ok) == 0%",
    ]);
    for (pod, outcome) in [(1, OK), (2, OK), (2, OK), (3, ERROR)] {
        attempt(&mut run, pod, outcome, ResponseFlags::empty());
    }
    all_hold(run);
}

#[test]
fn a_quotient_of_counts_may_be_compared_with_a_share() {
    let mut run = Run::new(&[
        "count(web -> api/v2) / count(web -> api/v1) ~= 33.3% within 1%",
        "count(web -> api/v2) / count(web -> api/v1) < 0.34",
        "30% < count(web -> api/v2) / count(web -> api/v1)",
    ]);
    for pod in [1, 2, 2, 3] {
        attempt(&mut run, pod, OK, ResponseFlags::empty());
    }
    all_hold(run);
}
