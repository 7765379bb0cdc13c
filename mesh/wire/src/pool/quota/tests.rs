//! Pools under Envoy's circuit breakers, case by case, and a check that permits are never leaked.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::future::{join, join_all};
use proptest::prelude::*;
use shakedown_env::{Env, Owned};

use super::*;
use crate::scene::{
    ANY, ANY_FAR, fetch, get, ms, run, run_apart, serve, serve_at, serve_raw, write,
};
use crate::{Pool, PoolOptions, SendError, ServerOptions};

fn quota(connections: u32, pending: u32, requests: u32) -> Quota {
    Quota::new(QuotaLimits {
        connections,
        pending,
        requests,
    })
}

fn pool(env: &Env, to: std::net::SocketAddr, quota: &Quota) -> Pool {
    let options = PoolOptions {
        quota: Some(quota.clone()),
        ..PoolOptions::default()
    };
    Pool::new(env.clone(), to, None, options)
}

/// Sends a request and reads the whole response. Returns its status, or the limit that was reached.
async fn outcome(pool: &Pool, path: &str) -> Result<u16, QuotaBound> {
    match pool.send(get(path)).await {
        Ok(response) => {
            let status = response.status().as_u16();
            response.into_body().collect(1_000_000).await.unwrap();
            Ok(status)
        }
        Err(SendError::Overflow { bound }) => Err(bound),
        Err(error) => panic!("{error}"),
    }
}

fn none() -> QuotaLimits {
    QuotaLimits {
        connections: 0,
        pending: 0,
        requests: 0,
    }
}

#[test]
fn one_connection_and_one_place_in_line_leave_the_third_out() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let quota = quota(1, 1, 100);
        let pool = pool(&env, addr, &quota);
        let first = outcome(&pool, "/slow/20");
        let rest = async {
            // The first request has its connection by now.
            env.sleep(ms(5)).await;
            join_all([outcome(&pool, "/slow/20"), outcome(&pool, "/slow/20")]).await
        };
        let (first, rest) = join(first, rest).await;
        assert_eq!(first, Ok(200));
        assert_eq!(rest, [Ok(200), Err(QuotaBound::Pending)]);
        assert_eq!(seen.connections.get(), 1);
    });
}

#[test]
fn a_place_in_line_is_taken_until_the_connection_is_there() {
    run_apart(|near, far| async move {
        let (addr, _seen) = serve_at(&far, ANY_FAR, &ServerOptions::default());
        let quota = quota(100, 1, 100);
        let pool = pool(&near, addr, &quota);
        let all = join_all((0..2).map(|_| outcome(&pool, "/size/1"))).await;
        assert_eq!(all, [Ok(200), Err(QuotaBound::Pending)]);
    });
}

#[test]
fn active_requests_beyond_their_limit_do_not_queue_whatever_the_line_allows() {
    run(|env| async move {
        let (addr, _seen) = serve(&env, &ServerOptions::default());
        let quota = quota(100, 100, 1);
        let pool = pool(&env, addr, &quota);
        let began = env.now();
        let slow = outcome(&pool, "/slow/20");
        let rest = async {
            let all = join_all((0..3).map(|_| outcome(&pool, "/slow/20"))).await;
            assert!(env.now().since(began) < ms(20));
            all
        };
        let (slow, rest) = join(slow, rest).await;
        assert_eq!(slow, Ok(200));
        assert_eq!(rest, [Err(QuotaBound::Requests); 3]);
        // Idle connections do not raise the limit.
        assert!(pool.idle() > 1);
        let all = join_all((0..2).map(|_| outcome(&pool, "/slow/20"))).await;
        assert_eq!(all, [Ok(200), Err(QuotaBound::Requests)]);
    });
}

#[test]
fn every_host_gets_one_connection_whatever_the_limit() {
    run(|env| async move {
        let (one, _) = serve(&env, &ServerOptions::default());
        let (two, _) = serve(&env, &ServerOptions::default());
        let quota = quota(1, 100, 100);
        let (one, two) = (pool(&env, one, &quota), pool(&env, two, &quota));
        let all = join_all([
            outcome(&one, "/slow/20"),
            outcome(&two, "/slow/20"),
            outcome(&one, "/slow/20"),
            outcome(&two, "/slow/20"),
        ]);
        let began = env.now();
        assert_eq!(all.await, [Ok(200); 4]);
        assert_eq!(env.now().since(began), ms(40));
        assert_eq!((one.connections(), two.connections()), (1, 1));
        assert_eq!(quota.in_use().connections, 2);
    });
}

#[test]
fn a_line_outlives_the_connection_that_it_waited_for() {
    run(|env| async move {
        let (addr, seen) = serve(&env, &ServerOptions::default());
        let quota = quota(1, 10, 100);
        let pool = pool(&env, addr, &quota);
        let all = join_all((0..3).map(|_| outcome(&pool, "/close"))).await;
        assert_eq!(all, [Ok(200); 3]);
        assert_eq!(seen.connections.get(), 3);
        env.sleep(ms(1)).await;
        assert_eq!(quota.in_use(), none());
    });
}

#[test]
fn an_answer_counts_until_its_body_has_ended() {
    run(|env| async move {
        let (addr, _seen) = serve(&env, &ServerOptions::default());
        let quota = quota(100, 100, 1);
        let pool = pool(&env, addr, &quota);
        let held = pool.send(get("/size/10")).await.unwrap();
        assert_eq!(quota.in_use().requests, 1);
        assert_eq!(outcome(&pool, "/size/1").await, Err(QuotaBound::Requests));
        held.into_body().collect(10).await.unwrap();
        assert_eq!(quota.in_use().requests, 0);
        assert_eq!(outcome(&pool, "/size/1").await, Ok(200));
    });
}

#[test]
fn the_listener_hears_of_each_crossing_once() {
    run(|env| async move {
        let (addr, _seen) = serve(&env, &ServerOptions::default());
        let quota = quota(2, 1, 2);
        let changes = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&changes);
        quota.on_change(move |bound, open| sink.borrow_mut().push((bound, open)));
        let pool = pool(&env, addr, &quota);
        fetch(&pool, get("/size/1")).await;
        assert_eq!(
            changes.take(),
            [(QuotaBound::Pending, true), (QuotaBound::Pending, false)]
        );
        let held = pool.send(get("/size/1")).await.unwrap();
        assert_eq!(changes.take(), []);
        quota.set_limits(QuotaLimits {
            connections: 1,
            pending: 1,
            requests: 1,
        });
        assert_eq!(
            changes.take(),
            [
                (QuotaBound::Connections, true),
                (QuotaBound::Requests, true)
            ]
        );
        drop(held);
        assert_eq!(changes.take(), [(QuotaBound::Requests, false)]);
        env.sleep(ms(1)).await;
        assert_eq!(changes.take(), [(QuotaBound::Connections, false)]);
    });
}

#[test]
fn a_limit_of_zero_is_met_from_the_start_and_never_told() {
    run(|env| async move {
        let (addr, _seen) = serve(&env, &ServerOptions::default());
        let quota = quota(0, 5, 5);
        let changes = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&changes);
        quota.on_change(move |bound, open| sink.borrow_mut().push((bound, open)));
        let pool = pool(&env, addr, &quota);
        // This uses the connection that every host gets.
        fetch(&pool, get("/size/1")).await;
        assert_eq!(quota.in_use().connections, 1);
        assert_eq!(changes.take(), []);
    });
}

/// A step of a random scenario.
#[derive(Clone, Debug)]
enum Step {
    /// A request for this path, to the pool with this index.
    Send(usize, &'static str),
    /// Drops one of the requests, in any state.
    Cancel(prop::sample::Index),
    Wait(u64),
    Limits(u32, u32, u32),
    CloseIdle(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let path = prop::sample::select(vec![
        "/size/1",
        "/size/300000",
        "/slow/1",
        "/slow/7",
        "/close",
        "/never",
    ]);
    prop_oneof![
        8 => (0..4usize, path).prop_map(|(pool, path)| Step::Send(pool, path)),
        3 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        4 => (0..12u64).prop_map(Step::Wait),
        1 => (0..4u32, 0..4u32, 0..4u32).prop_map(|(a, b, c)| Step::Limits(a, b, c)),
        1 => (0..4usize).prop_map(Step::CloseIdle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_permit_is_lost_and_no_limit_is_passed_whatever_happens_when(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run_apart(|near, far| run_steps(near, far, steps));
    }
}

/// Runs the steps on four hosts: two that respond, one that closes in the middle of a response, one that refuses
/// connections.
async fn run_steps(near: Env, far: Env, steps: Vec<Step>) {
    let (one, _) = serve_at(&far, ANY_FAR, &ServerOptions::default());
    let (two, _) = serve(&near, &ServerOptions::default());
    let cut = serve_raw(&near, |mut stream| async move {
        let _ = write(
            &mut stream,
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        )
        .await;
    });
    let gone = near.listen(ANY).unwrap().local_addr();
    let quota = quota(2, 2, 2);
    let mut limits = quota.limits();
    let pools = [one, two, cut, gone].map(|addr| pool(&near, addr, &quota));
    let mut tasks: Vec<Owned> = Vec::new();
    for step in steps {
        match step {
            Step::Send(number, path) => {
                let pool = pools[number].clone();
                tasks.push(near.spawn_owned("request", async move {
                    if let Ok(response) = pool.send(get(path)).await {
                        let _ = response.into_body().collect(1_000_000).await;
                    }
                }));
            }
            Step::Cancel(index) if !tasks.is_empty() => {
                let index = index.index(tasks.len());
                drop(tasks.remove(index));
            }
            Step::Cancel(_) => {}
            Step::Wait(time) => near.sleep(ms(time)).await,
            Step::Limits(connections, pending, requests) => {
                let next = QuotaLimits {
                    connections,
                    pending,
                    requests,
                };
                quota.set_limits(next);
                // Permits beyond a lower limit stay valid.
                limits = QuotaLimits {
                    connections: limits.connections.max(connections),
                    pending: limits.pending.max(pending),
                    requests: limits.requests.max(requests),
                };
            }
            Step::CloseIdle(number) => pools[number].close_idle(),
        }
        let used = quota.in_use();
        assert!(used.requests <= limits.requests, "{quota:?}");
        assert!(used.pending <= limits.pending, "{quota:?}");
        assert!(used.connections <= limits.connections + 4, "{quota:?}");
        let pending: usize = pools.iter().map(Pool::pending).sum();
        assert_eq!(used.pending as usize, pending, "{quota:?}");
        let connections: usize = pools.iter().map(|p| p.connections() + p.connecting()).sum();
        assert_eq!(used.connections as usize, connections, "{quota:?}");
    }
    drop(tasks);
    near.sleep(ms(1)).await;
    assert_eq!((quota.in_use().requests, quota.in_use().pending), (0, 0));
    drop(pools);
    near.sleep(ms(100)).await;
    assert_eq!(quota.in_use(), none());
}
