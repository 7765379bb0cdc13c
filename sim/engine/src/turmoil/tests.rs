use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;

fn world() -> (TurmoilSim, HostId, HostId) {
    let mut sim = TurmoilSim::new(TurmoilOptions {
        seed: 1,
        epoch: UnixTime::from_nanos(0),
    });
    let a = sim.add_host("a", "10.0.0.1".parse().unwrap());
    let b = sim.add_host("b", "10.0.0.2".parse().unwrap());
    (sim, a, b)
}

#[test]
fn spans_are_rounded_up_to_whole_ticks() {
    let micros = Duration::from_micros;
    assert_eq!(ticks(Duration::ZERO), micros(1_000));
    assert_eq!(ticks(micros(250)), micros(1_000));
    assert_eq!(ticks(micros(2_000)), micros(2_000));
    assert_eq!(ticks(micros(2_001)), micros(3_000));
}

#[test]
fn a_sleep_ends_at_the_first_tick_at_or_after_its_deadline() {
    let (mut sim, a, _) = world();
    let env = sim.net().env(a);
    let woken = Rc::new(RefCell::new(Vec::new()));
    let (own, seen) = (env.clone(), Rc::clone(&woken));
    env.spawn("sleeper", async move {
        for micros in [1_000, 500, 2_500] {
            own.sleep(Duration::from_micros(micros)).await;
            seen.borrow_mut().push(own.now().as_nanos() / 1_000);
        }
    });
    sim.run(|| woken.borrow().len() == 3).unwrap();
    assert_eq!(*woken.borrow(), [1_000, 2_000, 5_000]);
}

#[test]
fn a_connection_takes_the_latency_of_its_link_each_way() {
    let (mut sim, a, b) = world();
    sim.net().set_latency(a, b, Duration::from_micros(2_500));
    let (server, client) = (sim.net().env(a), sim.net().env(b));
    let at = "10.0.0.1:80".parse().unwrap();
    let mut listener = server.listen(at).unwrap();
    assert!(server.listen(at).is_err(), "the port is taken");
    server.spawn("accept", async move {
        let stream = listener.accept().await.unwrap();
        assert_eq!(stream.local_addr(), at);
        assert_eq!(stream.peer_addr().ip().to_string(), "10.0.0.2");
        std::future::pending::<()>().await;
    });
    let connected = Rc::new(Cell::new(None));
    let (own, seen) = (client.clone(), Rc::clone(&connected));
    client.spawn("connect", async move {
        let _stream = own.connect(at, None).await.unwrap();
        seen.set(Some(own.now()));
        std::future::pending::<()>().await;
    });
    sim.run(|| connected.get().is_some()).unwrap();
    // Turmoil's SYN takes the latency of the link, its SYN-ACK takes none.
    let at = connected.take().unwrap().as_nanos();
    assert!((3_000_000..=4_000_000).contains(&at), "{at}");
}

#[test]
fn a_crash_is_silent_and_a_restart_refuses() {
    let (mut sim, a, b) = world();
    let net = sim.net();
    let at = "10.0.0.1:80".parse().unwrap();
    let mut listener = net.env(a).listen(at).unwrap();
    net.env(a).spawn("accept", async move {
        let _stream = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    });
    let client = net.env(b);
    let results = Rc::new(RefCell::new(Vec::new()));
    let (own, inner_net, seen) = (client.clone(), net.clone(), Rc::clone(&results));
    client.spawn("client", async move {
        let second = Duration::from_secs(1);
        let _open = own.connect(at, None).await.unwrap();
        inner_net.crash(a);
        let hangs = own.timeout(second, own.connect(at, None)).await.is_err();
        seen.borrow_mut().push(hangs);
        inner_net.restart(a);
        own.sleep(second).await;
        let refused = own.timeout(second, own.connect(at, None)).await;
        seen.borrow_mut()
            .push(refused.is_ok_and(|done| done.is_err()));
    });
    sim.run(|| results.borrow().len() == 2).unwrap();
    assert_eq!(*results.borrow(), [true, true], "hangs, then is refused");
}

#[test]
fn nothing_of_a_paused_host_runs_until_it_is_resumed() {
    let (mut sim, a, b) = world();
    let net = sim.net();
    let (paused, watch) = (net.env(a), net.env(b));
    let woken = Rc::new(Cell::new(0));
    let (own, seen) = (paused.clone(), Rc::clone(&woken));
    paused.spawn("sleeper", async move {
        own.sleep(Duration::from_millis(10)).await;
        seen.set(own.now().as_nanos() / 1_000_000);
    });
    let own = watch.clone();
    watch.spawn("chaos", async move {
        own.sleep(Duration::from_millis(5)).await;
        net.pause(a);
        own.sleep(Duration::from_millis(45)).await;
        net.resume(a);
    });
    sim.run(|| woken.get() > 0).unwrap();
    assert!((50..=51).contains(&woken.get()), "{}", woken.get());
}

#[test]
fn a_task_panic_ends_the_run_and_reports_its_name_and_host() {
    let (mut sim, a, _) = world();
    sim.net()
        .env(a)
        .spawn("clumsy", async { panic!("dropped it") });
    let error = sim.run(|| false).unwrap_err().to_string();
    assert!(error.contains("clumsy of host a"), "{error}");
    assert!(error.contains("dropped it"), "{error}");
}
