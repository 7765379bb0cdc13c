use proptest::prelude::*;
use shakedown_xds::table::{HeaderOps, HostRules, RequestShare};

use super::*;

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

fn bucket(max: u32, per_fill: u32, millis: u64) -> Bucket {
    Bucket {
        max,
        per_fill,
        interval: Duration::from_millis(millis),
    }
}

pub(crate) fn limit(bucket: Option<Bucket>) -> RateLimit {
    RateLimit {
        bucket,
        descriptors: Vec::new(),
        always_default: true,
        status: 429,
        enabled: RequestShare::ALL,
        enforced: RequestShare::ALL,
        response_headers: HeaderOps::default(),
        request_headers: HeaderOps::default(),
        per_connection: false,
        report_state: false,
        rules: Vec::new(),
        stage: 0,
        host_rules: HostRules::Override,
        resource_exhausted: false,
        dynamic_max: 2,
    }
}

fn entries(pairs: &[(&str, &str)]) -> Vec<DescriptorEntry> {
    let entry = |(key, value): &(&str, &str)| ((*key).into(), (*value).into());
    pairs.iter().map(entry).collect()
}

#[test]
fn a_full_bucket_lets_through_as_many_as_it_holds() {
    let mut bucket = TokenBucket::new(bucket(3, 1, 1000), at(0));
    let taken = (0..5).filter(|_| bucket.take(at(0))).count();
    assert_eq!(taken, 3);
}

#[test]
fn a_token_is_there_at_its_nanosecond_and_not_before() {
    // Three tokens per second: a third of a second each, which is not a whole number of nanoseconds.
    let mut bucket = TokenBucket::new(bucket(1, 3, 1000), at(0));
    assert!(bucket.take(at(0)));
    assert!(!bucket.take(Time::from_nanos(333_333_333)));
    assert!(bucket.take(Time::from_nanos(333_333_334)));
}

#[test]
fn tokens_come_in_evenly_within_an_interval() {
    let mut bucket = TokenBucket::new(bucket(4, 4, 2000), at(0));
    (0..4).for_each(|_| assert!(bucket.take(at(0))));
    assert!(!bucket.take(at(499)) && bucket.take(at(500)) && !bucket.take(at(500)));
}

#[test]
fn a_bucket_overflows_at_its_brim() {
    let mut bucket = TokenBucket::new(bucket(2, 1, 100), at(0));
    let taken = (0..5).filter(|_| bucket.take(at(100_000))).count();
    assert_eq!(taken, 2);
}

#[test]
fn its_state_tells_limit_rest_and_the_wait_for_the_next() {
    let mut bucket = TokenBucket::new(bucket(2, 1, 2500), at(0));
    bucket.take(at(0));
    let state = |limit, remaining, millis| BucketState {
        limit,
        remaining,
        next: Duration::from_millis(millis),
    };
    assert_eq!(bucket.state(at(0)), state(2, 1, 0));
    bucket.take(at(0));
    assert_eq!(bucket.state(at(0)), state(2, 0, 2500));
    assert_eq!(bucket.state(at(1200)), state(2, 0, 1300));
}

#[test]
fn a_clock_that_stands_still_gives_nothing() {
    let mut bucket = TokenBucket::new(bucket(1, 1, 50), at(10));
    assert!(bucket.take(at(10)) && !bucket.take(at(5)) && !bucket.take(at(10)));
}

/// A real Envoy's answers, with a user's own bucket of one token, and a group's bucket of three that fills more slowly.
#[test]
fn the_slowest_bucket_is_taken_from_first_and_keeps_what_it_took() {
    let mut limit = limit(Some(bucket(100, 1, 2000)));
    let (user, group) = (entries(&[("user", "bob")]), entries(&[("group", "g")]));
    limit.descriptors = vec![
        LimitDescriptor {
            entries: user.clone(),
            bucket: bucket(1, 1, 10_000),
        },
        LimitDescriptor {
            entries: group.clone(),
            bucket: bucket(3, 1, 100_000),
        },
    ];
    let mut limiter = Limiter::new(&limit, at(0));
    let mut ask = || {
        let decision = limiter.admit(&[user.clone(), group.clone()], at(0));
        let state = decision.state.unwrap();
        (decision.allowed, state.limit, state.remaining)
    };
    assert_eq!(ask(), (true, 3, 2));
    assert_eq!(ask(), (false, 1, 0));
    assert_eq!(ask(), (false, 1, 0));
    assert_eq!(ask(), (false, 3, 0));
    let decision = limiter.admit(&[], at(0));
    assert_eq!(decision.state.unwrap().remaining, 98);
}

#[test]
fn a_described_request_may_leave_the_common_bucket_alone() {
    let mut limit = limit(Some(bucket(1, 1, 1000)));
    limit.always_default = false;
    limit.descriptors = vec![LimitDescriptor {
        entries: entries(&[("a", "1")]),
        bucket: bucket(2, 1, 1000),
    }];
    let mut limiter = Limiter::new(&limit, at(0));
    let one = [entries(&[("a", "1")])];
    assert!(limiter.admit(&one, at(0)).allowed && limiter.admit(&one, at(0)).allowed);
    assert!(limiter.admit(&[], at(0)).allowed);
    assert!(!limiter.admit(&[], at(0)).allowed);
}

#[test]
fn each_value_of_a_wildcard_descriptor_has_its_own_bucket_until_evicted() {
    let mut limit = limit(None);
    limit.descriptors = vec![LimitDescriptor {
        entries: entries(&[("user", "")]),
        bucket: bucket(1, 1, 1000),
    }];
    let mut limiter = Limiter::new(&limit, at(0));
    let mut ask = |user: &str| limiter.admit(&[entries(&[("user", user)])], at(0)).allowed;
    assert!(ask("a") && ask("b"));
    assert!(!ask("a") && !ask("b"));
    assert!(ask("c"), "a third, which pushes out a");
    assert!(ask("a"), "as good as new");
    assert!(!ask("c"));
}

#[test]
fn without_a_bucket_all_pass() {
    let decision = Limiter::new(&limit(None), at(0)).admit(&[], at(0));
    assert_eq!((decision.allowed, decision.state), (true, None));
}

proptest! {
    #[test]
    fn no_more_pass_than_a_full_bucket_and_what_has_come_in(
        max in 1_u32..20,
        per_fill in 1_u32..20,
        millis in 50_u64..2000,
        steps in prop::collection::vec(0_u64..300, 1..200),
    ) {
        let mut tokens = TokenBucket::new(bucket(max, per_fill, millis), at(0));
        let mut now = 0;
        let mut passed = 0_u64;
        for step in steps {
            now += step;
            passed += u64::from(tokens.take(at(now)));
            let came_in = now * u64::from(per_fill) / millis;
            prop_assert!(passed <= u64::from(max) + came_in);
        }
    }
}
