//! Settings that stages of the request path act on: limits, retries, outlier detection.

mod outlier;
mod retry;

pub use outlier::never_ejects;
pub use outlier::{Enforcing, FailurePercentage, OutlierDetection, SuccessRate};
pub use retry::{HedgePolicy, RateLimitedBackOff, ResetFormat, ResetHeader, RetryOn, RetryPolicy};

/// How much of a cluster may be in hand at once, in one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections.
    pub connections: u32,
    /// Requests that wait for a connection.
    pub pending: u32,
    /// Requests on connections.
    pub requests: u32,
    /// Retries, those that wait for their turn included.
    pub retries: u32,
    /// Bounds retries in place of `retries`.
    pub retry_budget: Option<RetryBudget>,
}

/// A bound on retries that grows with the requests in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// The share of the requests in hand and waiting, in millionths.
    pub share_ppm: u32,
    /// So many are allowed in any case.
    pub min_concurrency: u32,
}

impl RetryBudget {
    /// Envoy's: 20%, and 3 in any case. Source: Envoy, `CircuitBreakers.Thresholds.RetryBudget`.
    pub const ENVOY: RetryBudget = RetryBudget {
        share_ppm: 200_000,
        min_concurrency: 3,
    };
}

/// The limits of each priority; a route says which of them its requests are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriorityLimits {
    /// Of requests of ordinary priority.
    pub default: Limits,
    /// Of those of high priority.
    pub high: Limits,
}

impl PriorityLimits {
    /// Envoy's, where nothing is set.
    pub const ENVOY: PriorityLimits = PriorityLimits::both(Limits::ENVOY);

    /// The same for both.
    pub const fn both(limits: Limits) -> PriorityLimits {
        PriorityLimits {
            default: limits,
            high: limits,
        }
    }

    /// Those of one priority.
    pub const fn of(&self, priority: Priority) -> Limits {
        match priority {
            Priority::Default => self.default,
            Priority::High => self.high,
        }
    }
}

/// Which of a cluster's limits a request counts against. Source: Envoy, `RoutingPriority`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// The ordinary ones.
    #[default]
    Default,
    /// Those of its own.
    High,
}

impl Priority {
    /// Both.
    pub const ALL: [Priority; 2] = [Priority::Default, Priority::High];
}

impl Limits {
    /// Envoy's, where nothing is set. Source: Envoy, `CircuitBreakers.Thresholds`.
    pub const ENVOY: Limits = Limits {
        connections: 1024,
        pending: 1024,
        requests: 1024,
        retries: 3,
        retry_budget: None,
    };
    /// None to speak of: what Istio sets. Source: Istio, `getDefaultCircuitBreakerThresholds`.
    pub const UNLIMITED: Limits = Limits {
        connections: u32::MAX,
        pending: u32::MAX,
        requests: u32::MAX,
        retries: u32::MAX,
        retry_budget: None,
    };
}
