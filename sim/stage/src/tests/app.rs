//! The app model, without proxies and without latency: times are exact.

use http::StatusCode;
use shakedown_results::{Answer, Event, Fate, PodId};
use shakedown_scenarios::story::{
    Abandoned, Arrivals, Bound, Cpu, Failure, OnError, Order, Status, Step, Story, Version,
};
use shakedown_scenarios::value::{Distribution, Rate, Share};

use super::build::{Build, millis, seconds};
use super::{Played, play};

/// One server whose requests take `work`, and a load on it at `rate` for a second.
fn server(rate: &str, work: &str, edit: impl FnOnce(&mut Version)) -> Story {
    let mut build = Build::new(1);
    let step = build.work(work);
    edit(build.service("server", vec![step]));
    build.load(0, rate);
    build.bare();
    build.story
}

fn latencies_ms(played: &Played) -> Vec<i64> {
    played
        .finished()
        .iter()
        .map(|finish| finish.latency_ns() / 1_000_000)
        .collect()
}

#[test]
fn an_idle_server_answers_after_its_work() {
    let played = play(&server("10/s", "3ms", |_| {}));
    played.check_laws();
    assert_eq!(latencies_ms(&played), [3; 10]);
    assert_eq!(played.served(Fate::Done), 10);
}

#[test]
fn a_worker_takes_one_request_after_the_other() {
    // One a 10 ms, 15 ms each: every request waits 5 ms longer than the one before.
    let played = play(&server("100/s", "15ms", |version| {
        version.workers = Some(1)
    }));
    played.check_laws();
    let expected: Vec<i64> = (0..100).map(|seq| 15 + 5 * seq).collect();
    assert_eq!(latencies_ms(&played), expected);
    let queued = played.count(|event| matches!(event, Event::Arrived { queued: true, .. }));
    assert_eq!(queued, 99);
    assert_eq!(
        played.count(|event| matches!(event, Event::Dequeued { .. })),
        99
    );
}

#[test]
fn the_queue_wait_and_the_work_make_up_the_stay() {
    let played = play(&server("100/s", "15ms", |version| {
        version.workers = Some(2)
    }));
    for record in &played.records {
        if let Event::Served {
            arrived_ns,
            queue_wait_ns,
            ..
        } = &record.event
        {
            assert_eq!(record.at_ns - arrived_ns, queue_wait_ns + 15_000_000);
        }
    }
}

#[test]
fn a_full_queue_refuses_with_503() {
    let played = play(&server("100/s", "1s", |version| {
        version.workers = Some(1);
        version.queue.limit = Some(2);
    }));
    played.check_laws();
    let refused = played.served(Fate::Refused);
    assert_eq!(refused, 97);
    let answers = played.finished();
    assert_eq!(
        answers
            .iter()
            .filter(|finish| finish.outcome.status == 503)
            .count(),
        refused
    );
}

#[test]
fn a_full_queue_may_reset_the_connection() {
    let played = play(&server("100/s", "500ms", |version| {
        version.workers = Some(1);
        version.queue.limit = Some(0);
        version.queue.full = Failure::Reset;
    }));
    played.check_laws();
    assert_eq!(played.served(Fate::Refused), 98);
    let reset = played
        .finished()
        .into_iter()
        .filter(|finish| finish.outcome.status == 0 && finish.outcome.answer == Answer::Error);
    assert_eq!(reset.count(), 98);
}

#[test]
fn lifo_takes_the_last_that_came() {
    let played = play(&server("100/s", "25ms", |version| {
        version.workers = Some(1);
        version.queue.order = Order::Lifo;
    }));
    played.check_laws();
    // 0 runs until 25 ms; 1 and 2 came meanwhile, 2 is taken; at 50 ms the last to come is 4 or 5.
    let latencies = latencies_ms(&played);
    assert_eq!((latencies[0], latencies[2]), (25, 30));
    assert!(latencies[1] > 500, "{}", latencies[1]);
}

#[test]
fn cores_in_order_and_shared_differ_in_who_waits() {
    let burst = |cpu| {
        // Two at a time cannot be had from an even load: work of 15 ms every 10 ms overlaps.
        let mut story = server("100/s", "15ms", |version| {
            version.cores = Some(1);
            version.cpu = cpu;
        });
        story.loads[0].stop = millis(20);
        play(&story)
    };
    let in_order = burst(Cpu::Fifo);
    assert_eq!(latencies_ms(&in_order), [15, 20]);
    // Alone for 10 ms, then both share for 10 ms, then the second has 10 ms left alone.
    let shared = burst(Cpu::Ps);
    assert_eq!(latencies_ms(&shared), [20, 20]);
    shared.check_laws();
}

#[test]
fn core_time_adds_up_to_the_work() {
    for cpu in [Cpu::Fifo, Cpu::Ps] {
        let played = play(&server("100/s", "15ms", |version| {
            version.cores = Some(2);
            version.cpu = cpu;
        }));
        let core: i64 = played
            .records
            .iter()
            .filter_map(|record| match &record.event {
                Event::Worked { core_ns, .. } => Some(*core_ns),
                _ => None,
            })
            .sum();
        assert_eq!(core, 100 * 15_000_000, "{cpu:?}");
    }
}

#[test]
fn an_apps_wait_for_a_core_is_its_queue_wait() {
    let mut story = server("100/s", "15ms", |version| {
        version.cores = Some(1);
        version.cpu = Cpu::Fifo;
    });
    story.loads[0].stop = millis(20);
    let waits = play(&story)
        .records
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Served { queue_wait_ns, .. } => Some(queue_wait_ns),
            _ => None,
        });
    assert_eq!(waits.collect::<Vec<_>>(), [0, 5_000_000]);
}

/// How long requests queued by the events, ns; and by what each says of itself at its end.
fn queued_ns(played: &Played) -> (i128, i128) {
    let (mut length, mut since, mut integral, mut told) = (0i128, 0i128, 0, 0);
    for record in &played.records {
        let by = match &record.event {
            Event::Arrived { queued: true, .. } | Event::Queued { .. } => 1,
            Event::Dequeued { .. } => -1,
            Event::Served { queue_wait_ns, .. } => {
                told += i128::from(*queue_wait_ns);
                0
            }
            _ => continue,
        };
        let now = i128::from(record.at_ns);
        integral += length * (now - since);
        (length, since) = (length + by, now);
    }
    assert_eq!(length, 0, "all have left the queue");
    (integral, told)
}

#[test]
fn who_waits_for_a_core_in_order_is_in_the_queue_each_time_it_does() {
    // 15 ms of work for each 10 ms, in two steps with a pause between: requests wait for a core before both.
    let mut build = Build::new(1);
    let steps = vec![
        build.work("10ms"),
        build.sleep("3ms"),
        Step::Parallel(vec![vec![build.work("3ms")], vec![build.work("2ms")]]),
    ];
    let version = build.service("server", steps);
    version.cores = Some(1);
    version.cpu = Cpu::Fifo;
    build.load(0, "100/s");
    build.bare();
    let played = play(&build.story);
    played.check_laws();
    let (by_events, by_requests) = queued_ns(&played);
    assert!(by_requests > 1_000_000_000, "{by_requests} ns");
    assert_eq!(by_events, by_requests, "Little's law");
    let queued = played.count(|event| matches!(event, Event::Queued { .. }));
    assert!(queued > 200, "{queued}: more than twice a request");
}

#[test]
fn who_waits_for_a_core_when_its_pod_dies_has_waited_until_then() {
    let mut story = server("100/s", "1s", |version| {
        version.cores = Some(1);
        version.cpu = Cpu::Fifo;
    });
    story.loads[0].timeout = seconds(1);
    story.drain = millis(100);
    let played = play(&story);
    played.check_laws();
    assert!(played.served(Fate::Abandoned) > 90);
    let (by_events, by_requests) = queued_ns(&played);
    assert_eq!(by_events, by_requests, "Little's law");
}

#[test]
fn nobody_queues_where_cores_are_shared_or_workers_are_the_limit() {
    for workers in [None, Some(100)] {
        let played = play(&server("100/s", "15ms", |version| {
            version.cores = Some(1);
            version.workers = workers;
            version.cpu = match workers {
                None => Cpu::Ps,
                Some(_) => Cpu::Fifo,
            };
        }));
        let queued = played.count(|event| matches!(event, Event::Queued { .. }));
        assert_eq!(queued, 0, "{workers:?}");
        assert_eq!(queued_ns(&played), (0, 0), "{workers:?}");
    }
}

#[test]
fn an_undeclared_path_answers_404() {
    let mut story = server("10/s", "3ms", |_| {});
    story.loads[0].entries[0].path = "/other".to_owned();
    let played = play(&story);
    played.check_laws();
    assert!(
        played
            .finished()
            .iter()
            .all(|finish| finish.outcome.status == 404)
    );
    let undeclared = played.count(|event| {
        matches!(
            event,
            Event::Served {
                endpoint: u16::MAX,
                ..
            }
        )
    });
    assert_eq!(undeclared, 10);
}

/// A front that takes `steps`, given the back's index, and a back that works 2 ms.
fn front(steps: impl FnOnce(&mut Build) -> Vec<Step>) -> Story {
    let mut build = Build::new(1);
    let work = build.work("2ms");
    build.service("back", vec![work]);
    let steps = steps(&mut build);
    build.service("front", steps);
    build.load(1, "10/s");
    build.bare();
    build.story
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
    let mut story = front(|build| {
        let call = build.call(0);
        vec![
            build.sleep("50ms"),
            Step::Call(Box::new(call)),
            build.sleep("48ms"),
        ]
    });
    let version = &mut story.services[1].versions[0];
    version.workers = Some(1);
    // 100 ms each, and one every 100 ms: the second worker would never be needed, nor a queue.
    assert_eq!(latencies_ms(&play(&story)), [100; 10]);
    story.loads[0].stages[0].from = Rate::parse("20/s").unwrap();
    story.loads[0].stages[0].to = Rate::parse("20/s").unwrap();
    let expected: Vec<i64> = (0..20).map(|seq| 100 + 50 * seq).collect();
    assert_eq!(latencies_ms(&play(&story))[..19], expected[..19]);
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
        let mut story = front(|build| {
            let mut call = build.call(0);
            call.on_error = on_error;
            vec![Step::Call(Box::new(call))]
        });
        let (status, headers) = (StatusCode::IM_A_TEAPOT, Vec::new());
        story.services[0].versions[0].endpoints[0] = Some(vec![Step::Respond {
            status: Status::Http(status),
            size: 0,
            headers,
        }]);
        play(&story)
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
        call.timeout = Some(Bound::Span(millis(1)));
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
    // The back was left alone, and finished all the same.
    assert_eq!(played.served(Fate::Abandoned), 10);
    assert_eq!(played.stays_ns(PodId(0)), [2_000_000; 10]);
}

#[test]
fn a_queued_request_whose_caller_has_gone_may_be_dropped() {
    let abandoned = |rule| {
        let mut story = server("10/s", "300ms", |version| {
            version.workers = Some(1);
            version.abandoned = rule;
        });
        story.loads[0].timeout = millis(350);
        play(&story)
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
            Failure::Status(Status::Http(StatusCode::INTERNAL_SERVER_ERROR)),
            500,
        ),
        (Failure::Reset, 0),
        (Failure::Hang, 0),
    ] {
        let mut build = Build::new(4);
        let place = build.place("fail");
        let fail = Step::Fail {
            rate: Share::from_ppb(250_000_000),
            with,
            place,
        };
        build.service("server", vec![fail]);
        build.load(0, "100/s").timeout = millis(100);
        build.bare();
        let played = play(&build.story);
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
    let mut story = server("10/s", "1ms", |_| {});
    let (status, headers) = (StatusCode::CREATED, Vec::new());
    story.services[0].versions[0].endpoints[0] = Some(vec![Step::Respond {
        status: Status::Http(status),
        size: 1_000_000,
        headers,
    }]);
    story.loads[0].entries[0].size = 300_000;
    let played = play(&story);
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
    let mut story = server("10/s", "1ms", |_| {});
    story.loads[0].new_connections = true;
    assert_eq!(play(&story).answers(Answer::Ok), 10);
}

#[test]
fn connections_end_after_their_requests_and_nobody_notices() {
    let mut story = server("50/s", "1ms", |version| {
        version.keep_alive_requests = Some(3)
    });
    story.services[0].versions[0].keep_alive_idle = seconds(1);
    assert_eq!(play(&story).answers(Answer::Ok), 50);
}

#[test]
fn without_a_sidecar_connections_go_to_random_replicas() {
    let mut story = server("200/s", "5ms", |version| version.replicas = 3);
    story.loads[0].new_connections = true;
    let played = play(&story);
    played.check_laws();
    for pod in [0, 1, 2] {
        let served = played.stays_ns(PodId(pod)).len();
        // 200 draws of a third, five standard deviations.
        assert!((34..100).contains(&served), "{served}");
    }
}

#[test]
fn the_same_seed_repeats_every_record_and_another_does_not() {
    let mut story = server("200/s", "exp(3ms)", |version| version.workers = Some(1));
    story.loads[0].arrivals = Arrivals::Poisson;
    let with = |seed, noise| {
        let options = crate::Options {
            seed,
            noise,
            ..crate::Options::default()
        };
        super::play_with(&story, options, crate::World::Native).records
    };
    let first = with(1, None);
    assert_eq!(first, with(1, None));
    assert_eq!(first, with(1, Some(9)));
    assert_ne!(first, with(2, None));
}

#[test]
fn a_single_server_behaves_as_theory_says() {
    let mut build = Build::new(400);
    let step = build.work("exp(1ms)");
    let version = build.service("server", vec![step]);
    version.workers = Some(1);
    version.queue.limit = None;
    build.load(0, "500/s").arrivals = Arrivals::Poisson;
    build.bare();
    let played = play(&build.story);
    let count = played.finished().len() as i64;
    assert!(count > 190_000);
    let mean_client = played
        .finished()
        .iter()
        .map(|f| f.latency_ns())
        .sum::<i64>()
        / count;
    let mean_server = played.stays_ns(PodId(0)).iter().sum::<i64>() / count;
    assert_eq!(mean_client, mean_server);
    // W = S/(1 - rho) = 2 ms; of 200,000 correlated samples the mean is within 3%.
    assert!(
        (1_940_000..2_060_000).contains(&mean_client),
        "{mean_client} ns"
    );
}
