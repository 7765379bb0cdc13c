//! Calls of an app: sequences, parallel branches, failures, and connections.

use super::*;

/// A front that executes `steps`, and a back with index 0 that works for 2 ms.
fn front(steps: impl FnOnce(&mut Build) -> Vec<Step>) -> ResolvedScenario {
    let mut build = Build::new(1);
    let work = build.work("2ms");
    build.service("back", vec![work]);
    let steps = steps(&mut build);
    build.service("front", steps);
    build.load(1, "10/s");
    build.bare();
    build.scenario
}

#[test]
fn a_sequence_of_calls_takes_their_sum_and_a_parallel_their_maximum() {
    let in_order = play(&front(|build| {
        let calls = [build.call(0), build.call(0)];
        calls.map(|call| Step::Call(Box::new(call))).into()
    }));
    assert_eq!(latencies_ms(&in_order), [4; 10]);
    let at_once = play(&front(|build| {
        let calls = [build.call(0), build.call(0)];
        vec![Step::Parallel(
            calls.map(|call| vec![Step::Call(Box::new(call))]).into(),
        )]
    }));
    assert_eq!(latencies_ms(&at_once), [2; 10]);
    at_once.check_laws();
}

#[test]
fn a_worker_is_held_through_calls_and_sleeps() {
    let mut scenario = front(|build| {
        let call = build.call(0);
        vec![
            build.sleep("50ms"),
            Step::Call(Box::new(call)),
            build.sleep("48ms"),
        ]
    });
    let version = &mut scenario.services[1].versions[0];
    version.workers = Some(1);
    // 100 ms of work every 100 ms: a second worker and a queue are never needed.
    assert_eq!(latencies_ms(&play(&scenario)), [100; 10]);
    scenario.loads[0].stages[0].from = Rate::parse("20/s").unwrap();
    scenario.loads[0].stages[0].to = Rate::parse("20/s").unwrap();
    let expected: Vec<i64> = (0..20).map(|seq| 100 + 50 * seq).collect();
    assert_eq!(latencies_ms(&play(&scenario))[..19], expected[..19]);
}

#[test]
fn times_repeats_in_order_and_fan_out_at_once() {
    let played = play(&front(|build| {
        let mut call = build.call(0);
        call.times.from = Distribution::constant_count(3);
        call.fan_out.from = Distribution::constant_count(5);
        vec![Step::Call(Box::new(call))]
    }));
    played.check_laws();
    assert_eq!(latencies_ms(&played), [6; 10]);
    assert_eq!(played.stays_ns(PodId(0)).len(), 150);
}

#[test]
fn a_call_names_its_caller_and_its_root() {
    let played = play(&front(|build| vec![Step::Call(Box::new(build.call(0)))]));
    let at_back = played
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Served {
                pod: PodId(0),
                from,
                root,
                ..
            } => Some((*from, root.is_some())),
            _ => None,
        });
    assert_eq!(at_back.collect::<Vec<_>>(), [(Some(PodId(1)), true); 10]);
}

#[test]
fn a_failed_call_fails_its_endpoint_unless_it_is_ignored() {
    let failing = |on_error| {
        let mut scenario = front(|build| {
            let mut call = build.call(0);
            call.on_error = on_error;
            vec![Step::Call(Box::new(call))]
        });
        let (status, headers) = (StatusCode::IM_A_TEAPOT, Vec::new());
        scenario.services[0].versions[0].endpoints[0] = Some(vec![Step::Respond {
            status: StepStatus::Http(status),
            size: 0,
            headers,
        }]);
        play(&scenario)
            .finished()
            .iter()
            .map(|finish| finish.outcome.status)
            .collect::<Vec<_>>()
    };
    assert_eq!(failing(OnError::Fail), [502; 10]);
    assert_eq!(failing(OnError::Ignore), [200; 10]);
}

#[test]
fn a_call_that_times_out_is_a_504() {
    let played = play(&front(|build| {
        let mut call = build.call(0);
        call.timeout = Some(AttemptBound::Span(millis(1)));
        vec![Step::Call(Box::new(call))]
    }));
    played.check_laws();
    assert!(
        played
            .finished()
            .iter()
            .all(|finish| finish.outcome.status == 504)
    );
    assert_eq!(latencies_ms(&played), [1; 10]);
    // The front abandoned the back, which finished all the same.
    assert_eq!(played.served(Fate::Abandoned), 10);
    assert_eq!(played.stays_ns(PodId(0)), [2_000_000; 10]);
}

#[test]
fn a_queued_request_whose_caller_has_gone_may_be_dropped() {
    let abandoned = |rule| {
        let mut scenario = server("10/s", "300ms", |version| {
            version.workers = Some(1);
            version.abandoned = rule;
        });
        scenario.loads[0].timeout = millis(350);
        play(&scenario)
    };
    let finish = abandoned(Abandoned::Finish);
    finish.check_laws();
    assert_eq!(finish.served(Fate::Shed), 0);
    assert_eq!(
        finish.served(Fate::Done) + finish.served(Fate::Abandoned),
        10
    );
    let drop = abandoned(Abandoned::Drop);
    drop.check_laws();
    assert!(drop.served(Fate::Shed) > 0);
    assert!(drop.served(Fate::Abandoned) < finish.served(Fate::Abandoned));
}

#[test]
fn a_failing_step_fails_its_share() {
    for (with, status) in [
        (
            StepFailure::Status(StepStatus::Http(StatusCode::INTERNAL_SERVER_ERROR)),
            500,
        ),
        (StepFailure::Reset, 0),
        (StepFailure::Hang, 0),
    ] {
        let mut build = Build::new(4);
        let draw_id = build.draw_id("fail");
        let fail = Step::Fail {
            rate: Share::from_ppb(250_000_000),
            with,
            draw_id,
        };
        build.service("server", vec![fail]);
        build.load(0, "100/s").timeout = millis(100);
        build.bare();
        let played = play(&build.scenario);
        played.check_laws();
        let finished = played.finished();
        let failed = finished
            .iter()
            .filter(|finish| finish.outcome.answer != Answer::Ok);
        let failed: Vec<u16> = failed.map(|finish| finish.outcome.status).collect();
        assert!(
            failed.iter().all(|had| *had == status),
            "{with:?}: {failed:?}"
        );
        // 400 draws of 25%, six standard deviations.
        assert!(
            (48..152).contains(&failed.len()),
            "{with:?}: {}",
            failed.len()
        );
    }
}

#[test]
fn a_response_carries_its_body() {
    let mut scenario = server("10/s", "1ms", |_| {});
    let (status, headers) = (StatusCode::CREATED, Vec::new());
    scenario.services[0].versions[0].endpoints[0] = Some(vec![Step::Respond {
        status: StepStatus::Http(status),
        size: 1_000_000,
        headers,
    }]);
    scenario.loads[0].entries[0].size = 300_000;
    let played = play(&scenario);
    played.check_laws();
    assert!(
        played
            .finished()
            .iter()
            .all(|finish| finish.outcome.status == 201)
    );
}

#[test]
fn a_new_connection_for_each_request_works_as_well() {
    let mut scenario = server("10/s", "1ms", |_| {});
    scenario.loads[0].new_connections = true;
    assert_eq!(play(&scenario).answers(Answer::Ok), 10);
}

#[test]
fn connections_end_after_their_requests_and_nobody_notices() {
    let mut scenario = server("50/s", "1ms", |version| {
        version.keep_alive_requests = Some(3)
    });
    scenario.services[0].versions[0].keep_alive_idle = seconds(1);
    assert_eq!(play(&scenario).answers(Answer::Ok), 50);
}

#[test]
fn without_a_sidecar_connections_go_to_random_replicas() {
    let mut scenario = server("200/s", "5ms", |version| version.replicas = 3);
    scenario.loads[0].new_connections = true;
    let played = play(&scenario);
    played.check_laws();
    for pod in [0, 1, 2] {
        let served = played.stays_ns(PodId(pod)).len();
        // 200 draws of a third, five standard deviations.
        assert!((34..100).contains(&served), "{served}");
    }
}
