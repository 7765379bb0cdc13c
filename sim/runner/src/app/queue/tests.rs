use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use shakedown_scenarios::scenario::Order;

use super::{CallerGone, Gone, QueueAdmission, ServerGuard, Servers, Wait};

fn poll(wait: &mut Wait) -> Poll<Result<ServerGuard, CallerGone>> {
    std::pin::Pin::new(wait).poll(&mut Context::from_waker(Waker::noop()))
}

fn guard(servers: &Rc<Servers>) -> ServerGuard {
    match servers.enter(&Gone::default()) {
        QueueAdmission::Admitted(guard) => guard,
        _ => panic!("no server is free"),
    }
}

fn queue(servers: &Rc<Servers>, gone: &Gone) -> Wait {
    match servers.enter(gone) {
        QueueAdmission::Queued(wait) => wait,
        _ => panic!("not queued"),
    }
}

/// Polls all of them before dropping any result, and returns which are ready.
fn ready(waits: &mut [Wait]) -> Vec<bool> {
    let turns: Vec<_> = waits.iter_mut().map(poll).collect();
    turns.iter().map(Poll::is_ready).collect()
}

fn three(order: Order) -> (Rc<Servers>, ServerGuard, Vec<Wait>) {
    let servers = Servers::new(1, Some(3), order, false);
    let guard = guard(&servers);
    let waits = (0..3).map(|_| queue(&servers, &Gone::default())).collect();
    (servers, guard, waits)
}

#[test]
fn fifo_serves_the_first_that_came() {
    let (_servers, guard, mut waits) = three(Order::Fifo);
    drop(guard);
    assert_eq!(ready(&mut waits), [true, false, false]);
}

#[test]
fn lifo_serves_the_last_that_came() {
    let (_servers, guard, mut waits) = three(Order::Lifo);
    drop(guard);
    assert_eq!(ready(&mut waits), [false, false, true]);
}

#[test]
fn a_full_queue_takes_nobody() {
    let (servers, guard, mut waits) = three(Order::Fifo);
    assert!(matches!(
        servers.enter(&Gone::default()),
        QueueAdmission::Full
    ));
    drop(guard);
    let first = poll(&mut waits[0]);
    assert!(matches!(
        servers.enter(&Gone::default()),
        QueueAdmission::Queued(_)
    ));
    drop(first);
}

#[test]
fn a_limit_of_zero_means_that_nobody_waits() {
    let servers = Servers::new(2, Some(0), Order::Fifo, false);
    let _guards = (guard(&servers), guard(&servers));
    assert!(matches!(
        servers.enter(&Gone::default()),
        QueueAdmission::Full
    ));
}

#[test]
fn a_free_server_assigned_to_a_waiter_is_unavailable_to_a_newcomer() {
    let (servers, guard, mut waits) = three(Order::Fifo);
    drop(guard);
    // The server belongs to the first entry, although it has not been polled yet.
    assert!(matches!(
        servers.enter(&Gone::default()),
        QueueAdmission::Queued(_)
    ));
    assert!(poll(&mut waits[0]).is_ready());
}

#[test]
fn a_request_with_a_disconnected_caller_is_dropped_if_so_configured() {
    let servers = Servers::new(1, None, Order::Fifo, true);
    let first = guard(&servers);
    let gone = Gone::default();
    let mut left = queue(&servers, &gone);
    let mut stays = queue(&servers, &Gone::default());
    gone.set();
    drop(first);
    assert!(matches!(poll(&mut left), Poll::Ready(Err(CallerGone))));
    assert!(matches!(poll(&mut stays), Poll::Ready(Ok(_))));
}

#[test]
fn a_request_with_a_disconnected_caller_is_served_if_so_configured() {
    let servers = Servers::new(1, None, Order::Fifo, false);
    let first = guard(&servers);
    let gone = Gone::default();
    let mut left = queue(&servers, &gone);
    gone.set();
    drop(first);
    assert!(matches!(poll(&mut left), Poll::Ready(Ok(_))));
}

#[test]
fn a_turn_that_nobody_takes_goes_to_the_next() {
    let (servers, guard, mut waits) = three(Order::Fifo);
    drop(guard);
    drop(waits.remove(0));
    assert_eq!(ready(&mut waits), [true, false]);
    drop(waits);
    assert_eq!(servers.busy(), 0);
}

#[test]
fn one_that_leaves_the_queue_makes_room() {
    let (servers, _guard, mut waits) = three(Order::Fifo);
    drop(waits.remove(1));
    assert!(matches!(
        servers.enter(&Gone::default()),
        QueueAdmission::Queued(_)
    ));
}
