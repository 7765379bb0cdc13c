//! Policy settings of clusters and routes: circuit breaker limits, retries, outlier detection.

mod outlier;
mod retry;

pub use outlier::never_ejects;
pub use outlier::{Enforcing, FailurePercentage, OutlierDetection, SuccessRate};
pub use retry::{HedgePolicy, RateLimitedBackOff, ResetFormat, ResetHeader, RetryOn, RetryPolicy};

/// The circuit breaker limits of a cluster. Each proxy counts for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub connections: u32,
    /// Requests that wait for a connection.
    pub pending: u32,
    /// Active requests, those already on a connection.
    pub requests: u32,
    /// Retries, including those in their back-off wait.
    pub retries: u32,
    /// Replaces `retries` as the bound on retries.
    pub retry_budget: Option<RetryBudget>,
}

/// A bound on retries that grows with the number of active requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// The share of active and pending requests, in parts per million.
    pub share_ppm: u32,
    /// The number of retries that is always allowed.
    pub min_concurrency: u32,
}

impl RetryBudget {
    /// Envoy's default: 20%, and at least 3. Source: Envoy, `CircuitBreakers.Thresholds.RetryBudget`.
    pub const ENVOY: RetryBudget = RetryBudget {
        share_ppm: 200_000,
        min_concurrency: 3,
    };
}

/// The limits of each priority. A route sets the priority of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriorityLimits {
    pub default: Limits,
    pub high: Limits,
}

impl PriorityLimits {
    /// Envoy's defaults.
    pub const ENVOY: PriorityLimits = PriorityLimits::both(Limits::ENVOY);

    /// The same limits for both priorities.
    pub const fn both(limits: Limits) -> PriorityLimits {
        PriorityLimits {
            default: limits,
            high: limits,
        }
    }

    /// Returns the limits of a priority.
    pub const fn for_priority(&self, priority: Priority) -> Limits {
        match priority {
            Priority::Default => self.default,
            Priority::High => self.high,
        }
    }
}

/// The set of cluster limits that a request counts against. Source: Envoy, `RoutingPriority`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    #[default]
    Default,
    High,
}

impl Priority {
    pub const ALL: [Priority; 2] = [Priority::Default, Priority::High];
}

impl Limits {
    /// Envoy's defaults. Source: Envoy, `CircuitBreakers.Thresholds`.
    pub const ENVOY: Limits = Limits {
        connections: 1024,
        pending: 1024,
        requests: 1024,
        retries: 3,
        retry_budget: None,
    };
    /// Effectively unlimited, as Istio sets it. Source: Istio, `getDefaultCircuitBreakerThresholds`.
    pub const UNLIMITED: Limits = Limits {
        connections: u32::MAX,
        pending: u32::MAX,
        requests: u32::MAX,
        retries: u32::MAX,
        retry_budget: None,
    };
}
