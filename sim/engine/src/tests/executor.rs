//! Tasks, time, and the ends of a run.

use super::*;
use crate::SimError;
use shakedown_env::WorkKind;

#[test]
fn sleeps_end_to_the_nanosecond_and_in_order() {
    let (sim, envs) = hosts(1, MS);
    let log = Log::new();
    for nanos in [250_001, 3, 250_000, 0] {
        let (env, log) = (envs[0].clone(), log.clone());
        envs[0].spawn("sleeper", async move {
            env.sleep(Duration::from_nanos(nanos)).await;
            log.add(&env, nanos);
        });
    }
    sim.run_until(at(1)).unwrap();
    let expected =
        [0, 3, 250_000, 250_001].map(|nanos| (Time::from_nanos(nanos), nanos.to_string()));
    assert_eq!(log.take(), expected);
    assert_eq!(sim.now(), at(1));
}

#[test]
fn a_dropped_sleep_frees_its_timer() {
    let (sim, envs) = hosts(1, MS);
    let env = envs[0].clone();
    envs[0].spawn("racer", async move {
        for _ in 0..1000 {
            let never = env.timeout(
                Duration::from_secs(3600),
                env.sleep(Duration::from_nanos(1)),
            );
            never.await.unwrap();
        }
    });
    sim.run_until(at(1)).unwrap();
    assert_eq!(sim.stats().live_timers, 0);
    assert_eq!(sim.stats().tasks, 0);
}

#[test]
fn a_sleep_that_has_elapsed_can_be_polled_again() {
    let (sim, envs) = hosts(1, MS);
    let (env, log) = (envs[0].clone(), Log::new());
    let seen = log.clone();
    envs[0].spawn("sleeper", async move {
        let mut sleep = env.sleep(MS);
        sleep.as_mut().await;
        sleep.as_mut().await;
        seen.add(&env, "twice");
        sleep.as_mut().reset(env.now() + MS);
        sleep.as_mut().await;
        seen.add(&env, "reset");
    });
    sim.run_until(at(9)).unwrap();
    assert_eq!(
        log.take(),
        [(at(1), "twice".to_owned()), (at(2), "reset".to_owned())]
    );
}

#[test]
fn a_run_with_nothing_left_to_happen_says_so() {
    let (sim, envs) = hosts(1, MS);
    let env = envs[0].clone();
    envs[0].spawn("last", async move { env.sleep(MS).await });
    assert_eq!(sim.run(|| false), Err(SimError::Stalled { at: at(1) }));
}

#[test]
fn a_panic_names_host_task_birth_time_and_source() {
    let (sim, envs) = hosts(2, MS);
    let env = envs[1].clone();
    envs[1].spawn("parent", async move {
        env.sleep(MS).await;
        let inner = env.clone();
        env.spawn("child", async move {
            inner.sleep(MS).await;
            panic!("over board");
        });
    });
    let error = sim.run(|| false).unwrap_err();
    let SimError::Panicked {
        host,
        task,
        born,
        at: when,
        message,
        location,
    } = error.clone()
    else {
        panic!("{error}")
    };
    assert_eq!(
        (host.as_str(), task, born, when),
        ("h1", "child", at(1), at(2))
    );
    assert_eq!(message, "over board");
    assert!(location.contains("executor.rs:"), "{location}");
    assert_eq!(sim.run(|| true), Err(error), "a failed run does not go on");
}

#[test]
fn a_panic_of_a_destructor_at_a_crash_ends_the_run() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom");
        }
    }
    let (sim, envs) = hosts(1, MS);
    let env = envs[0].clone();
    envs[0].spawn("armed", async move {
        let _bomb = Bomb;
        env.sleep(Duration::from_secs(9)).await;
    });
    sim.run_until(at(1)).unwrap();
    sim.net().crash(id(&sim, 0));
    let error = sim.run(|| false).unwrap_err();
    assert!(
        matches!(&error, SimError::Panicked { task: "armed", message, .. } if message == "boom"),
        "{error}"
    );
}

#[test]
fn a_thread_can_carry_one_run_after_another() {
    for _ in 0..3 {
        let (sim, envs) = hosts(1, MS);
        let env = envs[0].clone();
        // The task owns a handle of its own simulation. Dropping the run must break this cycle.
        envs[0].spawn(
            "idle",
            async move { env.sleep(Duration::from_secs(1)).await },
        );
        sim.run_until(at(1)).unwrap();
    }
}

#[test]
#[should_panic(expected = "a thread executes one run at a time")]
fn a_thread_cannot_carry_two_runs_at_once() {
    let _first = sim();
    let _second = sim();
}

#[test]
fn tasks_that_spin_at_one_instant_end_the_run() {
    let (sim, envs) = hosts(1, MS);
    sim.executor.polls_at_instant_max.set(1000);
    envs[0].spawn("spinner", async {
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::<()>::Pending
        })
        .await;
    });
    let error = sim.run(|| false).unwrap_err();
    assert_eq!(
        error,
        SimError::Spinning {
            host: "h0".to_owned(),
            task: "spinner",
            at: Time::ZERO
        }
    );
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "one thread carries one run, and many runs are the point"
)]
fn many_runs_share_a_process() {
    let run = |seed| {
        let sim = seeded(seed, None);
        let env = add(&sim, 0);
        let log = Log::new();
        let (inner, seen) = (env.clone(), log.clone());
        env.spawn("worker", async move {
            inner.sleep(MS).await;
            seen.add(&inner, "done");
        });
        sim.run_until(at(5)).unwrap();
        log.take()
    };
    let threads: Vec<_> = (0..4)
        .map(|seed| std::thread::spawn(move || run(seed)))
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), [(at(1), "done".to_owned())]);
    }
}

#[test]
fn declared_work_queues_for_the_workers_of_its_host() {
    let sim = sim();
    let env = sim.add_host(HostSpec {
        request_cost: 10 * MS,
        cost_workers: 2,
        ..spec(0)
    });
    let log = Log::new();
    for n in 0..3 {
        let (inner, log) = (env.clone(), log.clone());
        env.spawn("request", async move {
            inner.spend(WorkKind::Handshake).await;
            inner.spend(WorkKind::Request).await;
            log.add(&inner, n);
        });
    }
    sim.run_until(at(100)).unwrap();
    assert_eq!(
        log.take(),
        [
            (at(10), "0".to_owned()),
            (at(10), "1".to_owned()),
            (at(20), "2".to_owned())
        ]
    );
}

#[test]
fn the_wall_clock_equals_the_epoch_at_its_origin_and_follows_skew() {
    let (sim, envs) = hosts(2, MS);
    sim.run_until(at(5)).unwrap();
    sim.net().set_epoch_origin(at(3));
    sim.net().skew(id(&sim, 1), -7);
    assert_eq!(envs[0].unix_time(), UnixTime::from_nanos(1_000_002_000_000));
    assert_eq!(envs[1].unix_time(), UnixTime::from_nanos(1_000_001_999_993));
}

#[test]
fn names_resolve_to_their_addresses_in_order() {
    let (sim, envs) = hosts(1, MS);
    sim.net().set_name("reviews", vec![ip(2), ip(1)]);
    sim.net().set_name("gone", vec![ip(2)]);
    sim.net().remove_name("gone");
    let (env, log) = (envs[0].clone(), Log::new());
    let seen = log.clone();
    envs[0].spawn("resolver", async move {
        for name in ["reviews", "10.0.0.9", "gone"] {
            seen.add(
                &env,
                format!(
                    "{:?}",
                    env.resolve(name).await.map_err(|error| error.kind())
                ),
            );
        }
    });
    sim.run_until(at(1)).unwrap();
    assert_eq!(
        log.words(),
        [
            "Ok([10.0.0.3, 10.0.0.2])",
            "Ok([10.0.0.9])",
            "Err(NotFound)"
        ]
    );
}

#[test]
fn a_thousand_idle_hosts_are_cheap() {
    let (sim, envs) = hosts(1000, MS);
    for env in &envs {
        let inner = env.clone();
        env.spawn("tick", async move {
            loop {
                inner.sleep(Duration::from_secs(1)).await;
            }
        });
    }
    sim.run_until(at(10_000)).unwrap();
    assert_eq!(sim.stats().polls, 1000 * 11);
    assert_eq!(sim.stats().events, 1000 * 10);
}
