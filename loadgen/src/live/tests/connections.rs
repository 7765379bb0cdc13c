//! Connections of a load: reuse, limits, streams, and a server that does not exist.

use super::*;

#[test]
fn a_connection_serves_one_request_after_another() {
    let fired = fired(&load("100/s", 2), options(), StatusCode::OK, |_| ms(1));
    assert_eq!(fired.connections, [200]);
    assert_eq!((fired.tally.opened, fired.tally.open_max), (1, 1));
    // Each request and response has a head and some bytes.
    assert!(
        fired.tally.bytes_sent > 200 * 40,
        "{}",
        fired.tally.bytes_sent
    );
    assert!(fired.tally.bytes_received > 200 * 40);
}

#[test]
fn over_http2_requests_share_a_connection_and_none_waits_for_another() {
    let http2 = SendOptions {
        http2: true,
        connections: NonZeroU32::new(1),
        ..options()
    };
    let fired = fired(&load("100/s", 1), http2, StatusCode::OK, |_| ms(100));
    assert_eq!(fired.count(Answer::Ok), 100);
    assert_eq!(
        (fired.served, fired.connections.as_slice()),
        (100, &[100][..])
    );
    let (corrected, _) = fired.latencies();
    assert!(corrected.max_ns().unwrap() < 110_000_000, "ten at once");
}

#[test]
fn where_connections_are_not_reused_each_request_has_its_own() {
    let options = SendOptions {
        reuse: false,
        ..options()
    };
    let fired = fired(&load("50/s", 1), options, StatusCode::OK, |_| ms(1));
    assert_eq!(fired.count(Answer::Ok), 50);
    assert_eq!(fired.connections, [1; 50]);
}

#[test]
fn without_a_bound_no_request_waits_for_another() {
    let fired = fired(&load("100/s", 1), options(), StatusCode::OK, |_| ms(5000));
    assert_eq!(fired.connections, [1; 100]);
    let (corrected, uncorrected) = fired.latencies();
    // Except for the time in which its connection was opened.
    let opening = corrected.max_ns().unwrap() - uncorrected.max_ns().unwrap();
    assert!((0..5_000_000).contains(&opening), "{opening} ns");
}

#[test]
fn with_a_bound_requests_wait_in_line_and_the_wait_counts() {
    let options = SendOptions {
        connections: NonZeroU32::new(2),
        ..options()
    };
    // Two connections serve 20 of the 100 requests a second.
    let fired = fired(&load("100/s", 1), options, StatusCode::OK, |_| ms(100));
    assert_eq!(fired.connections, [50, 50], "load is spread");
    assert_eq!(fired.served, 100);
    let (corrected, uncorrected) = fired.latencies();
    assert!(uncorrected.max_ns() < Some(110_000_000));
    assert!(corrected.max_ns() > Some(4_000_000_000));
}

#[test]
fn over_http2_all_connections_are_opened_and_streams_are_spread() {
    let http2 = SendOptions {
        http2: true,
        connections: NonZeroU32::new(4),
        ..options()
    };
    let fired = fired(&load("100/s", 1), http2, StatusCode::OK, |_| ms(100));
    assert_eq!(fired.count(Answer::Ok), 100);
    assert_eq!((fired.tally.opened, fired.tally.open_max), (4, 4));
    assert_eq!(fired.connections.len(), 4);
    // Ten at once on four connections: each is near its share.
    let least = fired.connections.iter().min().unwrap();
    assert!(*least >= 15, "{:?}", fired.connections);
}

#[test]
fn waiting_for_a_stream_is_no_uncorrected_latency() {
    let http2 = SendOptions {
        http2: true,
        connections: NonZeroU32::new(1),
        ..options()
    };
    // The server allows 100 streams, each for a second. Of 1,000 requests at 500 a second the last wait for seconds.
    let fired = fired(&load("500/s", 2), http2, StatusCode::OK, |_| ms(1000));
    assert_eq!(fired.count(Answer::Ok), 1000);
    let (corrected, uncorrected) = fired.latencies();
    assert!(corrected.max_ns() > Some(2_000_000_000), "{corrected:?}");
    assert!(
        uncorrected.max_ns() < Some(1_200_000_000),
        "{:?}",
        uncorrected.max_ns()
    );
}

#[test]
fn a_server_that_is_not_there_is_told_by_phase_and_cause() {
    let mut nowhere = load("20/s", 1);
    nowhere.entries = vec![entry(1)];
    let sim = sim();
    let client = host(&sim, "client", 2);
    // A host without a listener.
    let _server = host(&sim, "server", 1);
    let rng = |label| stream_seed(1, "test", label);
    let schedule = Schedule::new(&nowhere, &[], rng("arrivals"), rng("mix"));
    let templates =
        vec![RequestTemplate::of_entry("http://10.0.0.1/", &nowhere.entries[0]).unwrap()];
    let result: Rc<RefCell<Option<Tally>>> = Rc::default();
    let (out, env) = (Rc::clone(&result), client.clone());
    client.spawn("fire", async move {
        let target = LoadTarget {
            address: SocketAddr::from((SERVER, 80)),
            tls: None,
            aims: templates,
        };
        let stop = Stop::default();
        let tally = fire(
            &env,
            env.now() + LEAD,
            schedule,
            target,
            options(),
            stop,
            Rc::new(|_: &Record| ()),
        );
        *out.borrow_mut() = Some(tally.await);
    });
    let flag = Rc::clone(&result);
    sim.run(move || flag.borrow().is_some()).unwrap();
    let tally = result.take().unwrap();
    assert_eq!((tally.unsent, tally.opened), (20, 0));
    let kinds: Vec<(FailurePhase, Cause, u64)> = tally
        .failures
        .iter()
        .map(|(kind, count)| (kind.phase, kind.cause, *count))
        .collect();
    assert_eq!(kinds, [(FailurePhase::Connect, Cause::Refused, 20)]);
}
