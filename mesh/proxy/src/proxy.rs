//! A proxy and its configuration: puts tables in force, and knows whether it is ready.

use std::cell::RefCell;
use std::rc::Rc;

use shakedown_env::Env;
use shakedown_types::MeshEvent;
use shakedown_xds::table::Table;

use crate::accept;
use crate::bootstrap::Bootstrap;
use crate::control_plane::ControlPlaneStatus;
use crate::secrets::Secrets;
use crate::shared::Shared;

/// A proxy's shared state, its readiness and the status of its control plane.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) shared: Rc<Shared>,
    pub(crate) control_plane: ControlPlaneStatus,
    /// The reason why the proxy is not ready. Once `None` it stays `None`.
    unready: RefCell<Option<String>>,
}

impl Proxy {
    /// A proxy without a configuration.
    pub(crate) fn new(env: Env, bootstrap: Bootstrap, secrets: Secrets) -> Proxy {
        Proxy {
            shared: Rc::new(Shared::new(env, bootstrap, secrets)),
            control_plane: ControlPlaneStatus::default(),
            unready: RefCell::new(Some("no configuration in force".into())),
        }
    }

    /// Puts a configuration in force. A listener that cannot listen is reported as refused, and tried again with the next
    /// configuration. The proxy becomes ready once all listeners are open and none is `missing`.
    pub(crate) fn put_in_force(&self, table: Table, missing: Option<String>) {
        let shared = &self.shared;
        shared.state.swap(table);
        shared.rate_limits.sweep();
        shared.overload.sweep();
        shared.state.follow_secrets();
        let unopened = accept::follow(shared);
        if !self.is_ready() {
            self.unready.replace(missing.or(unopened.reason()));
        }
        for (listener, error) in unopened.failed {
            shared.env.emit(MeshEvent::ConfigRefused {
                kind: "Listener",
                resource: listener,
                reason: error.to_string().into(),
            });
        }
    }

    /// Uses the current secrets for new connections in both directions.
    pub(crate) fn follow_secrets(&self) {
        self.shared.state.follow_secrets();
        for listener in self.shared.listeners.list() {
            listener.follow_secrets(&self.shared.secrets);
        }
    }

    /// True once a configuration has been in force with all its listeners open.
    pub(crate) fn is_ready(&self) -> bool {
        self.unready.borrow().is_none()
    }

    /// The reason why the proxy is not ready.
    pub(crate) fn unready(&self) -> Option<String> {
        self.unready.borrow().clone()
    }
}
