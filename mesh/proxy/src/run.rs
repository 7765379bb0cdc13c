//! The life of a proxy: starts it with or without a control plane, and shuts it down on drop.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use shakedown_env::{Env, Owned};
use shakedown_xds::table::Table;

use crate::bootstrap::Bootstrap;
use crate::proxy::Proxy;
use crate::resources::ResourceCache;
use crate::secrets::Secrets;
use crate::{admin, ads};

/// A proxy could not start.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Metrics and readiness could not be served.
    #[error("listen on {address} for metrics and readiness")]
    Admin {
        /// The address of the admin port.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Runs a proxy that follows its control plane, and starts with the configuration in its store. The proxy is ready once a
/// configuration is in force. Proxies of one process that are given clones of one cache share equal resources. TLS uses the
/// `secrets` that the configuration names.
///
/// Never returns without an error. Dropping the future closes the listeners and their connections.
///
/// # Errors
/// The port of metrics and readiness cannot be listened on.
pub async fn run(
    env: Env,
    bootstrap: Bootstrap,
    cache: ResourceCache,
    secrets: Secrets,
) -> Result<(), ProxyError> {
    let running = Running::start(env, bootstrap, secrets)?;
    let never: Infallible = ads::follow(Rc::clone(&running.proxy), cache).await;
    match never {}
}

/// Runs a proxy with this configuration, no control plane and no secrets.
///
/// Never returns without an error. Dropping the future closes the listeners and their connections.
///
/// # Errors
/// The port of metrics and readiness cannot be listened on.
pub async fn run_with_table(
    env: Env,
    bootstrap: Bootstrap,
    table: Table,
) -> Result<(), ProxyError> {
    let secrets = Secrets::new(env.clone());
    let running = Running::start(env, bootstrap, secrets)?;
    running.proxy.put_in_force(table, None);
    pending().await
}

/// A running proxy, shut down on drop. The tasks hold references to the proxy, so that they must be ended explicitly.
pub(crate) struct Running {
    pub(crate) proxy: Rc<Proxy>,
    _admin: Owned,
}

impl Running {
    /// Starts a proxy without a configuration.
    pub(crate) fn start(
        env: Env,
        bootstrap: Bootstrap,
        secrets: Secrets,
    ) -> Result<Running, ProxyError> {
        let address = (bootstrap.address, bootstrap.admin_port).into();
        let proxy = Rc::new(Proxy::new(env, bootstrap, secrets));
        let weak = Rc::downgrade(&proxy);
        proxy.shared.secrets.on_change(move || {
            if let Some(proxy) = weak.upgrade() {
                proxy.follow_secrets();
            }
        });
        match admin::listen(&proxy, address) {
            Ok(admin) => Ok(Running {
                proxy,
                _admin: admin,
            }),
            Err(source) => Err(ProxyError::Admin { address, source }),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.proxy.shared.listeners.close();
    }
}
