//! Catches panics of tasks, including the source line, which only a panic hook can see.
//!
//! The hook belongs to the process, and is the only global state here. It is installed once, records panics
//! on threads inside a run, and forwards all others to the previous hook.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// The description of a panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PanicNote {
    pub(crate) message: String,
    /// Source position as `file:line:column`.
    pub(crate) location: String,
}

thread_local! {
    static WATCHED: RefCell<WatchedThread> = const { RefCell::new(WatchedThread { depth: 0, note: None }) };
}

struct WatchedThread {
    depth: u32,
    note: Option<PanicNote>,
}

/// A guard: while it exists, panics on this thread are recorded and not printed.
pub(crate) struct PanicWatch(());

impl PanicWatch {
    pub(crate) fn new() -> PanicWatch {
        WATCHED.with_borrow_mut(|watched| watched.depth += 1);
        PanicWatch(())
    }
}

impl Drop for PanicWatch {
    fn drop(&mut self) {
        WATCHED.with_borrow_mut(|watched| watched.depth -= 1);
    }
}

/// Installs the hook, once per process.
pub(crate) fn install() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !note(info) {
                before(info);
            }
        }));
    });
}

/// Runs `work`, and converts a panic in it to a [`PanicNote`].
pub(crate) fn catch<R>(work: impl FnOnce() -> R) -> Result<R, PanicNote> {
    // The caller ends the run after a panic, so state that the panic left inconsistent is never used.
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let noted = WATCHED.with_borrow_mut(|watched| watched.note.take());
        noted.unwrap_or_else(|| PanicNote {
            message: text(&*payload),
            location: "unknown".to_owned(),
        })
    })
}

fn note(info: &PanicHookInfo<'_>) -> bool {
    let location = info
        .location()
        .map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let note = PanicNote {
        message: text(info.payload()),
        location,
    };
    WATCHED
        .try_with(|watched| {
            let Ok(mut watched) = watched.try_borrow_mut() else {
                return false;
            };
            if watched.depth == 0 {
                return false;
            }
            watched.note = Some(note);
            true
        })
        .unwrap_or(false)
}

fn text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}
