//! Ctrl-C: the first asks a command to end early and to report what it has, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::Exit;

/// A request of the user to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes over Ctrl-C from here on. Where the system refuses that, Ctrl-C ends the process as before.
    pub(crate) fn watch() -> Interrupt {
        let asked = Arc::new(AtomicBool::new(false));
        // In this order: a signal that finds the flag set ends the process, the first one sets it.
        let code = Exit::Interrupted as i32;
        let both = flag::register_conditional_shutdown(SIGINT, code, Arc::clone(&asked))
            .and_then(|_| flag::register(SIGINT, Arc::clone(&asked)));
        let _unheard = both;
        Interrupt(asked)
    }

    /// The flag, for what runs.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
