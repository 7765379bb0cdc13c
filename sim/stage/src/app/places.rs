//! Places for calls: how many calls of one replica to one service may be under way, and who waits for the next.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use shakedown_env::{Env, Time};
use shakedown_scenarios::story::{Order, Seats};

use super::queue::{Entry, Seat, Servers};
use super::visit::Gone;

/// The places of one replica, by callee.
#[derive(Debug, Default)]
pub(crate) struct Places(RefCell<BTreeMap<usize, Rc<Servers>>>);

/// Why a call found no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The maximum wait has passed.
    Waited,
    /// The deadline has passed.
    Deadline,
}

impl Places {
    /// Takes a place for a call to `callee`, in order of asking. Dropping the seat gives it back.
    pub(crate) async fn take(
        &self,
        env: &Env,
        callee: usize,
        seats: Seats,
        deadline: Option<Time>,
    ) -> Result<Seat, NoPlace> {
        let servers = {
            let mut places = self.0.borrow_mut();
            let new = || Servers::new(seats.size, None, Order::Fifo, false);
            Rc::clone(places.entry(callee).or_insert_with(new))
        };
        let waited = seats.wait.map(|wait| env.now() + wait);
        // The calling endpoint continues when its own caller has gone, and so does its wait.
        let wait = match servers.enter(&Gone::default()) {
            Entry::Seated(seat) => return Ok(seat),
            Entry::Queued(wait) => wait,
            Entry::Full => return Err(NoPlace::Waited),
        };
        let end = [waited, deadline].into_iter().flatten().min();
        let granted = match end {
            Some(end) => env.deadline(end, wait).await.ok(),
            None => Some(wait.await),
        };
        match granted {
            Some(Ok(seat)) => Ok(seat),
            _ if waited.is_some_and(|waited| Some(waited) == end) => Err(NoPlace::Waited),
            _ => Err(NoPlace::Deadline),
        }
    }
}
