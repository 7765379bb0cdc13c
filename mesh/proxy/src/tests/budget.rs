//! Tests retry budgets while their base, the number of active and pending requests, changes constantly.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use proptest::prelude::*;
use shakedown_env::{Env, Owned};
use shakedown_wire::{Body, Pool, PoolOptions};
use shakedown_xds::table::{Limits, RetryBudget, RetryOn, RouteActionKind};

use super::scene::*;
use crate::breaker::CircuitBreaker;

#[derive(Clone, Debug)]
enum Step {
    /// Starts a request that only its caller ends.
    Hold,
    /// Ends one of the started requests.
    Release(prop::sample::Index),
    Retry,
    Done(prop::sample::Index),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Hold),
        2 => any::<prop::sample::Index>().prop_map(Step::Release),
        6 => Just(Step::Retry),
        2 => any::<prop::sample::Index>().prop_map(Step::Done),
        2 => (0..3u64).prop_map(Step::Wait),
    ]
}

fn held(env: &Env, pool: &Pool) -> Owned {
    let pool = pool.clone();
    let request = http::Request::get("/")
        .header("host", "a")
        .body(Body::empty());
    env.spawn_owned("held", async move {
        let _ = pool.send(request.unwrap()).await;
    })
}

/// Runs steps against a budget. A request counts from its arrival in the queue to its end, a retry from its decision.
fn play_budget(steps: Vec<Step>, share_ppm: u32, min_concurrency: u32, connections: u32) {
    play(move |scene| async move {
        let env = scene.env(POD);
        scene.answer_after(ms(3_600_000), UP1, 9080, 200, "");
        let breaker = CircuitBreaker::new(Limits {
            connections,
            retries: 0,
            retry_budget: Some(RetryBudget {
                share_ppm,
                min_concurrency,
            }),
            ..Limits::UNLIMITED
        });
        let options = PoolOptions {
            quota: Some(breaker.quota().clone()),
            ..PoolOptions::default()
        };
        let pool = Pool::new(env.clone(), at(UP1, 9080), None, options);
        let (mut requests, mut retries) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Hold => {
                    requests.push(held(&env, &pool));
                    // The request's task must be polled once before the request is counted.
                    env.sleep(std::time::Duration::from_nanos(1)).await;
                }
                Step::Release(index) if !requests.is_empty() => {
                    let index = index.index(requests.len());
                    drop(requests.swap_remove(index));
                    env.sleep(std::time::Duration::from_nanos(1)).await;
                }
                Step::Retry => {
                    let (before, in_hand) = (retries.len() as u64, requests.len() as u64);
                    let share = in_hand * u64::from(share_ppm) / 1_000_000;
                    let allowed = share.max(u64::from(min_concurrency));
                    let admitted = breaker.retry();
                    assert_eq!(
                        admitted.is_some(),
                        before < allowed,
                        "{before} retries of {allowed}, {in_hand} in hand"
                    );
                    retries.extend(admitted);
                }
                Step::Done(index) if !retries.is_empty() => {
                    retries.swap_remove(index.index(retries.len()));
                }
                Step::Wait(millis) => env.sleep(ms(millis)).await,
                Step::Release(_) | Step::Done(_) => {}
            }
            assert_eq!(breaker.retries() as usize, retries.len());
        }
        drop((requests, retries));
        env.sleep(ms(10)).await;
        let used = breaker.quota().in_use();
        assert_eq!((breaker.retries(), used.requests, used.pending), (0, 0, 0));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_retry_is_admitted_if_and_only_if_the_current_budget_allows(
        steps in prop::collection::vec(step(), 1..80),
        share_ppm in prop_oneof![Just(200_000), 0..=1_000_000u32],
        min_concurrency in 0..5u32,
        connections in 1..30u32,
    ) {
        play_budget(steps, share_ppm, min_concurrency, connections);
    }
}

/// Starts requests that end when they are dropped.
fn hold(scene: &Scene, number: usize) -> Vec<Owned> {
    let one = |_| {
        let own = scene.clone();
        let waits: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
            own.get("/hold").await;
        });
        scene.env(CALLER).spawn_owned("held", waits)
    };
    (0..number).map(one).collect()
}

#[test]
fn a_budget_is_a_fifth_of_active_requests_including_retries_in_backoff() {
    play(|scene| async move {
        let env = scene.env(UP1);
        let had = Rc::new(std::cell::Cell::new(0));
        let count = Rc::clone(&had);
        scene.serve(UP1, 9080, move |request| {
            let held = request.uri().path() == "/hold";
            count.set(count.get() + u32::from(!held));
            let wait = env.sleep(ms(if held { 3_600_000 } else { 100 }));
            async move {
                wait.await;
                reply(503, "")
            }
        });
        let mut action = to(REVIEWS);
        let mut policy = retry(RetryOn::SERVER_ERROR);
        policy.times = 1;
        // The backoff is long, so that all retries are waiting at the last decision.
        policy.base_interval = ms(10_000);
        policy.max_interval = ms(10_000);
        action.retry = Some(policy.into());
        let mut cluster = cluster(REVIEWS, &[at(UP1, 9080)]);
        cluster.limits.default.retry_budget = Some(RetryBudget::ENVOY);
        scene.proxy(outbound(RouteActionKind::Forward(action), vec![cluster]));
        let held = hold(&scene, 30);
        scene.env(CALLER).sleep(ms(50)).await;
        let failing: Vec<_> = (0..10).map(|_| scene.get("/")).collect();
        futures_util::future::join_all(failing).await;
        // The n-th decision finds the 30 held requests and 10 - n others. A fifth of them is 7 for the first five
        // decisions, and then 6, which equals the number already waiting at the sixth.
        assert_eq!(had.get(), 16, "ten, and six of them again");
        drop(held);
    });
}
