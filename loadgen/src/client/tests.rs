use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use http::{Response, StatusCode};
use shakedown_env::{Env, Time, stream_seed};
use shakedown_results::{Answer, Event, ParticipantId, PodId};
use shakedown_scenarios::scenario::{AppRetries, DrawId, LoadSpec, Protocol};
use shakedown_scenarios::value::Share;
use shakedown_wire::{Body, ServerOptions, accept_loop};

use super::{LoadClients, LoadPlan, run};
use crate::scene::{host, load, sim};
use crate::{CallTarget, CallingHost, ClientTransport, Recorder, Schedule};

/// A recorder in memory; 0 s is the start of the simulation.
#[derive(Default)]
struct Memory(RefCell<Vec<(u64, Event)>>);

impl Recorder for Memory {
    fn nanos(&self, at: Time) -> i64 {
        at.as_nanos() as i64
    }

    fn pod_at(&self, _address: SocketAddr) -> Option<PodId> {
        Some(PodId(0))
    }

    fn record(&self, now: Time, event: Event) {
        self.0.borrow_mut().push((now.as_nanos(), event));
    }
}

/// A server that responds to every request with `status` after `delay`.
fn serve(env: &Env, delay: Duration, status: StatusCode) {
    let listener = env.listen(SocketAddr::from(([10, 0, 0, 1], 80))).unwrap();
    let own = env.clone();
    env.spawn("server", async move {
        let outer = own.clone();
        accept_loop(
            &outer,
            listener,
            &ServerOptions::default(),
            "connection",
            move |_| {
                let env = own.clone();
                move |_request| {
                    let sleep = env.sleep(delay);
                    async move {
                        sleep.await;
                        let mut response = Response::new(Body::empty());
                        *response.status_mut() = status;
                        response
                    }
                }
            },
        )
        .await;
    });
}

/// Sends a load to a server with this `delay` and `status`, and returns the events.
fn facts(load: &LoadSpec, delay: Duration, status: StatusCode) -> Vec<(u64, Event)> {
    let sim = sim();
    serve(&host(&sim, "server", 1), delay, status);
    let client = host(&sim, "client", 2);
    let stage = host(&sim, "stage", 3);
    sim.net()
        .set_name("server", vec![IpAddr::from([10, 0, 0, 1])]);
    let memory: Rc<Memory> = Rc::default();
    let recorder: Rc<dyn Recorder> = memory.clone();
    let transport =
        ClientTransport::direct(client.clone(), !load.new_connections, client.rng("replica"));
    let clients = Rc::new(LoadClients::new());
    clients.put(Rc::new(CallingHost::new(
        client,
        PodId(1),
        0,
        transport,
        Rc::clone(&recorder),
    )));
    let target = |_| {
        let target = CallTarget::new("server", 80, Protocol::Http).unwrap();
        (ParticipantId(0), target)
    };
    let path = |_| "load.users".to_owned();
    let plan = LoadPlan::new(
        load,
        ParticipantId(1),
        Time::ZERO,
        false,
        target,
        path,
        recorder,
    )
    .unwrap();
    let plan = Rc::new(plan);
    let rng = |label| stream_seed(1, "test", label);
    let schedule = Schedule::new(load, &[], rng("arrivals"), rng("mix"));
    stage.spawn(
        "load",
        run(stage.clone(), schedule, Rc::clone(&plan), clients),
    );
    let over = Rc::new(std::cell::Cell::new(false));
    let drained = Rc::clone(&over);
    stage.spawn("watch", async move {
        plan.drained().await;
        drained.set(true);
    });
    sim.run(|| over.get()).unwrap();
    memory.0.take()
}

/// (intended, sent, end, answer) of every request.
fn finished(facts: &[(u64, Event)]) -> Vec<(i64, Option<i64>, u64, Answer)> {
    let ends = facts.iter().filter_map(|(at, event)| match event {
        Event::Finished {
            intended_ns,
            sent_ns,
            outcome,
            ..
        } => Some((*intended_ns, *sent_ns, *at, outcome.answer)),
        _ => None,
    });
    ends.collect()
}

#[test]
fn requests_are_sent_when_they_are_due_however_slow_the_answers() {
    let facts = facts(
        &load("100/s", 1),
        Duration::from_millis(700),
        StatusCode::OK,
    );
    let ends = finished(&facts);
    assert_eq!(ends.len(), 100);
    for (seq, (intended, sent, end, answer)) in ends.into_iter().enumerate() {
        assert_eq!(intended, seq as i64 * 10_000_000);
        assert_eq!(sent, Some(intended));
        assert_eq!(end as i64 - intended, 700_000_000);
        assert_eq!(answer, Answer::Ok);
    }
}

#[test]
fn past_the_in_flight_cap_requests_are_dropped_at_once() {
    let mut load = load("100/s", 1);
    load.in_flight = 5;
    let facts = facts(&load, Duration::from_millis(500), StatusCode::OK);
    let ends = finished(&facts);
    let sent = ends.iter().filter(|(_, sent, ..)| sent.is_some()).count();
    let dropped = ends
        .iter()
        .filter(|(_, sent, _, answer)| sent.is_none() && *answer == Answer::Dropped);
    // Five every half second, and one more as the first five end.
    assert_eq!((sent, dropped.count()), (10, 90));
    for (intended, _, end, _) in ends.iter().filter(|(_, sent, ..)| sent.is_none()) {
        assert_eq!(*end as i64, *intended);
    }
}

#[test]
fn a_request_without_an_answer_counts_at_its_timeout() {
    let mut load = load("10/s", 1);
    load.timeout = Duration::from_millis(300);
    let facts = facts(&load, Duration::from_secs(5), StatusCode::OK);
    let ends = finished(&facts);
    assert_eq!(ends.len(), 10);
    for (intended, _, end, answer) in ends {
        assert_eq!(end as i64 - intended, 300_000_000);
        assert_eq!(answer, Answer::Timeout);
    }
}

#[test]
fn a_loads_own_idea_of_success_counts() {
    let mut load = load("10/s", 1);
    let answers = |load: &LoadSpec| -> Vec<Answer> {
        let facts = facts(load, Duration::ZERO, StatusCode::NOT_FOUND);
        finished(&facts)
            .into_iter()
            .map(|(.., answer)| answer)
            .collect()
    };
    assert_eq!(answers(&load), [Answer::Error; 10]);
    load.ok.http = vec![(200, 299), (404, 404)];
    assert_eq!(answers(&load), [Answer::Ok; 10]);
}

#[test]
fn every_call_has_one_attempt_where_there_is_no_sidecar() {
    let facts = facts(&load("50/s", 1), Duration::from_millis(1), StatusCode::OK);
    let count = |pick: fn(&Event) -> bool| facts.iter().filter(|(_, event)| pick(event)).count();
    assert_eq!(count(|event| matches!(event, Event::Sent { .. })), 50);
    assert_eq!(
        count(|event| matches!(event, Event::CallStarted { .. })),
        50
    );
    assert_eq!(
        count(|event| matches!(
            event,
            Event::Attempt {
                plaintext: true,
                ..
            }
        )),
        50
    );
    assert_eq!(
        count(|event| matches!(event, Event::CallEnded { tries: 1, .. })),
        50
    );
}

/// (attempts, end in ms, answer) of every request, and the numbers of its attempts on the wire.
fn retried(
    load: &LoadSpec,
    delay: Duration,
    status: StatusCode,
) -> (Vec<(u16, u64, Answer)>, Vec<u16>) {
    let facts = facts(load, delay, status);
    let mut ends = Vec::new();
    let mut numbers = Vec::new();
    for (at, event) in &facts {
        match event {
            Event::Finished { tries, outcome, .. } => {
                ends.push((*tries, at / 1_000_000, outcome.answer));
            }
            Event::Attempt { number, .. } => numbers.push(*number),
            _ => {}
        }
    }
    (ends, numbers)
}

fn retries(times: u32) -> AppRetries {
    AppRetries {
        times,
        on_5xx: true,
        on_reset: true,
        on_timeout: true,
        backoff: Duration::ZERO,
        max_backoff: Duration::ZERO,
        full_jitter: true,
        budget: None,
        draw_id: DrawId(0),
    }
}

fn retrying(rate: &str, retries: AppRetries) -> LoadSpec {
    LoadSpec {
        timeout: Duration::from_millis(300),
        retries: Some(retries),
        ..load(rate, 1)
    }
}

#[test]
fn a_clients_retries_are_inside_one_request() {
    let load = retrying("1/s", retries(2));
    let (ends, numbers) = retried(&load, Duration::from_secs(5), StatusCode::OK);
    assert_eq!(ends, [(3, 900, Answer::Timeout)]);
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn a_clients_backoff_stands_between_its_tries() {
    let load = retrying(
        "1/s",
        AppRetries {
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            full_jitter: false,
            ..retries(2)
        },
    );
    let (ends, _) = retried(&load, Duration::ZERO, StatusCode::BAD_GATEWAY);
    // 100 ms, then 200 ms.
    assert_eq!(ends, [(3, 300, Answer::Error)]);
}

#[test]
fn only_the_ends_that_are_named_are_tried_again() {
    let mut policy = retries(1);
    policy.on_5xx = false;
    let load = retrying("10/s", policy);
    let (_, numbers) = retried(&load, Duration::ZERO, StatusCode::BAD_GATEWAY);
    assert_eq!(numbers, [1; 10]);
}

#[test]
fn a_budget_bounds_a_clients_retries() {
    let load = retrying(
        "100/s",
        AppRetries {
            budget: Some(Share::parse("5%").unwrap()),
            ..retries(1)
        },
    );
    let (ends, numbers) = retried(&load, Duration::ZERO, StatusCode::BAD_GATEWAY);
    assert_eq!(ends.len(), 100);
    assert_eq!(numbers.iter().filter(|number| **number == 2).count(), 5);
}

#[test]
fn the_in_flight_cap_counts_requests_and_not_tries() {
    let mut load = retrying("10/s", retries(1));
    load.in_flight = 6;
    let (ends, numbers) = retried(&load, Duration::from_secs(5), StatusCode::OK);
    // Each of the six takes 600 ms, so the first ends when the seventh is due.
    let dropped = ends.iter().filter(|(tries, ..)| *tries == 0).count();
    assert_eq!((dropped, numbers.len()), (0, 20));
}

#[test]
fn each_try_of_a_client_is_a_call() {
    let facts = facts(
        &retrying("10/s", retries(1)),
        Duration::from_secs(5),
        StatusCode::OK,
    );
    let count = |pick: fn(&Event) -> bool| facts.iter().filter(|(_, event)| pick(event)).count();
    assert_eq!(count(|event| matches!(event, Event::Sent { .. })), 10);
    assert_eq!(
        count(|event| matches!(event, Event::CallStarted { .. })),
        20
    );
    assert_eq!(
        count(|event| matches!(event, Event::CallEnded { tries: 1, .. })),
        20
    );
}
