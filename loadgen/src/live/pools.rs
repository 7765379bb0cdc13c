//! The connections of a load: one per worker over HTTP/1.1, shared by the workers over HTTP/2.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use shakedown_env::Env;
use shakedown_wire::{
    Pool, PoolOptions, PoolProtocol, Quota, QuotaLimits, SharedTlsClient, Traffic,
};

use super::options::{LoadTarget, SendOptions};

/// The upper limit of the connect timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Creates the pools of a load, and counts their traffic.
pub(super) struct LoadPools {
    env: Env,
    target: LoadTarget,
    options: PoolOptions,
    traffic: Arc<Traffic>,
    /// Over HTTP/2: each connection with the number of its streams. A single pool if the number of connections is not
    /// bounded, which opens more as streams need them.
    shared: RefCell<Vec<SharedPool>>,
}

struct SharedPool {
    pool: Pool,
    streams: u64,
}

/// A shared connection, for one request of a worker.
pub(super) struct PoolHandle {
    links: Rc<LoadPools>,
    pub(super) pool: Pool,
    shared: usize,
}

impl LoadPools {
    pub(super) fn new(env: &Env, target: &LoadTarget, send_options: &SendOptions) -> LoadPools {
        let traffic = Arc::new(Traffic::default());
        let options = PoolOptions {
            protocol: if send_options.http2 {
                PoolProtocol::Http2
            } else {
                PoolProtocol::Http1
            },
            connect_timeout: send_options.timeout.min(CONNECT_TIMEOUT),
            reuse: send_options.reuse,
            tls: target.tls.clone().map(SharedTlsClient::new),
            traffic: Some(Arc::clone(&traffic)),
            ..PoolOptions::default()
        };
        let links = LoadPools {
            env: env.clone(),
            target: target.clone(),
            options,
            traffic,
            shared: RefCell::default(),
        };
        if send_options.http2 {
            let count = send_options.connections.map_or(1, |count| count.get());
            let quota = || {
                send_options.connections.map(|_| {
                    Quota::new(QuotaLimits {
                        connections: 1,
                        pending: u32::MAX,
                        requests: u32::MAX,
                    })
                })
            };
            let pools = (0..count).map(|_| SharedPool {
                pool: links.pool(quota()),
                streams: 0,
            });
            let pools: Vec<SharedPool> = pools.collect();
            *links.shared.borrow_mut() = pools;
        }
        links
    }

    /// A pool for a single worker.
    pub(super) fn own(&self) -> Pool {
        self.pool(None)
    }

    /// The shared pools.
    pub(super) fn shared(&self) -> Vec<Pool> {
        let shared = self.shared.borrow();
        shared.iter().map(|shared| shared.pool.clone()).collect()
    }

    /// The shared connection with the fewest streams, for one request.
    pub(super) fn least_used(self: &Rc<LoadPools>) -> Option<PoolHandle> {
        let mut all = self.shared.borrow_mut();
        let least = all.iter_mut().enumerate();
        let (at, least) = least.min_by_key(|(_, shared)| shared.streams)?;
        least.streams += 1;
        Some(PoolHandle {
            links: Rc::clone(self),
            pool: least.pool.clone(),
            shared: at,
        })
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn pool(&self, quota: Option<Quota>) -> Pool {
        let options = PoolOptions {
            quota,
            ..self.options.clone()
        };
        Pool::new(self.env.clone(), self.target.address, None, options)
    }
}

impl Drop for PoolHandle {
    fn drop(&mut self) {
        if let Some(shared) = self.links.shared.borrow_mut().get_mut(self.shared) {
            shared.streams -= 1;
        }
    }
}
