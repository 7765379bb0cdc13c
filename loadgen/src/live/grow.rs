//! Opens connections for queued requests.
//!
//! Requests can find every connection busy because the generator itself was delayed, while the responses wait in the
//! sockets. A connection is therefore opened only once the loop has processed its sockets and a request is still
//! queued. Connections are opened one at a time, and a request that the generator delayed first waits as long again as
//! it is late. Thus a pause of the generator causes no burst of connections, and a slow server still receives as many
//! as it needs, one per turn of the loop.

use std::future::poll_fn;
use std::rc::Rc;

use super::worker;
use super::workers::WorkerPool;

/// Opens connections until the load is closed, or until this is dropped.
pub(super) async fn run(workers: Rc<WorkerPool>) {
    let mut sleep = None;
    while poll_fn(|cx| workers.poll_wanted(&mut sleep, cx)).await {
        workers.env().catch_up().await;
        if let Some(index) = workers.grow() {
            workers
                .env()
                .spawn("load-lane", worker::run(Rc::clone(&workers), index));
        }
    }
}
