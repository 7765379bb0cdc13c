//! Opens connections for those in line.
//!
//! A request that finds every connection busy may find them so because the generator itself was held up, and their answers
//! wait in the sockets. So a connection is opened only once the loop has caught up with its sockets and a request waits
//! still, one at a time; and a request that is late by the generator's own doing first waits as long again as it is late. A
//! hiccup of the generator's makes no burst of connections, and a server that is slow gets as many as it needs, each a turn
//! of the loop after the last.

use std::future::poll_fn;
use std::rc::Rc;

use super::crew::Crew;
use super::lane;

/// Serves its crew until that is closed, or this is dropped.
pub(super) async fn run(crew: Rc<Crew>) {
    let mut sleep = None;
    while poll_fn(|cx| crew.poll_wanted(&mut sleep, cx)).await {
        crew.env().catch_up().await;
        if let Some(index) = crew.grow() {
            crew.env()
                .spawn("load-lane", lane::run(Rc::clone(&crew), index));
        }
    }
}
