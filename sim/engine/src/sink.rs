//! The receiver of the mesh's events: a closure of the runner, called synchronously and without a lock.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use shakedown_env::Time;
use shakedown_types::MeshEvent;

use crate::HostId;

/// The closure that receives events.
pub(crate) type EventCallback = Box<dyn FnMut(Time, HostId, MeshEvent) + Send>;

#[derive(Default)]
pub(crate) struct EventSink(Mutex<SinkInner>);

#[derive(Default)]
struct SinkInner {
    installed: bool,
    /// `None` while it is being called.
    sink: Option<EventCallback>,
    /// Events emitted from inside the closure, in order.
    waiting: VecDeque<(Time, HostId, MeshEvent)>,
}

impl EventSink {
    pub(crate) fn set(&self, sink: Option<EventCallback>) {
        let old = {
            let mut inner = self.lock();
            inner.installed = sink.is_some();
            std::mem::replace(&mut inner.sink, sink)
        };
        // The old closure may own handles of this simulation, so it is dropped without the lock.
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
        // Not if the closure was replaced during the call.
        if inner.installed && inner.sink.is_none() {
            inner.sink = Some(sink);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SinkInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
