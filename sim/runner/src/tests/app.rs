//! The app model without proxies and latency, so that times are exact.

mod calls;

use http::StatusCode;
use shakedown_results::{Answer, Event, Fate, PodId};
use shakedown_scenarios::scenario::{
    Abandoned, Arrivals, AttemptBound, CpuScheduling, OnError, Order, ResolvedScenario, Step,
    StepFailure, StepStatus, Version,
};
use shakedown_scenarios::value::{Distribution, Rate, Share};

use super::build::{Build, millis, seconds};
use super::{Played, play};

/// A server whose requests take `work`, and a load on it at `rate` for one second.
fn server(rate: &str, work: &str, edit: impl FnOnce(&mut Version)) -> ResolvedScenario {
    let mut build = Build::new(1);
    let step = build.work(work);
    edit(build.service("server", vec![step]));
    build.load(0, rate);
    build.bare();
    build.scenario
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
    // A request every 10 ms, 15 ms of work each: every request waits 5 ms longer than the one before.
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
        version.queue.full = StepFailure::Reset;
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
    // Request 0 runs until 25 ms. Requests 1 and 2 arrive meanwhile, and 2 is taken. At 50 ms the last to
    // arrive is 4 or 5.
    let latencies = latencies_ms(&played);
    assert_eq!((latencies[0], latencies[2]), (25, 30));
    assert!(latencies[1] > 500, "{}", latencies[1]);
}

#[test]
fn cores_in_order_and_shared_differ_in_who_waits() {
    let burst = |cpu| {
        // An even load cannot send two at a time, so work of 15 ms every 10 ms makes requests overlap.
        let mut scenario = server("100/s", "15ms", |version| {
            version.cores = Some(1);
            version.cpu = cpu;
        });
        scenario.loads[0].stop = millis(20);
        play(&scenario)
    };
    let in_order = burst(CpuScheduling::Fifo);
    assert_eq!(latencies_ms(&in_order), [15, 20]);
    // The first is alone for 10 ms, both share for 10 ms, then the second is alone for 10 ms.
    let shared = burst(CpuScheduling::Ps);
    assert_eq!(latencies_ms(&shared), [20, 20]);
    shared.check_laws();
}

#[test]
fn core_time_adds_up_to_the_work() {
    for cpu in [CpuScheduling::Fifo, CpuScheduling::Ps] {
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
    let mut scenario = server("100/s", "15ms", |version| {
        version.cores = Some(1);
        version.cpu = CpuScheduling::Fifo;
    });
    scenario.loads[0].stop = millis(20);
    let waits = play(&scenario)
        .records
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Served { queue_wait_ns, .. } => Some(queue_wait_ns),
            _ => None,
        });
    assert_eq!(waits.collect::<Vec<_>>(), [0, 5_000_000]);
}

/// The total queueing time of requests, ns: by the events of the queue, and by the records of the ends.
fn queued_ns(played: &Played) -> (i128, i128) {
    let (mut length, mut since, mut integral, mut recorded) = (0i128, 0i128, 0, 0);
    for record in &played.records {
        let by = match &record.event {
            Event::Arrived { queued: true, .. } | Event::Queued { .. } => 1,
            Event::Dequeued { .. } => -1,
            Event::Served { queue_wait_ns, .. } => {
                recorded += i128::from(*queue_wait_ns);
                0
            }
            _ => continue,
        };
        let now = i128::from(record.at_ns);
        integral += length * (now - since);
        (length, since) = (length + by, now);
    }
    assert_eq!(length, 0, "all have left the queue");
    (integral, recorded)
}

#[test]
fn a_request_waiting_for_a_fifo_core_is_queued_each_time() {
    // 15 ms of work every 10 ms, in two steps with a pause between: requests wait for a core before both.
    let mut build = Build::new(1);
    let steps = vec![
        build.work("10ms"),
        build.sleep("3ms"),
        Step::Parallel(vec![vec![build.work("3ms")], vec![build.work("2ms")]]),
    ];
    let version = build.service("server", steps);
    version.cores = Some(1);
    version.cpu = CpuScheduling::Fifo;
    build.load(0, "100/s");
    build.bare();
    let played = play(&build.scenario);
    played.check_laws();
    let (by_events, by_requests) = queued_ns(&played);
    assert!(by_requests > 1_000_000_000, "{by_requests} ns");
    assert_eq!(by_events, by_requests, "Little's law");
    let queued = played.count(|event| matches!(event, Event::Queued { .. }));
    assert!(queued > 200, "{queued}: more than twice a request");
}

#[test]
fn queue_time_for_a_core_ends_when_the_pod_dies() {
    let mut scenario = server("100/s", "1s", |version| {
        version.cores = Some(1);
        version.cpu = CpuScheduling::Fifo;
    });
    scenario.loads[0].timeout = seconds(1);
    scenario.drain = millis(100);
    let played = play(&scenario);
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
                None => CpuScheduling::Ps,
                Some(_) => CpuScheduling::Fifo,
            };
        }));
        let queued = played.count(|event| matches!(event, Event::Queued { .. }));
        assert_eq!(queued, 0, "{workers:?}");
        assert_eq!(queued_ns(&played), (0, 0), "{workers:?}");
    }
}

#[test]
fn an_undeclared_path_answers_404() {
    let mut scenario = server("10/s", "3ms", |_| {});
    scenario.loads[0].entries[0].path = "/other".to_owned();
    let played = play(&scenario);
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

#[test]
fn the_same_seed_repeats_every_record_and_another_does_not() {
    let mut scenario = server("200/s", "exp(3ms)", |version| version.workers = Some(1));
    scenario.loads[0].arrivals = Arrivals::Poisson;
    let with = |seed, noise| {
        let options = crate::RunnerOptions {
            seed,
            noise,
            ..crate::RunnerOptions::default()
        };
        super::play_with(&scenario, options, shakedown_results::Engine::Native).records
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
    let played = play(&build.scenario);
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
    // W = S/(1 - rho) = 2 ms. The mean of 200,000 correlated samples is within 3%.
    assert!(
        (1_940_000..2_060_000).contains(&mean_client),
        "{mean_client} ns"
    );
}
