//! What each figure counts and leaves out.

use shakedown_results::{Event, Fate, PartyId, PodId, Root};

use super::{DROPPED, ERROR, MS, OK, Run, S, TIMEOUT};

fn all_hold(run: Run) {
    for check in &run.checks() {
        assert_eq!(check.pass, Some(true), "{check:?}");
    }
}

#[test]
fn errors_are_what_success_is_not() {
    let mut run = Run::new(&["errors(users) == 25%", "success(users) == 75%"]);
    for (second, outcome) in [(11, OK), (12, OK), (13, OK), (14, ERROR)] {
        run.request(second * S, second * S + MS, outcome);
    }
    all_hold(run);
}

#[test]
fn a_rate_is_of_answers_and_goodput_of_good_ones() {
    let mut run = Run::new(&[
        "offered(users during 10s..20s) == 0.4/s",
        "rate(users during 10s..20s) == 0.2/s",
        "goodput(users during 10s..20s) == 0.1/s",
    ]);
    for (second, outcome) in [(11, OK), (12, ERROR), (13, TIMEOUT), (14, DROPPED)] {
        run.request(second * S, second * S + MS, outcome);
    }
    all_hold(run);
}

#[test]
fn what_is_served_to_nobody_is_no_goodput() {
    let mut run = Run::new(&[
        "rate(api during 10s..20s) == 0.2/s",
        "goodput(api during 10s..20s) == 0.1/s",
    ]);
    run.served(None, 1, 11 * S, 0, 11 * S + MS, OK);
    run.served(None, 1, 12 * S, 0, 12 * S + MS, OK);
    if let Some(Event::Served { fate, .. }) = run.records.last_mut().map(|it| &mut it.event) {
        *fate = Fate::Abandoned;
    }
    all_hold(run);
}

#[test]
fn what_was_never_sent_has_no_latency() {
    let mut run = Run::new(&[
        "min(users) == 100ms",
        "mean(users) == 100ms",
        "count(users where latency >= 0s) == 1",
        "count(users) == 2",
    ]);
    run.request(11 * S, 11 * S + 100 * MS, OK);
    run.request(12 * S, 12 * S, DROPPED);
    all_hold(run);
}

#[test]
fn a_latency_counts_from_when_a_request_was_due_and_the_uncorrected_from_when_it_was_sent() {
    let mut run = Run::new(&[
        "max(users) == 500ms",
        "uncorrected.max(users) == 200ms",
        "send-lag.max(users) == 300ms",
    ]);
    let root = Root {
        load: PartyId(2),
        entry: 0,
        seq: 0,
    };
    let sent_ns = 11 * S + 300 * MS;
    run.at(sent_ns, Event::Sent { root });
    run.at(
        11 * S + 500 * MS,
        Event::Finished {
            root,
            pod: PodId(4),
            intended_ns: 11 * S,
            sent_ns: Some(sent_ns),
            outcome: OK,
            tries: 1,
        },
    );
    all_hold(run);
}

#[test]
fn an_endpoint_is_told_apart_from_the_others_of_its_service() {
    let mut run = Run::new(&[
        "count(web) == 3",
        "count(web GET /) == 2",
        "count(web GET /x) == 1",
    ]);
    for second in [11, 12, 13] {
        run.served(None, 0, second * S, 0, second * S + MS, OK);
    }
    if let Some(Event::Served { endpoint, .. }) = run.records.last_mut().map(|it| &mut it.event) {
        *endpoint = 1;
    }
    all_hold(run);
}

#[test]
fn tries_of_a_caller_count_beside_those_of_its_proxy_and_once_where_it_has_none() {
    for (sidecar, retries) in [(true, 2), (false, 1)] {
        let check = format!("retries(web -> api) == {retries}");
        let mut run = Run::new(&[&check, "attempts(web -> api) == 2"]);
        run.story.services[0].versions[0].sidecar = sidecar;
        call_of_two_tries(&mut run);
        all_hold(run);
    }
}

/// A call that its app tried twice, and what was seen of these.
fn call_of_two_tries(run: &mut Run) {
    let (from, party) = (PodId(0), PartyId(1));
    run.at(
        12 * S,
        Event::CallEnded {
            root: None,
            from,
            to: party,
            endpoint: 0,
            start_ns: 11 * S,
            outcome: OK,
            tries: 2,
            hedges: 0,
            pool_wait_ns: 0,
        },
    );
    for (number, outcome) in [(1, ERROR), (2, OK)] {
        run.at(
            11 * S + i64::from(number) * MS,
            Event::Attempt {
                root: None,
                from,
                to: Some(PodId(1)),
                to_party: party,
                start_ns: 11 * S,
                outcome,
                flags: 0,
                number,
                hedge: false,
                plaintext: true,
            },
        );
    }
}
