//! Where facts of the mesh go: to one closure of the stage's, called at once and with no lock held.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use shakedown_env::Time;
use shakedown_types::MeshEvent;

use crate::HostId;

/// What the stage does with a fact.
pub(crate) type Sink = Box<dyn FnMut(Time, HostId, MeshEvent) + Send>;

#[derive(Default)]
pub(crate) struct EventSink(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    installed: bool,
    /// Out while it is being called.
    sink: Option<Sink>,
    /// Facts that were emitted from inside the sink, in order.
    waiting: VecDeque<(Time, HostId, MeshEvent)>,
}

impl EventSink {
    pub(crate) fn set(&self, sink: Option<Sink>) {
        let old = {
            let mut inner = self.lock();
            inner.installed = sink.is_some();
            std::mem::replace(&mut inner.sink, sink)
        };
        // The old one may own handles into this world: it is dropped with no lock held.
        drop(old);
    }

    pub(crate) fn emit(&self, at: Time, host: HostId, event: MeshEvent) {
        let mut sink = {
            let mut inner = self.lock();
            if !inner.installed {
                return;
            }
            match inner.sink.take() {
                Some(sink) => sink,
                None => {
                    inner.waiting.push_back((at, host, event));
                    return;
                }
            }
        };
        let mut next = Some((at, host, event));
        while let Some((at, host, event)) = next {
            sink(at, host, event);
            next = self.lock().waiting.pop_front();
        }
        let mut inner = self.lock();
        // Unless the sink has been replaced while it was out.
        if inner.installed && inner.sink.is_none() {
            inner.sink = Some(sink);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
