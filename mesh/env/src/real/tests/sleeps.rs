//! Sleeps on the real clock.

use std::task::{Context, Waker};

use super::*;

#[test]
fn sleeps_end_in_the_order_of_their_deadlines_and_never_early() {
    let (runtime, env) = world();
    let ends = Arc::new(Mutex::new(Vec::new()));
    runtime.block_on(async {
        for span in [9, 3, 6] {
            let (own, ends) = (env.clone(), Arc::clone(&ends));
            env.spawn("sleeper", async move {
                let deadline = own.now() + ms(span);
                own.sleep_until(deadline).await;
                ends.lock().unwrap().push((span, own.now() >= deadline));
            });
        }
        env.sleep(ms(20)).await;
    });
    assert_eq!(*ends.lock().unwrap(), [(3, true), (6, true), (9, true)]);
}

#[test]
fn a_sleep_that_has_elapsed_is_ready_whenever_it_is_asked() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let mut sleep = env.sleep(ms(1));
        sleep.as_mut().await;
        sleep.as_mut().await;
    });
}

#[test]
fn a_reset_sleep_ends_at_its_new_deadline() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let mut sleep = env.sleep(ms(3_600_000));
        assert!(
            sleep
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        let sooner = env.now() + ms(2);
        sleep.as_mut().reset(sooner);
        sleep.as_mut().await;
        assert!(env.now() >= sooner);
        let later = env.now() + ms(2);
        sleep.as_mut().reset(later);
        sleep.as_mut().await;
        assert!(env.now() >= later);
    });
}

#[test]
fn a_dropped_sleep_is_forgotten() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let mut sleep = env.sleep(ms(3_600_000));
        assert!(
            sleep
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        assert_eq!(runtime.timers.waiting(), 1);
        drop(sleep);
        assert_eq!(runtime.timers.waiting(), 0);
    });
}

#[test]
fn an_earlier_sleep_is_not_held_up_by_a_later_one() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let mut later = env.sleep(ms(3_600_000));
        assert!(
            later
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        env.timeout(ms(60_000), env.sleep(ms(1)))
            .await
            .expect("a millisecond ends before a minute");
    });
}

/// `cargo test -p shakedown-env -- --ignored --nocapture late`, on an idle core.
#[test]
#[ignore = "measures the machine"]
fn sleeps_are_late_by_less_than_200_us_at_p99() {
    let (runtime, env) = world();
    let mut late: Vec<Duration> = runtime.block_on(async {
        let mut late = Vec::new();
        for n in 0..2000u64 {
            let deadline = env.now() + Duration::from_micros(250 + n % 700);
            env.sleep_until(deadline).await;
            late.push(env.now().since(deadline));
        }
        late
    });
    late.sort();
    println!(
        "late: p50 {:?} p99 {:?} max {:?}",
        late[1000], late[1980], late[1999]
    );
    assert!(
        late[1980] < Duration::from_micros(200),
        "p99 {:?}",
        late[1980]
    );
}

#[test]
fn a_precise_sleep_is_never_early_and_its_watching_is_no_work() {
    let (runtime, env) = world();
    runtime.block_on(async {
        let mut sleep = env.sleep_precisely_until(env.now());
        let before = env.cpu_time().unwrap();
        for _ in 0..50 {
            let deadline = env.now() + Duration::from_micros(300);
            sleep.as_mut().reset(deadline);
            sleep.as_mut().await;
            assert!(env.now() >= deadline);
        }
        assert!(env.cpu_time().unwrap() >= before);
        assert!(runtime.timers.spun() > Duration::ZERO);
    });
}
