//! Tests that every resource of a request is released and no limit is exceeded, regardless of cancellation: callers
//! that disconnect at any moment, hosts that crash and return, upstreams that fail, hang or break off, with retries and
//! hedges, over both protocols.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::Request;
use proptest::prelude::*;
use shakedown_env::Env;
use shakedown_wire::{
    Body, Drain, Pool, PoolOptions, PoolProtocol, ServerOptions, accept_auto_until,
};
use shakedown_xds::table::{
    Cluster, HedgePolicy, Priority, RetryBudget, RetryOn, RetryPolicy, RouteActionKind, Table,
    UpstreamProtocol,
};

use super::scene::*;
use crate::proxy::Proxy;

/// An upstream's action for a request.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// Answers after this number of milliseconds, with this status and number of bytes.
    Answer(u64, u16, usize),
    /// Never answers.
    Hang,
}

/// A caller: the time of its request, its timeout, and the size of its body.
#[derive(Clone, Copy, Debug)]
struct Caller {
    at_us: u64,
    patience_us: u64,
    bytes: usize,
}

/// A host that is down for a while.
#[derive(Clone, Copy, Debug)]
struct Crash {
    second: bool,
    at_us: u64,
    for_us: u64,
}

/// The proxy's configuration.
#[derive(Clone, Copy, Debug)]
struct Setting {
    connections: u32,
    pending: u32,
    requests: u32,
    retries: u32,
    budget: bool,
    over_http2: bool,
    /// The hedging delay; `None` disables hedging.
    hedge_us: Option<u64>,
    /// True if an attempt continues after its timeout.
    soft: bool,
}

fn deed() -> impl Strategy<Value = Deed> {
    let bytes = prop_oneof![3 => Just(0usize), 1 => Just(300_000usize)];
    let status = prop_oneof![2 => Just(200u16), 2 => Just(503u16)];
    prop_oneof![
        9 => (0..15u64, status, bytes).prop_map(|(wait, status, bytes)| Deed::Answer(wait, status, bytes)),
        1 => Just(Deed::Hang),
    ]
}

fn caller() -> impl Strategy<Value = Caller> {
    let bytes = prop_oneof![2 => Just(0usize), 1 => Just(100_000usize)];
    (0..60_000u64, 0..60_000u64, bytes).prop_map(|(at_us, patience_us, bytes)| Caller {
        at_us,
        patience_us,
        bytes,
    })
}

fn crash() -> impl Strategy<Value = Crash> {
    (any::<bool>(), 0..60_000u64, 1..40_000u64).prop_map(|(second, at_us, for_us)| Crash {
        second,
        at_us,
        for_us,
    })
}

fn setting() -> impl Strategy<Value = Setting> {
    let limits = (1..4u32, 0..4u32, 1..6u32, 0..4u32);
    let hedge = prop::option::of(1_000..12_000u64);
    (limits, any::<bool>(), any::<bool>(), hedge, any::<bool>()).prop_map(
        |(limits, budget, over_http2, hedge_us, soft)| Setting {
            connections: limits.0,
            pending: limits.1,
            requests: limits.2,
            retries: limits.3,
            budget,
            over_http2,
            hedge_us,
            soft,
        },
    )
}

impl Setting {
    fn table(&self) -> Table {
        let mut cluster = cluster(REVIEWS, &[at(UP1, 9080), at(UP2, 9080)]);
        self.limit(&mut cluster);
        cluster.connect_timeout = ms(30);
        if self.over_http2 {
            cluster.protocol = UpstreamProtocol::Http2 {
                max_concurrent_streams: 2,
            };
        }
        let mut action = to(REVIEWS);
        action.timeout = Some(ms(200));
        action.retry = Some(
            RetryPolicy {
                per_try_timeout: Some(ms(20)),
                base_interval: ms(5),
                max_interval: ms(10),
                ..retry(RetryOn::SERVER_ERROR.with(RetryOn::RESET))
            }
            .into(),
        );
        action.hedge = HedgePolicy {
            on_per_try_timeout: self.soft,
            after: self.hedge_us.map(Duration::from_micros),
            times: 2,
            budget_ppm: None,
        };
        outbound(RouteActionKind::Forward(action), vec![cluster])
    }

    fn limit(&self, cluster: &mut Cluster) {
        let limits = &mut cluster.limits.default;
        limits.connections = self.connections;
        limits.pending = self.pending;
        limits.requests = self.requests;
        limits.retries = self.retries;
        limits.retry_budget = self.budget.then_some(RetryBudget::ENVOY);
    }
}

/// Serves on a host, each request with the next action.
fn serve(env: &Env, host: &str, deeds: &Rc<Vec<Deed>>, served: &Rc<Cell<usize>>) {
    let listener = env.listen(at(host, 9080)).unwrap();
    let (own, deeds, served) = (env.clone(), Rc::clone(deeds), Rc::clone(served));
    env.spawn("upstream", async move {
        let env = own.clone();
        let make = move |_| {
            let (env, deeds, served) = (env.clone(), Rc::clone(&deeds), Rc::clone(&served));
            move |request: Request<Body>| {
                let deed = deeds[served.get() % deeds.len()];
                served.set(served.get() + 1);
                let (wait, status, bytes) = match deed {
                    Deed::Answer(wait, status, bytes) => (wait, status, bytes),
                    Deed::Hang => (3_600_000, 200, 0),
                };
                let wait = env.sleep(ms(wait));
                async move {
                    wait.await;
                    drop(request);
                    let body = Body::full(vec![b'x'; bytes]);
                    http::Response::builder().status(status).body(body).unwrap()
                }
            }
        };
        let (options, drain) = (ServerOptions::default(), Drain::new());
        accept_auto_until(
            &own,
            listener,
            &options,
            "upstream",
            &drain,
            make,
            |_, _| {},
        )
        .await;
    });
}

/// Runs a caller until it has read the whole response or its timeout expires.
fn ask(scene: &Scene, caller: Caller, protocol: PoolProtocol) {
    let env = scene.env(CALLER);
    let options = PoolOptions {
        protocol,
        ..PoolOptions::default()
    };
    let pool = Pool::new(env.clone(), at(POD, 15001), None, options);
    let own = env.clone();
    env.spawn("caller", async move {
        own.sleep(Duration::from_micros(caller.at_us)).await;
        let request = Request::post("/")
            .header("host", "reviews:9080")
            .body(Body::full(vec![b'x'; caller.bytes]));
        let whole = async {
            if let Ok(response) = pool.send(request.unwrap()).await {
                let _ = response.into_body().collect(1 << 20).await;
            }
        };
        let patience = Duration::from_micros(caller.patience_us);
        let _ = own.timeout(patience, whole).await;
    });
}

/// Crashes a host for a while.
fn break_down(scene: &Scene, crash: Crash, deeds: &Rc<Vec<Deed>>, served: &Rc<Cell<usize>>) {
    let (own, deeds, served) = (scene.clone(), Rc::clone(deeds), Rc::clone(served));
    let env = scene.env(CALLER);
    env.clone().spawn("crash", async move {
        let host = if crash.second { UP2 } else { UP1 };
        env.sleep(Duration::from_micros(crash.at_us)).await;
        own.net().crash(own.id(host));
        env.sleep(Duration::from_micros(crash.for_us)).await;
        let up = own.net().restart(own.id(host));
        serve(&up, host, &deeds, &served);
    });
}

/// Asserts that no limit is exceeded at present. Connections may exceed theirs by one per host, because a host without
/// a connection always gets one.
fn within_limits(proxy: &Proxy, setting: &Setting) {
    let upstream = proxy.shared.state.upstream(REVIEWS).unwrap();
    let breaker = upstream.breaker(Priority::Default);
    let used = breaker.quota().in_use();
    assert!(used.requests <= setting.requests, "{used:?} {setting:?}");
    assert!(used.pending <= setting.pending, "{used:?} {setting:?}");
    assert!(
        used.connections <= setting.connections + 2,
        "{used:?} {setting:?}"
    );
    // A budget's limit varies: three retries are always allowed, and more only with at least 20 active requests, which
    // this test never has.
    let retries = if setting.budget { 3 } else { setting.retries };
    assert!(breaker.retries() <= retries, "{breaker:?} {setting:?}");
}

/// Asserts that everything has been released: requests, queue positions, retries, and the connections once they are
/// closed.
async fn nothing_in_hand(scene: &Scene, proxy: &Proxy) {
    let upstream = proxy.shared.state.upstream(REVIEWS).unwrap();
    let breaker = upstream.breaker(Priority::Default);
    let used = breaker.quota().in_use();
    assert_eq!((used.requests, used.pending), (0, 0), "{used:?}");
    assert_eq!(breaker.retries(), 0);
    let hosts = upstream.hosts().clone();
    for host in &hosts {
        assert_eq!(host.active(), 0, "{}", host.address());
        assert_eq!((host.pool().pending(), host.pool().connecting()), (0, 0));
    }
    let open: usize = hosts.iter().map(|host| host.pool().connections()).sum();
    assert_eq!(used.connections as usize, open);
    hosts.iter().for_each(|host| host.pool().close_idle());
    scene.env(CALLER).sleep(ms(100)).await;
    assert_eq!(breaker.quota().in_use().connections, 0);
}

fn run_scenario(setting: Setting, deeds: Vec<Deed>, callers: Vec<Caller>, crashes: Vec<Crash>) {
    play(move |scene| async move {
        let (deeds, served) = (Rc::new(deeds), Rc::new(Cell::new(0)));
        for host in [UP1, UP2] {
            serve(&scene.env(host), host, &deeds, &served);
        }
        let proxy = scene.open_proxy(setting.table());
        let protocol = if setting.over_http2 {
            PoolProtocol::Http2
        } else {
            PoolProtocol::Http1
        };
        let expected = callers.len();
        callers
            .into_iter()
            .for_each(|caller| ask(&scene, caller, protocol));
        crashes
            .into_iter()
            .for_each(|crash| break_down(&scene, crash, &deeds, &served));
        let env = scene.env(CALLER);
        // The last caller has finished by 120 ms.
        for _ in 0..400 {
            env.sleep(Duration::from_micros(500)).await;
            within_limits(&proxy, &setting);
        }
        // Requests at a crashed host end when their connection is found dead, by its reset or by a timeout.
        env.sleep(ms(60_000)).await;
        nothing_in_hand(&scene, &proxy).await;
        let seen = scene.requests().len();
        assert!(seen <= expected, "{seen} requests of {expected} callers");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whoever_goes_when_leaves_nothing_in_hand_and_no_limit_passed(
        setting in setting(),
        deeds in prop::collection::vec(deed(), 1..12),
        callers in prop::collection::vec(caller(), 1..16),
        crashes in prop::collection::vec(crash(), 0..3),
    ) {
        run_scenario(setting, deeds, callers, crashes);
    }
}

/// Cancels a caller at each quarter of a millisecond of a request: during connects, sends, waits, retries, hedges and
/// the body.
#[test]
fn a_caller_cancelling_at_any_point_of_a_request_leaks_no_resources() {
    for (over_http2, soft) in [(false, false), (false, true), (true, false), (true, true)] {
        let setting = Setting {
            connections: 2,
            pending: 2,
            requests: 3,
            retries: 2,
            budget: false,
            over_http2,
            hedge_us: Some(7_000),
            soft,
        };
        let deeds = vec![
            Deed::Answer(9, 503, 0),
            Deed::Hang,
            Deed::Answer(3, 503, 300_000),
            Deed::Answer(4, 200, 300_000),
        ];
        for quarter in 0..160 {
            let one = Caller {
                at_us: 0,
                patience_us: quarter * 250,
                bytes: 100_000,
            };
            run_scenario(setting, deeds.clone(), vec![one], Vec::new());
        }
    }
}
