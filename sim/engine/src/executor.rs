//! The executor of a run: a table of futures that stay on the run's thread, polled in the order in which they were
//! woken.
//!
//! A future is taken out of the table while it is polled or dropped, so that it can spawn tasks and crash its own host.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use shakedown_env::{LocalFuture, TaskName, Time};

use crate::arena::{Arena, ArenaKey};
use crate::error::SimError;
use crate::host::HostCell;
use crate::noise::Noise;
use crate::panics::{self, PanicNote};
use crate::ready::TaskWaker;
use crate::shared::SimShared;

/// The number of polls at one instant after which the run fails with [`SimError::Spinning`].
const POLLS_AT_ONE_INSTANT_MAX: u64 = 20_000_000;

thread_local! {
    /// The run of this thread. A thread-local is required because an `Env` is `Send`, but the futures of its tasks are
    /// not.
    static CURRENT: RefCell<Option<Rc<Executor>>> = const { RefCell::new(None) };
}

pub(crate) struct Executor {
    shared: Arc<SimShared>,
    /// The tasks; `None` while a task is being polled.
    tasks: RefCell<Arena<Option<SimTask>>>,
    /// Tasks of paused hosts that have been woken, in order.
    parked: RefCell<Vec<(ArenaKey, Arc<HostCell>)>>,
    batch: RefCell<VecDeque<ArenaKey>>,
    noise: RefCell<Option<Noise>>,
    polls_at_instant: Cell<u64>,
    pub(crate) polls_at_instant_max: Cell<u64>,
}

struct SimTask {
    future: LocalFuture,
    waker: Waker,
    flag: Arc<TaskWaker>,
    host: Arc<HostCell>,
    incarnation: u32,
    name: TaskName,
    born: Time,
}

impl SimTask {
    fn lives(&self) -> bool {
        self.host.lives(self.incarnation)
    }
}

/// Spawns a task on the executor of this thread.
///
/// # Panics
/// If `shared` does not belong to this thread's run.
pub(crate) fn spawn(
    shared: &Arc<SimShared>,
    host: &Arc<HostCell>,
    incarnation: u32,
    name: TaskName,
    future: LocalFuture,
) {
    let executor = CURRENT.with_borrow(|current| current.clone());
    let executor = executor.filter(|executor| Arc::ptr_eq(&executor.shared, shared));
    let executor = executor.expect("tasks are spawned on the thread of their run");
    let mut tasks = executor.tasks.borrow_mut();
    let key = tasks.insert(None);
    let flag = TaskWaker::queued(key, Arc::clone(&shared.ready));
    let task = SimTask {
        future,
        waker: Waker::from(Arc::clone(&flag)),
        flag,
        host: Arc::clone(host),
        incarnation,
        name,
        born: shared.now(),
    };
    *tasks.get_mut(key).expect("the entry was just inserted") = Some(task);
    shared.tasks.fetch_add(1, Ordering::Relaxed);
}

impl Executor {
    /// Creates the executor of a new run, which occupies this thread until [`Executor::release`].
    ///
    /// # Panics
    /// If this thread already has a run.
    pub(crate) fn claim(shared: Arc<SimShared>, noise: Option<Noise>) -> Rc<Executor> {
        let executor = Rc::new(Executor {
            shared,
            tasks: RefCell::new(Arena::new()),
            parked: RefCell::default(),
            batch: RefCell::default(),
            noise: RefCell::new(noise),
            polls_at_instant: Cell::new(0),
            polls_at_instant_max: Cell::new(POLLS_AT_ONE_INSTANT_MAX),
        });
        CURRENT.with_borrow_mut(|current| {
            assert!(current.is_none(), "a thread executes one run at a time");
            *current = Some(Rc::clone(&executor));
        });
        executor
    }

    /// Drops all tasks, whose hosts must have crashed, and frees the thread for another run.
    pub(crate) fn release(&self) {
        let tasks = self.tasks.replace(Arena::new());
        let keys: Vec<ArenaKey> = tasks.iter().map(|(key, _)| key).collect();
        let mut tasks = tasks;
        for key in keys {
            let task = tasks.remove(key).flatten();
            // A panic of a destructor is ignored here, because the run already has its result.
            let _ = panics::catch(|| drop(task));
        }
        self.parked.borrow_mut().clear();
        CURRENT.with_borrow_mut(|current| *current = None);
    }

    /// Resets the poll count of [`SimError::Spinning`] after time has advanced.
    pub(crate) fn instant_over(&self) {
        self.polls_at_instant.set(0);
    }

    /// Polls until no task is ready.
    pub(crate) fn run_ready(&self) -> Result<(), SimError> {
        let mut batch = self.batch.take();
        loop {
            self.attend()?;
            self.shared.ready.swap(&mut batch);
            if batch.is_empty() {
                self.batch.replace(batch);
                return Ok(());
            }
            while let Some(key) = batch.pop_front() {
                self.poll(key)?;
                self.attend()?;
                if let Some(noise) = &mut *self.noise.borrow_mut() {
                    noise.between_polls();
                }
            }
        }
    }

    fn poll(&self, key: ArenaKey) -> Result<(), SimError> {
        let Some(mut task) = self.tasks.borrow_mut().get_mut(key).and_then(Option::take) else {
            return Ok(());
        };
        if task.host.is_paused() {
            self.parked.borrow_mut().push((key, Arc::clone(&task.host)));
            self.put_back(key, task);
            return Ok(());
        }
        task.flag.clear();
        self.shared.polls.fetch_add(1, Ordering::Relaxed);
        let polls = self.polls_at_instant.get() + 1;
        self.polls_at_instant.set(polls);
        if polls > self.polls_at_instant_max.get() {
            return Err(self.spinning(&task));
        }
        let mut cx = Context::from_waker(&task.waker);
        match panics::catch(|| task.future.as_mut().poll(&mut cx)) {
            Ok(Poll::Pending) if task.lives() => {
                self.put_back(key, task);
                Ok(())
            }
            Ok(_) => {
                self.tasks.borrow_mut().remove(key);
                self.bury(task)
            }
            Err(note) => {
                self.tasks.borrow_mut().remove(key);
                let error = self.panicked(&task, note);
                // Only the first panic is reported.
                let _ = self.bury(task);
                Err(error)
            }
        }
    }

    fn put_back(&self, key: ArenaKey, task: SimTask) {
        *self
            .tasks
            .borrow_mut()
            .get_mut(key)
            .expect("the entry of a task is kept while it is polled") = Some(task);
    }

    /// Drops the tasks of crashed hosts, and queues the parked tasks of hosts that have resumed.
    fn attend(&self) -> Result<(), SimError> {
        // The loop is needed because destructors of dropped tasks may crash further hosts. It ends, since only a host
        // that is up can crash.
        while self.shared.attention.swap(false, Ordering::Relaxed) {
            self.parked.borrow_mut().retain(|(key, host)| {
                if !host.is_paused() {
                    self.shared.ready.push(*key);
                }
                host.is_paused()
            });
            let dead: Vec<ArenaKey> = {
                let tasks = self.tasks.borrow();
                let dead = tasks
                    .iter()
                    .filter(|(_, task)| task.as_ref().is_some_and(|task| !task.lives()));
                dead.map(|(key, _)| key).collect()
            };
            for key in dead {
                let task = self.tasks.borrow_mut().remove(key).flatten();
                if let Some(task) = task {
                    self.bury(task)?;
                }
            }
        }
        Ok(())
    }

    /// Drops a task that was removed from the table.
    fn bury(&self, mut task: SimTask) -> Result<(), SimError> {
        self.shared.tasks.fetch_sub(1, Ordering::Relaxed);
        // The replacement is a zero-sized future, so boxing it does not allocate.
        let future = mem::replace(&mut task.future, Box::pin(future::ready(())));
        panics::catch(|| drop(future)).map_err(|note| self.panicked(&task, note))
    }

    fn panicked(&self, task: &SimTask, note: PanicNote) -> SimError {
        SimError::Panicked {
            host: task.host.name.to_string(),
            task: task.name,
            born: task.born,
            at: self.shared.now(),
            message: note.message,
            location: note.location,
        }
    }

    fn spinning(&self, task: &SimTask) -> SimError {
        SimError::Spinning {
            host: task.host.name.to_string(),
            task: task.name,
            at: self.shared.now(),
        }
    }
}
