//! Hosts that crash, restart and pause.

use std::cell::Cell;

use shakedown_env::WorkKind;
use shakedown_types::MeshEvent;

use super::*;

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_dying_hosts_destructors_are_not_heard() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    let seen = log.clone();
    serve(&envs[1], 1, move |env, mut stream| {
        let seen = seen.clone();
        async move {
            let _held = OnDrop({
                let (env, seen) = (env.clone(), seen.clone());
                move || {
                    seen.add(&env, "dropped");
                    let inner = seen.clone();
                    let late = env.clone();
                    env.spawn("late", async move { inner.add(&late, "spawned") });
                    env.emit(MeshEvent::ConfigInForce { version: 1 });
                    assert!(env.store().write("key", b"late").is_err());
                    assert!(env.listen(addr(1)).is_err());
                }
            });
            env.store().write("key", b"early").unwrap();
            write_all(&mut stream, b"hello").await.unwrap();
            env.sleep(Duration::from_secs(3600)).await;
            drop(stream);
        }
    });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let mut stream = env.connect(addr(1), None).await.unwrap();
        seen.add(&env, read_text(&mut stream).await);
        seen.add(&env, read_text(&mut stream).await);
    });
    let facts = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = facts.clone();
    sim.net().set_event_sink(Box::new(move |_, _, _| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }));
    sim.run_until(at(100)).unwrap();
    sim.net().crash(id(&sim, 1));
    sim.run_until(at(10_000)).unwrap();
    assert_eq!(
        log.words(),
        ["hello", "dropped"],
        "the client hears nothing"
    );
    assert_eq!(facts.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(sim.stats().tasks, 1);
    let reborn = sim.net().restart(id(&sim, 1));
    assert_eq!(
        reborn.store().read("key"),
        Some(b"early".to_vec()),
        "the store survives"
    );
    assert!(reborn.listen(addr(1)).is_ok());
}

#[test]
fn a_task_can_crash_its_own_host() {
    let (sim, envs) = hosts(1, MS);
    let (net, host, log) = (sim.net(), id(&sim, 0), Log::new());
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("suicidal", async move {
        let last = seen.clone();
        let last_env = env.clone();
        let _held = OnDrop(move || last.add(&last_env, "dropped"));
        net.crash(host);
        seen.add(&env, "still in this poll");
        env.sleep(MS).await;
        seen.add(&env, "never");
    });
    sim.run_until(at(10)).unwrap();
    assert_eq!(log.words(), ["still in this poll", "dropped"]);
    assert_eq!((sim.stats().tasks, sim.stats().live_timers), (0, 0));
}

#[test]
fn an_old_handle_is_dead_after_a_restart() {
    let (sim, envs) = hosts(1, MS);
    let new = sim.net().restart(id(&sim, 0));
    let log = Log::new();
    let (old, seen) = (envs[0].clone(), log.clone());
    old.clone()
        .spawn("old", async move { seen.add(&old, "old") });
    let (inner, old, seen) = (new.clone(), envs[0].clone(), log.clone());
    new.spawn("new", async move {
        seen.add(
            &inner,
            format!("{:?}", inner.timeout(MS, old.sleep(Duration::ZERO)).await),
        );
        let opened = inner.timeout(MS, old.connect(addr(0), None)).await;
        seen.add(&inner, format!("{:?}", opened.map(|_| ())));
        seen.add(
            &inner,
            format!(
                "{:?}",
                inner.timeout(MS, old.spend(WorkKind::Request)).await
            ),
        );
    });
    sim.run_until(at(10)).unwrap();
    assert_eq!(
        log.words(),
        ["Err(Elapsed)", "Err(Elapsed)", "Err(Elapsed)"]
    );
}

#[test]
fn a_paused_host_runs_nothing_but_its_kernel_works_on() {
    let (sim, envs) = hosts(2, 10 * MS);
    let log = Log::new();
    let seen = log.clone();
    serve(&envs[1], 1, move |env, mut stream| {
        let seen = seen.clone();
        async move {
            let text = read_text(&mut stream).await;
            seen.add(&env, format!("server {text}"));
        }
    });
    let (ticker, seen) = (envs[1].clone(), log.clone());
    envs[1].spawn("ticker", async move {
        ticker.sleep(150 * MS).await;
        seen.add(&ticker, "tick");
    });
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        env.sleep(100 * MS).await;
        let mut stream = env.connect(addr(1), None).await.unwrap();
        seen.add(&env, "connected");
        write_all(&mut stream, b"hi").await.unwrap();
        env.sleep(Duration::from_secs(3600)).await;
    });
    sim.run_until(at(50)).unwrap();
    sim.net().pause(id(&sim, 1));
    sim.run_until(at(1000)).unwrap();
    assert_eq!(log.take(), [(at(120), "connected".to_owned())]);
    sim.net().resume(id(&sim, 1));
    sim.run_until(at(2000)).unwrap();
    assert_eq!(
        log.take(),
        [
            (at(1000), "tick".to_owned()),
            (at(1000), "server hi".to_owned())
        ]
    );
}

#[test]
fn a_pause_stops_the_virtual_processor() {
    let sim = sim();
    let env = sim.add_host(HostSpec {
        request_cost: 10 * MS,
        ..spec(0)
    });
    let log = Log::new();
    let (inner, seen) = (env.clone(), log.clone());
    env.spawn("worker", async move {
        inner.spend(WorkKind::Request).await;
        seen.add(&inner, "done");
    });
    sim.run_until(at(4)).unwrap();
    sim.net().pause(id(&sim, 0));
    sim.run_until(at(100)).unwrap();
    sim.net().resume(id(&sim, 0));
    sim.run_until(at(200)).unwrap();
    assert_eq!(log.take(), [(at(106), "done".to_owned())]);
}

#[test]
fn hosts_can_be_added_by_a_task() {
    let (sim, envs) = hosts(1, MS);
    let (net, env, born) = (sim.net(), envs[0].clone(), Rc::new(Cell::new(None)));
    let result = born.clone();
    envs[0].spawn("stage", async move {
        env.sleep(MS).await;
        let child = net.add_host(spec(1));
        let inner = child.clone();
        child.spawn("main", async move { result.set(Some(inner.now())) });
    });
    sim.run(|| born.get().is_some()).unwrap();
    assert_eq!(born.get(), Some(at(1)));
    assert_eq!(sim.net().host_at(ip(1)), sim.host_id("h1"));
}

#[test]
fn facts_emitted_by_the_sink_follow_after_it() {
    let (sim, envs) = hosts(1, MS);
    let versions = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (env, seen) = (envs[0].clone(), versions.clone());
    sim.net().set_event_sink(Box::new(move |_, _, event| {
        let MeshEvent::ConfigInForce { version } = event else {
            return;
        };
        if version < 3 {
            env.emit(MeshEvent::ConfigInForce {
                version: version + 1,
            });
        }
        seen.lock().unwrap().push(version);
    }));
    envs[0].emit(MeshEvent::ConfigInForce { version: 1 });
    assert_eq!(*versions.lock().unwrap(), [1, 2, 3]);
}
