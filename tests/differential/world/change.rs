//! Builds the messages of a case, and replaces them during the case.

use std::time::Duration;

use shakedown_xds::proto::Resource;

use super::{Block, POLL_INTERVAL, READY, World, hosts};
use crate::case::{Case, Change, Config, Host, Xds};
use crate::messages;

/// The time that Envoy's worker threads need to apply a configuration that the main thread has acknowledged.
const TAKING_OVER: Duration = Duration::from_millis(20);

impl World<'_> {
    /// Changes the configuration of one proxy after the given delay in milliseconds, and waits until it was applied.
    pub(super) async fn change(&self, envoy: bool, change: Option<(u64, &Change)>) {
        let Some((after, change)) = change else {
            return;
        };
        self.env.sleep(Duration::from_millis(after)).await;
        let (hosts, fixture) = (hosts(self.case), &self.fixtures[usize::from(!envoy)]);
        fixture.change(resources(
            self.case,
            &hosts,
            self.block,
            envoy,
            Some(change),
        ));
        let deadline = self.env.now() + READY;
        // The stream's task must run before the fixture has unacknowledged responses.
        self.env.sleep(POLL_INTERVAL).await;
        while !fixture.is_settled() {
            assert!(
                self.env.now() < deadline,
                "{}: a change is not taken in time",
                self.case.name
            );
            self.env.sleep(POLL_INTERVAL).await;
        }
        self.env.sleep(TAKING_OVER).await;
    }
}

/// The messages of a case for one proxy, before or after a change.
pub(super) fn resources(
    case: &Case,
    hosts: &[Host],
    block: Block,
    envoy: bool,
    change: Option<&Change>,
) -> Vec<Resource> {
    let Config::Xds(edit) = &case.config else {
        panic!("{}: a change is for Envoy's messages", case.name);
    };
    let there = |host: &Host| match change {
        Some(change) => change.hosts.contains(&host.name),
        None => host.early,
    };
    let edit = |x: &mut Xds| {
        edit(x);
        if let Some(change) = change {
            (change.edit)(x);
        }
    };
    let at = |index| block.upstream(index);
    let address = if envoy { block.envoy() } else { block.ours() };
    messages::resources(hosts, &there, &case.empty, &at, address, &edit)
}
