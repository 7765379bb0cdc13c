//! The messages of a case, and how others take their place while it runs.

use std::time::Duration;

use shakedown_xds::proto::Resource;

use super::{Block, LOOK, READY, World, hosts};
use crate::case::{Case, Change, Config, Host, Xds};
use crate::messages;

/// How long Envoy's worker may take to do as its main thread has confirmed.
const TAKING_OVER: Duration = Duration::from_millis(20);

impl World<'_> {
    /// Changes the configuration of one of the proxies, after so many milliseconds, and waits until that has taken it.
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
        // A stream has to come round before anything is owed.
        self.env.sleep(LOOK).await;
        while !fixture.is_settled() {
            assert!(
                self.env.now() < deadline,
                "{}: a change is not taken in time",
                self.case.name
            );
            self.env.sleep(LOOK).await;
        }
        self.env.sleep(TAKING_OVER).await;
    }
}

/// The messages of a case for one of the proxies: as they are first, or after a change.
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
