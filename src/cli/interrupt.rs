//! Ctrl-C handling: the first press asks a command to end early and report its results so far, the second ends the
//! process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::exit::Exit;

/// A flag that is set when the user asks to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Installs the handler of Ctrl-C. If the system refuses it, Ctrl-C ends the process as before.
    pub(crate) fn watch() -> Interrupt {
        let requested = Arc::new(AtomicBool::new(false));
        // The order matters because a signal that finds the flag set ends the process, and the first signal must only
        // set it.
        let code = Exit::Interrupted as i32;
        let both = flag::register_conditional_shutdown(SIGINT, code, Arc::clone(&requested))
            .and_then(|_| flag::register(SIGINT, Arc::clone(&requested)));
        let _unregistered = both;
        Interrupt(requested)
    }

    /// The flag, for the code that must stop.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Returns true once Ctrl-C was pressed.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
