//! The requests that each figure counts and leaves out.

use shakedown_results::{Event, Fate, ParticipantId, PodId, Root};
use shakedown_types::ResponseFlags;

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
    if let Some(Event::Served { fate, .. }) = run.records.last_mut().map(|record| &mut record.event)
    {
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
fn latency_counts_from_the_intended_start_and_uncorrected_latency_from_the_send() {
    let mut run = Run::new(&[
        "max(users) == 500ms",
        "uncorrected.max(users) == 200ms",
        "send-lag.max(users) == 300ms",
    ]);
    let root = Root {
        load: ParticipantId(2),
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
    if let Some(Event::Served { endpoint, .. }) =
        run.records.last_mut().map(|record| &mut record.event)
    {
        *endpoint = 1;
    }
    all_hold(run);
}

#[test]
fn caller_retries_add_to_its_proxys_and_count_once_without_a_proxy() {
    for (sidecar, retries) in [(true, 2), (false, 1)] {
        let check = format!("retries(web -> api) == {retries}");
        let mut run = Run::new(&[&check, "attempts(web -> api) == 2"]);
        run.scenario.services[0].versions[0].sidecar = sidecar;
        call_of_two_tries(&mut run);
        all_hold(run);
    }
}

/// Adds a call with two attempts by its app, and the events of both.
fn call_of_two_tries(run: &mut Run) {
    let (from, participant) = (PodId(0), ParticipantId(1));
    run.at(
        12 * S,
        Event::CallEnded {
            root: None,
            from,
            to: participant,
            endpoint: 0,
            start_ns: 11 * S,
            outcome: OK,
            tries: 2,
            hedges: 0,
            asked: None,
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
                to_participant: participant,
                start_ns: 11 * S,
                outcome,
                flags: ResponseFlags::empty(),
                number,
                hedge: false,
                plaintext: true,
            },
        );
    }
}

#[test]
fn counts_over_times_are_rates_and_rates_over_times_counts() {
    let mut run = Run::new(&[
        "count(users during 10s..20s) / 10s == 0.2/s",
        "offered(users during 10s..20s) * 10s == 2",
        "10s * offered(users during 10s..20s) == 2",
        "count(users during 10s..20s) == 0.2/s * 10s",
        "count(users during 10s..20s) / (5s + 5s) == 12/m",
        "count(users during 10s..20s) / mean(users) == 20/s",
        "count(users during 10s..20s) == offered(users during 10s..20s) * 100 * mean(users)",
    ]);
    for second in [11, 12] {
        run.request(second * S, second * S + 100 * MS, OK);
    }
    all_hold(run);
}

#[test]
fn near_takes_in_its_border_and_the_right_side_without_its_sign() {
    let mut run = Run::new(&[
        "mean(users) ~= 200ms within 50%",
        "mean(users) ~= 50ms within 100%",
        "0s - mean(users) ~= 0s - 110ms within 10%",
        "mean(users) ~= 200ms within 49%",
    ]);
    run.request(11 * S, 11 * S + 100 * MS, OK);
    assert_eq!(run.verdicts(), [true, true, true, false].map(Some));
}

#[test]
fn a_request_that_its_client_sent_once_was_not_retried() {
    let mut run = Run::new(&["count(users where retried) == 1"]);
    for tries in [1, 2] {
        run.request(11 * S, 12 * S, OK);
        let last = run.records.last_mut().map(|record| &mut record.event);
        if let Some(Event::Finished {
            tries: reported, ..
        }) = last
        {
            *reported = tries;
        }
    }
    all_hold(run);
}

#[test]
fn a_request_goes_via_the_endpoint_that_it_reached() {
    let mut run = Run::new(&[
        "count(users where via web GET /) == 1",
        "count(users where via web GET /x) == 0",
    ]);
    let root = run.request(11 * S, 12 * S, OK);
    run.served(Some(root), 0, 11 * S, 0, 12 * S, OK);
    all_hold(run);
}

#[test]
fn the_denominator_of_a_flag_share_includes_requests_rejected_before_the_app() {
    let mut run = Run::new(&[
        "share(api where flag == UO) == 50%",
        "count(api where flag == UO) == 1",
        "count(api) == 1",
    ]);
    run.served(None, 1, 11 * S, 0, 12 * S, OK);
    run.at(
        11 * S,
        Event::Flagged {
            root: None,
            pod: PodId(1),
            start_ns: 11 * S,
            outcome: ERROR,
            flags: ResponseFlags::UO,
            turned_away: true,
        },
    );
    all_hold(run);
}

#[test]
fn a_service_with_a_pod_that_has_no_limit_is_never_busy() {
    let mut run = Run::new(&["busy(api) <= 100%", "busy(api/v2) == 0%"]);
    run.scenario.services[1].versions[0].workers = None;
    let checks = run.checks();
    let reason = "not judged: `busy(api)`: `busy` requires a service with `workers` or `cores`";
    assert_eq!(checks[0].observed, reason);
    assert_eq!(checks[1].pass, Some(true));
}

#[test]
fn queued_and_in_flight_counts_are_separate_for_each_endpoint() {
    let mut run = Run::new(&[
        "queued.max(web GET /) == 1",
        "queued.max(web GET /x) == 0",
        "in-flight.max(web GET /) == 1",
        "in-flight.max(web GET /x) == 0",
    ]);
    run.served(None, 0, 20 * S, S, 25 * S, OK);
    all_hold(run);
}

#[test]
fn senders_are_told_apart_by_zone() {
    let mut run = Run::new(&[
        "count(api where from zone a) == 1",
        "count(api where from zone b) == 0",
    ]);
    run.served(None, 1, 20 * S, 0, 25 * S, OK);
    all_hold(run);
}

#[test]
fn a_status_of_grpc_is_told_apart_from_the_others() {
    let mut run = Run::new(&[
        "count(users where status == UNAVAILABLE) == 1",
        "count(users where status == NOT_FOUND) == 0",
        "count(users where not status == UNAVAILABLE) == 1",
    ]);
    run.request(11 * S, 12 * S, OK);
    let unavailable = shakedown_results::Outcome {
        grpc: shakedown_types::GrpcStatus::from_name("UNAVAILABLE"),
        ..ERROR
    };
    run.request(11 * S, 12 * S, unavailable);
    all_hold(run);
}
