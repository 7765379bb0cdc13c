//! The phases of a canary.

use crate::named_enum::named_enum;

named_enum! {
    /// The phase of a canary, in the order of a rollout, followed by its possible ends. The names are Flagger's, in
    /// kebab case. Source: Flagger, `CanaryPhase`.
    pub enum CanaryPhase {
        /// The first version is not ready yet.
        Initializing = "initializing",
        /// The first version is in place.
        Initialized = "initialized",
        /// The rollout waits for an approval.
        Waiting = "waiting",
        /// The new version is being analysed.
        Progressing = "progressing",
        /// The promotion waits for an approval.
        WaitingPromotion = "waiting-promotion",
        /// The new version becomes the stable one.
        Promoting = "promoting",
        /// The previous version is being scaled down.
        Finalising = "finalising",
        /// The new version is the stable one.
        Succeeded = "succeeded",
        /// The canary is being deleted.
        Terminating = "terminating",
        /// The canary is deleted.
        Terminated = "terminated",
        /// The analysis failed: the stable version receives all traffic.
        Failed = "failed",
    }
    expected "a phase of a canary"
}
