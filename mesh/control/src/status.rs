//! The pushes that each proxy has acknowledged. Written by the streams, and read by code that must know that all
//! proxies are in sync: a canary changes no weight before every proxy has the clusters that it needs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::node::ProxyNode;
use crate::snapshot::ResourceKind;
use crate::watch::{Watched, Watcher};

/// The connected proxies. Clones are handles of the same table.
#[derive(Clone, Debug)]
pub struct ConnectedProxies {
    table: Arc<Watched<ProxyTable>>,
}

#[derive(Debug, Default)]
pub(crate) struct ProxyTable {
    push: u64,
    next_stream: u64,
    /// By the number of the stream: a proxy that reconnects may be listed twice for a while.
    streams: BTreeMap<u64, ProxyStatus>,
}

/// The status of a connected proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyStatus {
    pub node: ProxyNode,
    /// The newest push that the proxy has fully acknowledged; 0 before the first.
    pub acknowledged: u64,
    /// The responses that the proxy refuses at present.
    pub rejections: Vec<NackStatus>,
}

/// A proxy's refusal of a response of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NackStatus {
    /// The resource type of the response.
    pub kind: ResourceKind,
    /// The reason that the proxy reported.
    pub reason: Arc<str>,
}

impl Default for ConnectedProxies {
    fn default() -> ConnectedProxies {
        ConnectedProxies {
            table: Arc::new(Watched::new(ProxyTable::default())),
        }
    }
}

impl ConnectedProxies {
    /// The newest push; 0 before the first.
    pub fn push(&self) -> u64 {
        self.table.with(|table, _| table.push)
    }

    /// Every connected proxy, in the order of connection.
    pub fn proxies(&self) -> Vec<ProxyStatus> {
        self.table
            .with(|table, _| table.streams.values().cloned().collect())
    }

    /// The node ids of the connected proxies that have not acknowledged `push`. A proxy that refuses a resource of it
    /// has not acknowledged it.
    pub fn unsynced(&self, push: u64) -> Vec<Arc<str>> {
        self.table.with(|table, _| {
            let behind = table
                .streams
                .values()
                .filter(|proxy| proxy.acknowledged < push);
            behind.map(|proxy| Arc::clone(&proxy.node.id)).collect()
        })
    }

    /// Waits until every connected proxy has acknowledged `push`. Has no timeout of its own: wrap it.
    pub async fn synced(&self, push: u64) {
        loop {
            let (done, version) = self.table.with(|table, version| {
                let behind = |proxy: &ProxyStatus| proxy.acknowledged < push;
                (
                    table.push >= push && !table.streams.values().any(behind),
                    version,
                )
            });
            if done {
                return;
            }
            let mut watcher = self.table.watcher(version);
            std::future::poll_fn(|cx| poll(&mut watcher, cx)).await;
        }
    }

    /// Returns true if every connected proxy has acknowledged `push`.
    pub fn is_synced(&self, push: u64) -> bool {
        self.table.with(|table, _| {
            table.push >= push
                && table
                    .streams
                    .values()
                    .all(|stream| stream.acknowledged >= push)
        })
    }

    /// Watches for changes from now on.
    pub(crate) fn watcher(&self) -> Watcher<ProxyTable> {
        self.table.watcher(self.table.version())
    }

    pub(crate) fn pushed(&self, push: u64) {
        self.table.change(|table| table.push = push);
    }

    /// Adds a proxy. Dropping the returned value removes it.
    pub(crate) fn connected(&self, node: ProxyNode) -> ProxyConnection {
        let mut stream = 0;
        self.table.change(|table| {
            stream = table.next_stream;
            table.next_stream += 1;
            table.streams.insert(
                stream,
                ProxyStatus {
                    node,
                    acknowledged: 0,
                    rejections: Vec::new(),
                },
            );
        });
        ProxyConnection {
            status: self.clone(),
            stream,
            acknowledged: 0,
            rejected: false,
        }
    }
}

fn poll(watcher: &mut Watcher<ProxyTable>, cx: &mut Context<'_>) -> Poll<()> {
    watcher.poll_changed(cx).map(drop)
}

/// The table entry of a proxy, for as long as its stream lives.
#[derive(Debug)]
pub(crate) struct ProxyConnection {
    status: ConnectedProxies,
    stream: u64,
    acknowledged: u64,
    rejected: bool,
}

impl ProxyConnection {
    /// Updates the proxy's status, if it has changed.
    pub(crate) fn report(&mut self, acknowledged: u64, rejections: Vec<NackStatus>) {
        // Refusals are rare and short, so every report during one is written.
        if acknowledged == self.acknowledged && rejections.is_empty() && !self.rejected {
            return;
        }
        self.acknowledged = acknowledged;
        self.rejected = !rejections.is_empty();
        self.status.table.change(|table| {
            if let Some(proxy) = table.streams.get_mut(&self.stream) {
                proxy.acknowledged = acknowledged;
                proxy.rejections = rejections;
            }
        });
    }
}

impl Drop for ProxyConnection {
    fn drop(&mut self) {
        self.status.table.change(|table| {
            table.streams.remove(&self.stream);
        });
    }
}
