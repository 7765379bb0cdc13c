mod connections;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use shakedown_env::{Env, stream_seed};
use shakedown_results::{Answer, Event, Histogram, ParticipantId, PodId, Record};
use shakedown_scenarios::scenario::{LoadSpec, MixEntry, Success};
use shakedown_wire::{Body, Drain, ServerOptions, accept_auto_until};

use super::{
    Cause, FailurePhase, LEAD, LoadTarget, RequestTemplate, SendOptions, Stop, Tally, fire,
};
use crate::Schedule;
use crate::scene::{entry, host, load, sim};

const SERVER: [u8; 4] = [10, 0, 0, 1];

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn options() -> SendOptions {
    SendOptions {
        participant: ParticipantId(0),
        pod: PodId(0),
        timeout: Duration::from_secs(30),
        ok: Success::default(),
        in_flight: 10_000,
        http2: false,
        connections: None,
        reuse: true,
        warm_up: Duration::ZERO,
        precise: false,
    }
}

/// The number of requests on each connection, in order of connections.
type Streams = RefCell<Vec<u64>>;

/// The number of requests for each path.
type Paths = RefCell<BTreeMap<String, u64>>;

/// The result of a load, and the requests that its server received.
struct Fired {
    tally: Tally,
    ends: Vec<(Record, Answer)>,
    sent: usize,
    served: u64,
    paths: BTreeMap<String, u64>,
    /// The number of streams on each connection, in order of connections.
    connections: Vec<u64>,
}

impl Fired {
    fn failed(&self, phase: FailurePhase, cause: Cause) -> u64 {
        let kinds = self.tally.failures.iter();
        let of_kind = kinds.filter(|(kind, _)| (kind.phase, kind.cause) == (phase, cause));
        of_kind.map(|(_, count)| count).sum()
    }

    fn statuses(&self, status: u16) -> usize {
        let ends = self.ends.iter();
        let of_status = ends.filter(|(record, _)| {
            matches!(&record.event, Event::Finished { outcome, .. } if outcome.status == status)
        });
        of_status.count()
    }

    fn written(&self) -> u64 {
        let ends = self.ends.iter();
        let written = ends.filter(|(record, _)| {
            matches!(
                record.event,
                Event::Finished {
                    sent_ns: Some(_),
                    ..
                }
            )
        });
        written.count() as u64
    }

    fn count(&self, answer: Answer) -> usize {
        self.ends.iter().filter(|(_, a)| *a == answer).count()
    }

    /// The latencies since the intended and since the actual time of sending.
    fn latencies(&self) -> (Histogram, Histogram) {
        let (mut corrected, mut uncorrected) = (Histogram::new(), Histogram::new());
        for (record, _) in &self.ends {
            if let Event::Finished {
                intended_ns,
                sent_ns: Some(sent_ns),
                ..
            } = record.event
            {
                corrected.record(record.at_ns - intended_ns);
                uncorrected.record(record.at_ns - sent_ns);
            }
        }
        (corrected, uncorrected)
    }
}

/// Sends a load to a server that responds with `status` after `delay` of the time of arrival.
fn fired(
    load: &LoadSpec,
    options: SendOptions,
    status: StatusCode,
    delay: impl Fn(Duration) -> Duration + 'static,
) -> Fired {
    fired_until(load, options, status, delay, None)
}

/// Same as [`fired`], with a request to stop at `stop_at`.
fn fired_until(
    load: &LoadSpec,
    options: SendOptions,
    status: StatusCode,
    delay: impl Fn(Duration) -> Duration + 'static,
    stop_at: Option<Duration>,
) -> Fired {
    let sim = sim();
    let (paths, connections) = (Rc::<Paths>::default(), Rc::<Streams>::default());
    let counts = (Rc::clone(&paths), Rc::clone(&connections));
    serve(&host(&sim, "server", 1), status, delay, counts);
    let client = host(&sim, "client", 2);
    let rng = |label| stream_seed(1, "test", label);
    let schedule = Schedule::new(load, &[], rng("arrivals"), rng("mix"));
    let templates = load.entries.iter();
    let templates =
        templates.map(|entry| RequestTemplate::of_entry("http://10.0.0.1/", entry).unwrap());
    let templates: Vec<RequestTemplate> = templates.collect();
    let records: Rc<RefCell<Vec<Record>>> = Rc::default();
    let result: Rc<RefCell<Option<Tally>>> = Rc::default();
    let (sink, out, env) = (Rc::clone(&records), Rc::clone(&result), client.clone());
    client.spawn("fire", async move {
        let target = LoadTarget {
            address: SocketAddr::from((SERVER, 80)),
            tls: None,
            aims: templates,
        };
        let sink = Rc::new(move |record: &Record| sink.borrow_mut().push(record.clone()));
        let stop = Stop::default();
        if let Some(at) = stop_at {
            let (own, stop) = (env.clone(), stop.clone());
            env.spawn("stop", async move {
                own.sleep(LEAD + at).await;
                stop.ask();
            });
        }
        let tally = fire(
            &env,
            env.now() + LEAD,
            schedule,
            target,
            options,
            stop,
            sink,
        )
        .await;
        *out.borrow_mut() = Some(tally);
    });
    let flag = Rc::clone(&result);
    sim.run(move || flag.borrow().is_some()).unwrap();
    let records = records.take();
    assert!(
        records.is_sorted_by_key(|record| record.at_ns),
        "in order of time"
    );
    let paths = paths.take();
    let ends = records.iter().filter_map(|record| match record.event {
        Event::Finished { outcome, .. } => Some((record.clone(), outcome.answer)),
        _ => None,
    });
    Fired {
        tally: result.take().expect("the load came to its end"),
        ends: ends.collect(),
        sent: records
            .iter()
            .filter(|record| matches!(record.event, Event::Sent { .. }))
            .count(),
        served: paths.values().sum(),
        paths,
        connections: connections.take(),
    }
}

fn serve(
    env: &Env,
    status: StatusCode,
    delay: impl Fn(Duration) -> Duration + 'static,
    (paths, connections): (Rc<Paths>, Rc<Streams>),
) {
    let listener = env.listen(SocketAddr::from((SERVER, 80))).unwrap();
    let (own, delay) = (env.clone(), Rc::new(delay));
    env.spawn("server", async move {
        let outer = own.clone();
        let options = ServerOptions {
            max_concurrent_streams: 100,
            ..ServerOptions::default()
        };
        let make = move |_| {
            connections.borrow_mut().push(0);
            let (at, connections) = (connections.borrow().len() - 1, Rc::clone(&connections));
            let (env, delay, paths) = (own.clone(), Rc::clone(&delay), Rc::clone(&paths));
            move |request: Request<Body>| {
                connections.borrow_mut()[at] += 1;
                let path = request.uri().path().to_owned();
                *paths.borrow_mut().entry(path).or_default() += 1;
                let sleep = env.sleep(delay(env.now().since(shakedown_env::Time::ZERO)));
                async move {
                    sleep.await;
                    let mut response = Response::new(Body::full("hello"));
                    *response.status_mut() = status;
                    response
                }
            }
        };
        let name = "connection";
        accept_auto_until(
            &outer,
            listener,
            &options,
            name,
            &Drain::new(),
            make,
            |_, _| (),
        )
        .await;
    });
}

#[test]
fn every_scheduled_request_is_sent_once_and_ends_once() {
    let fired = fired(&load("200/s", 5), options(), StatusCode::OK, |_| ms(3));
    assert_eq!(fired.ends.len(), 1000);
    assert_eq!(fired.count(Answer::Ok), 1000);
    assert_eq!((fired.sent, fired.served), (1000, 1000));
    assert_eq!(fired.statuses(200), 1000);
    assert_eq!(
        fired.tally.own.late.max_ns(),
        Some(0),
        "no world is as punctual"
    );
}

#[test]
fn each_entry_of_a_mix_asks_for_its_own() {
    let mut load = load("100/s", 2);
    load.entries = ["/browse", "/buy"]
        .map(|path| MixEntry {
            path: path.to_owned(),
            ..entry(1)
        })
        .to_vec();
    let fired = fired(&load, options(), StatusCode::OK, |_| ms(1));
    assert_eq!(fired.paths.values().sum::<u64>(), 200);
    assert!(fired.paths["/browse"] > 50 && fired.paths["/buy"] > 50);
}

#[test]
fn over_the_in_flight_cap_a_request_is_dropped_and_counted() {
    let options = SendOptions {
        in_flight: 10,
        connections: NonZeroU32::new(3),
        ..options()
    };
    let fired = fired(&load("100/s", 1), options, StatusCode::OK, |_| ms(5000));
    assert_eq!(fired.count(Answer::Dropped), 90);
    assert_eq!(fired.count(Answer::Ok), 10);
    assert_eq!((fired.sent, fired.served), (10, 10));
}

#[test]
fn a_timeout_counts_at_its_value_in_line_too() {
    let options = SendOptions {
        timeout: ms(250),
        connections: NonZeroU32::new(1),
        ..options()
    };
    let fired = fired(&load("100/s", 1), options, StatusCode::OK, |_| ms(60_000));
    assert_eq!(fired.count(Answer::Timeout), 100);
    assert_eq!(fired.tally.failed_by(Cause::Timeout), 100);
    let (corrected, _) = fired.latencies();
    assert_eq!(corrected.min_ns(), Some(250_000_000));
    assert_eq!(corrected.max_ns(), Some(250_000_000));
    // Requests that never left the queue were not sent: the server received as many as were written.
    assert_eq!(fired.written(), fired.served);
    assert_eq!(fired.tally.unsent, 100 - fired.served);
    assert_eq!(fired.tally.timed_out_unsent, fired.tally.unsent);
    assert_eq!(
        fired.failed(FailurePhase::Head, Cause::Timeout),
        fired.served
    );
    let waiting = fired.failed(FailurePhase::Queue, Cause::Timeout)
        + fired.failed(FailurePhase::Connect, Cause::Timeout);
    assert_eq!(waiting, fired.tally.unsent);
}

#[test]
fn a_status_outside_of_success_is_an_error_with_its_status() {
    let fired = fired(
        &load("10/s", 1),
        options(),
        StatusCode::SERVICE_UNAVAILABLE,
        |_| ms(1),
    );
    assert_eq!(fired.count(Answer::Error), 10);
    assert_eq!(fired.statuses(503), 10);
    assert!(fired.tally.failures.is_empty());
}

/// A server frozen for S of every T: `p_q = S - (1 - q) T` of the latency from the intended time, for any number of
/// connections. A closed loop with few connections would measure almost none of it.
#[test]
fn a_frozen_server_shows_in_the_corrected_latency_by_the_closed_form() {
    for connections in [None, NonZeroU32::new(10)] {
        let options = SendOptions {
            connections,
            ..options()
        };
        let fired = fired(&load("200/s", 20), options, StatusCode::OK, |at| {
            let phase = at.as_millis() % 10_000;
            if (5000..6000).contains(&phase) {
                ms(6000).saturating_sub(Duration::from_nanos(
                    (at.as_nanos() % 10_000_000_000) as u64,
                ))
            } else {
                Duration::ZERO
            }
        });
        assert_eq!(fired.ends.len(), 4000);
        let (corrected, uncorrected) = fired.latencies();
        for (ppm, wanted_ms) in [(950_000, 500), (990_000, 900), (999_000, 990)] {
            let p = corrected.percentile_ns(ppm).unwrap();
            let wanted = wanted_ms * 1_000_000;
            // The tolerance is a gap of the schedule, and a bucket of the histogram.
            assert!(
                (p - wanted).abs() <= 5_000_000 + wanted / 1000,
                "{ppm}: {p}"
            );
        }
        if connections.is_some() {
            assert!(uncorrected.percentile_ns(990_000).unwrap() < 20_000_000);
        }
    }
}

#[test]
fn a_load_that_is_asked_to_stop_ends_what_is_in_flight() {
    let stop_at = Some(Duration::from_millis(1010));
    let load = load("100/s", 60);
    let fired = fired_until(&load, options(), StatusCode::OK, |_| ms(500), stop_at);
    let sent = fired.ends.len();
    assert!((100..=110).contains(&sent), "{sent}");
    assert_eq!(fired.count(Answer::Ok), sent);
    let cut = fired.tally.cut.unwrap();
    assert!((ms(1000)..ms(1100)).contains(&cut), "{cut:?}");
}
