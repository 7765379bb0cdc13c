//! The health of one host according to outlier detection, and the value of it that the load balancer uses.

use std::cell::Cell;

use crate::outlier::OutlierHostId;

/// The health of one host.
#[derive(Debug, Default)]
pub(crate) struct HostHealth {
    /// True while the cluster contains the host.
    pub(super) known: Cell<bool>,
    pub(super) outlier_id: Cell<Option<OutlierHostId>>,
    /// True if outlier detection has ejected it.
    pub(super) ejected: Cell<bool>,
    /// The value of `ejected` that the load balancer uses.
    pub(super) out: Cell<bool>,
}

impl HostHealth {
    /// True unless the load balancer treats it as ejected. An ejection counts once the merge window has ended.
    pub(crate) fn is_in(&self) -> bool {
        !self.out.get()
    }

    /// Updates the load balancer's value. Returns true if it has changed.
    pub(super) fn take_in(&self) -> bool {
        self.out.replace(self.ejected.get()) != self.ejected.get()
    }
}
