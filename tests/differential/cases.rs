//! The tables, a file for each section of what the proxy promises.

mod local_replies;

use crate::case::Case;

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    let tables = [local_replies::cases()];
    tables.into_iter().flatten().collect()
}
