//! Runs every policy that applies to a request, in order, under the shop's configuration. No header is changed, nothing
//! is sent and nothing is reported.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use rand::Rng as _;
use shakedown_env::{Rng, Time, UnixTime, stream_seed};
use shakedown_proxy::adaptive::Adaptive;
use shakedown_proxy::balance::{Balancer, Request};
use shakedown_proxy::breaker::{CircuitBreaker, RetryPermit};
use shakedown_proxy::budget::HedgeBudget;
use shakedown_proxy::hedge::Hedges;
use shakedown_proxy::limit::TokenBucket;
use shakedown_proxy::outlier::{AttemptOutcome, OutlierDetector, OutlierHostId};
use shakedown_proxy::retry::{AttemptFailure, RetryChance, RetryDecision, RetryState};
use shakedown_proxy::shed::{ShedAdmission, ShedQueue};
use shakedown_proxy::throttle::Throttle;
use shakedown_wire::QuotaBound;
use shakedown_xds::table::{
    AdaptiveConcurrency, AdaptiveThrottle, Bucket, HedgePolicy, RequestView, RouteAction,
    RouteTable, Shed as Queue, Table,
};

use super::line::Headers;
use super::{Busy, balancer, shop};

/// The time between two requests.
const BETWEEN: Duration = Duration::from_micros(10);

/// The policies' inputs of a request and its response.
pub(crate) struct Asked {
    host: &'static str,
    headers: HeaderMap,
    answer: HeaderMap,
}

impl Asked {
    pub(crate) fn new(host: &'static str, with: Headers) -> Asked {
        let pair = |(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        let mut headers: HeaderMap = with.iter().copied().map(pair).collect();
        headers.insert(HOST, HeaderValue::from_static(host));
        let text = HeaderValue::from_static("text/plain");
        Asked {
            host,
            headers,
            answer: HeaderMap::from_iter([(CONTENT_TYPE, text)]),
        }
    }

    fn view(&self) -> RequestView<'_> {
        RequestView {
            method: "GET",
            path: "/reviews/1?full=yes",
            authority: self.host,
            scheme: "http",
            headers: &self.headers,
        }
    }
}

/// The policies of a sidecar and of the request's cluster.
pub(crate) struct Deciders {
    table: Table,
    routes: Arc<RouteTable>,
    random: Rng,
    now: Time,
    balancer: Balancer,
    breaker: CircuitBreaker,
    outliers: OutlierDetector,
    ids: Vec<OutlierHostId>,
    overload: Overload,
}

/// The policies that are off by default.
struct Overload {
    bucket: TokenBucket,
    adaptive: Adaptive,
    shed: ShedQueue,
    throttle: Throttle,
    budget: HedgeBudget,
}

impl Overload {
    /// Creates them in their default configuration, with a bucket that never runs out.
    fn new() -> Overload {
        let (now, bucket) = (
            Time::default(),
            Bucket {
                max: u32::MAX,
                per_fill: 1_000_000,
                interval: Duration::from_secs(1),
            },
        );
        Overload {
            bucket: TokenBucket::new(bucket, now),
            adaptive: Adaptive::new(AdaptiveConcurrency::default(), now),
            shed: ShedQueue::new(Queue::default(), now),
            throttle: Throttle::new(AdaptiveThrottle::default()),
            budget: HedgeBudget::default(),
        }
    }
}

impl Deciders {
    /// Creates the policies that apply to this request.
    pub(crate) fn new(inputs: &Asked) -> Deciders {
        let table = shop::table();
        let routes = Arc::clone(table.routes.values().next().unwrap());
        let cluster = Arc::clone(&table.clusters[&**forward(&routes, inputs).pick(0)]);
        let assignment = Arc::clone(&table.endpoints[&*cluster.name]);
        let hosts = &assignment.hosts;
        let mut outliers = OutlierDetector::new(*cluster.outlier.clone().unwrap_or_default());
        let ids = hosts.iter().map(|host| outliers.add(host.address));
        let ids = ids.collect();
        Deciders {
            random: stream_seed(1, "bench", "deciders"),
            now: Time::default(),
            balancer: balancer(cluster.lb, &cluster.lb_options, hosts),
            breaker: CircuitBreaker::new(cluster.limits.default),
            outliers,
            ids,
            overload: Overload::new(),
            table,
            routes,
        }
    }

    /// Runs the policies of every request for one that succeeds at once. Returns its host.
    pub(crate) fn plain(&mut self, inputs: &Asked) -> usize {
        self.now += BETWEEN;
        let routes = Arc::clone(&self.routes);
        let action = self.route(&routes, inputs);
        let mut retries = retries(action, inputs);
        let mut hedges = Hedges::new(action.hedge);
        hedges.try_begun(self.now);
        let host = self.send(&mut retries, inputs, 200, None);
        assert!(hedges.due().is_none());
        host
    }

    /// Also runs all optional policies, for a request whose first attempt fails. Returns the host of its second
    /// attempt.
    pub(crate) fn every(&mut self, inputs: &Asked) -> usize {
        self.now += BETWEEN;
        let (now, routes) = (self.now, Arc::clone(&self.routes));
        let action = self.route(&routes, inputs);
        let overload = &mut self.overload;
        assert!(overload.adaptive.admit(now));
        assert!(matches!(overload.shed.arrive(now), ShedAdmission::Run));
        assert!(overload.bucket.take(now));
        assert!(overload.throttle.admit(now, &mut self.random));
        overload.budget.request(now);
        let mut retries = retries(action, inputs);
        let mut hedges = Hedges::new(HedgePolicy {
            after: Some(Duration::from_millis(10)),
            times: 1,
            ..action.hedge
        });
        hedges.try_begun(now);
        let first = self.send(&mut retries, inputs, 503, None);
        hedges.try_begun(now);
        let second = self.send(&mut retries, inputs, 200, Some(first));
        assert!(hedges.due().is_some());
        let overload = &mut self.overload;
        overload.throttle.accepted(now);
        overload.shed.finished();
        let random = || self.random.next_u64();
        overload.adaptive.finished(now, now + BETWEEN, random);
        second
    }

    /// Selects the route and the cluster for the authority.
    fn route<'t>(&mut self, routes: &'t RouteTable, inputs: &Asked) -> &'t RouteAction {
        let action = forward(routes, inputs);
        let draw = if action.is_split() {
            self.random.next_u64()
        } else {
            0
        };
        assert!(self.table.clusters.contains_key(action.pick(draw)));
        action
    }

    /// Runs an attempt, from the selection of its host to the retry decision for a response with this status.
    fn send(
        &mut self,
        retries: &mut Option<RetryState<'_>>,
        inputs: &Asked,
        status: u16,
        tried: Option<usize>,
    ) -> usize {
        let request = Request {
            attempts: if tried.is_some() { 5 } else { 0 },
            now: self.now,
            ..Request::default()
        };
        let avoid = |host| tried == Some(host);
        let host = self.balancer.pick(&request, avoid, &Busy, &mut self.random);
        let host = host.unwrap();
        let in_hand = self.breaker.quota().take(QuotaBound::Requests).unwrap();
        for outcome in [AttemptOutcome::Connected, AttemptOutcome::Status(status)] {
            let id = self.ids[host];
            self.outliers
                .observe(id, outcome, self.now, &mut self.random);
        }
        let failure = AttemptFailure::Response {
            status,
            headers: &inputs.answer,
        };
        let mut room = Room {
            breaker: &self.breaker,
            random: &mut self.random,
            permit: None,
        };
        let verdict = retries
            .as_mut()
            .map(|retries| retries.judge(failure, &mut room));
        assert_eq!(
            matches!(verdict, Some(RetryDecision::Again(_))),
            status == 503
        );
        drop(in_hand);
        host
    }
}

fn forward<'t>(routes: &'t RouteTable, inputs: &Asked) -> &'t RouteAction {
    let host = routes.find_host(inputs.host).unwrap();
    host.route(&inputs.view()).unwrap().forward().unwrap()
}

fn retries<'t>(action: &'t RouteAction, inputs: &Asked) -> Option<RetryState<'t>> {
    let policy = action.retry.as_ref()?;
    Some(RetryState::new(policy, || inputs.view()))
}

/// The inputs of a retry decision.
struct Room<'a> {
    breaker: &'a CircuitBreaker,
    random: &'a mut Rng,
    permit: Option<RetryPermit>,
}

impl RetryChance for Room<'_> {
    fn admit(&mut self) -> bool {
        self.permit = self.breaker.retry();
        self.permit.is_some()
    }

    fn random(&mut self) -> u64 {
        self.random.next_u64()
    }

    fn unix_time(&self) -> UnixTime {
        UnixTime::default()
    }
}
