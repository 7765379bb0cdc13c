//! Tests the accuracy of a real load: compares the gaps of a Poisson load, as its requests are written to the socket,
//! with the exponential distribution.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread::spawn;
use std::time::Duration;

use shakedown_env::real::{HostOptions, Runtime};
use shakedown_loadgen::Schedule;
use shakedown_loadgen::live::{LEAD, LoadTarget, RequestTemplate, SendOptions, Stop, fire};
use shakedown_results::{Event, ParticipantId, PodId, Record};
use shakedown_scenarios::{Edits, load_text};

const RATE: f64 = 10_000.0;
const SCENARIO: &str = "
scenario: poisson
story: Ten thousand a second.
duration: 2s
topology:
  services: {server: {workers: 1, sidecar: none, endpoints: {GET /: []}}}
load:
  load: {to: server GET /, rate: 10k/s, arrivals: poisson, timeout: 5s, sidecar: none}
expect: [count(load) > 0]
";

fn serve(mut stream: TcpStream) {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

/// The largest distance between the distribution of the gaps and the exponential distribution of the rate.
fn kolmogorov_smirnov(mut sent_ns: Vec<i64>) -> (f64, usize) {
    sent_ns.sort_unstable();
    let gaps = sent_ns
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) as f64 / 1e9);
    let mut gaps: Vec<f64> = gaps.collect();
    gaps.sort_unstable_by(f64::total_cmp);
    let count = gaps.len() as f64;
    let distances = gaps.iter().enumerate().map(|(at, gap)| {
        let wanted = 1.0 - (-gap * RATE).exp();
        let (below, above) = (at as f64 / count, (at + 1) as f64 / count);
        (wanted - below).abs().max((above - wanted).abs())
    });
    (distances.fold(0.0, f64::max), gaps.len())
}

#[test]
#[ignore = "wants a core of its own for two seconds"]
#[expect(
    clippy::disallowed_methods,
    reason = "a server outside of every world: real sockets, and threads of its own"
)]
fn poisson_gaps_are_exponential_at_ten_thousand_a_second() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    spawn(move || {
        for stream in listener.incoming().flatten() {
            spawn(move || serve(stream));
        }
    });
    let scenario =
        load_text("poisson", SCENARIO, &Edits::default()).expect("the scenario is valid");
    let load = &scenario.loads[0];
    let runtime = Runtime::new().expect("a runtime");
    let options = HostOptions {
        seed: Some(7),
        ..HostOptions::new("load")
    };
    let env = runtime.host(options).expect("a host");
    let sent: Rc<RefCell<Vec<i64>>> = Rc::default();
    let into = Rc::clone(&sent);
    runtime.block_on(async {
        let schedule = Schedule::new(load, &[], env.rng("arrivals"), env.rng("mix"));
        let target = LoadTarget {
            address,
            tls: None,
            aims: vec![
                RequestTemplate::of_entry("http://localhost", &load.entries[0]).expect("a URL"),
            ],
        };
        let send_options = SendOptions {
            participant: ParticipantId(0),
            pod: PodId(0),
            timeout: Duration::from_secs(5),
            ok: load.ok.clone(),
            in_flight: 10_000,
            http2: false,
            connections: None,
            reuse: true,
            warm_up: Duration::ZERO,
            precise: true,
        };
        let sink = Rc::new(move |record: &Record| {
            if let Event::Finished {
                sent_ns: Some(sent_ns),
                ..
            } = record.event
            {
                into.borrow_mut().push(sent_ns);
            }
        });
        let zero = env.now() + LEAD;
        fire(
            &env,
            zero,
            schedule,
            target,
            send_options,
            Stop::default(),
            sink,
        )
        .await
    });
    let (distance, gaps) = kolmogorov_smirnov(sent.take());
    // The critical value at 1%.
    let most = 1.63 / (gaps as f64).sqrt();
    assert!(distance < most, "{distance} of {gaps} gaps, at most {most}");
}
