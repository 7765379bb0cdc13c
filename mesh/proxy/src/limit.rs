//! The local rate limit: token buckets that take `now` as a parameter.
//!
//! Tokens are added continuously, as in Envoy since 1.31: half an interval of one token adds half a token, and a
//! request needs a whole one. Amounts are integers with nanosecond precision.
//! Source: Envoy, `AtomicTokenBucketImpl` and `LocalRateLimiterImpl`.

pub(crate) mod describe;
pub(crate) mod limiters;

use std::time::Duration;

use shakedown_env::Time;
use shakedown_xds::table::{Bucket, LimitDescriptor, RateLimit};
use smallvec::SmallVec;

/// A descriptor entry of a request: key and value.
pub type DescriptorEntry = (Box<str>, Box<str>);

/// A token bucket, which is full at first.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    bucket: Bucket,
    /// The contents, in tokens times the interval's nanoseconds, so that `per_fill` is added each nanosecond.
    credit: u128,
    /// The time at which `credit` was computed.
    at: Time,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub fn new(bucket: Bucket, now: Time) -> TokenBucket {
        let credit = u128::from(bucket.max) * bucket.interval.as_nanos();
        TokenBucket {
            bucket,
            credit,
            at: now,
        }
    }

    /// Takes a token, if a whole one is available.
    pub fn take(&mut self, now: Time) -> bool {
        self.fill(now);
        let token = self.bucket.interval.as_nanos();
        let enough = self.credit >= token;
        if enough {
            self.credit -= token;
        }
        enough
    }

    /// The bucket's state at a time.
    pub fn state(&mut self, now: Time) -> BucketState {
        self.fill(now);
        let token = self.bucket.interval.as_nanos();
        let missing = token.saturating_sub(self.credit);
        let wait = missing.div_ceil(u128::from(self.bucket.per_fill.max(1)));
        BucketState {
            limit: self.bucket.max,
            remaining: u32::try_from(self.credit / token.max(1)).unwrap_or(u32::MAX),
            next: Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)),
        }
    }

    fn fill(&mut self, now: Time) {
        let elapsed = now.since(self.at).as_nanos();
        let most = u128::from(self.bucket.max) * self.bucket.interval.as_nanos();
        let more = elapsed.saturating_mul(u128::from(self.bucket.per_fill));
        self.credit = self.credit.saturating_add(more).min(most);
        self.at = self.at.max(now);
    }
}

/// The state of a bucket at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketState {
    /// The capacity, in tokens.
    pub limit: u32,
    /// The number of whole tokens available.
    pub remaining: u32,
    /// The time until a token is available; zero if one is.
    pub next: Duration,
}

/// The rate limit's decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitDecision {
    /// True if every required bucket had a token.
    pub allowed: bool,
    /// The state of the bucket that refused, or else of the slowest bucket used; `None` without buckets.
    pub state: Option<BucketState>,
}

/// The buckets of one rate limit.
#[derive(Debug)]
pub struct Limiter {
    default: Option<TokenBucket>,
    described: Vec<(Vec<DescriptorEntry>, TokenBucket)>,
    wild: Vec<WildcardDescriptor>,
    always_default: bool,
}

/// A descriptor that accepts any value for some of its keys, with a bucket for each recently used combination.
#[derive(Debug)]
struct WildcardDescriptor {
    entries: Vec<DescriptorEntry>,
    bucket: Bucket,
    /// Buckets sorted by their last use, the latest first.
    recent: Vec<(Vec<DescriptorEntry>, TokenBucket)>,
    most: usize,
}

/// The position of a bucket in [`Limiter`]: an exact descriptor, or one that accepts any value.
#[derive(Clone, Copy, Debug)]
enum BucketRef {
    Described(usize),
    /// The latest bucket in use of this descriptor.
    Wild(usize),
}

impl Limiter {
    /// Creates all buckets of a limit, full.
    pub fn new(limit: &RateLimit, now: Time) -> Limiter {
        let is_wild = |descriptor: &&LimitDescriptor| {
            descriptor.entries.iter().any(|(_, value)| value.is_empty())
        };
        let described = limit
            .descriptors
            .iter()
            .filter(|descriptor| !is_wild(descriptor));
        let wild = limit.descriptors.iter().filter(is_wild);
        Limiter {
            default: limit.bucket.map(|bucket| TokenBucket::new(bucket, now)),
            described: described
                .map(|descriptor| {
                    (
                        descriptor.entries.clone(),
                        TokenBucket::new(descriptor.bucket, now),
                    )
                })
                .collect(),
            wild: wild
                .map(|descriptor| WildcardDescriptor {
                    entries: descriptor.entries.clone(),
                    bucket: descriptor.bucket,
                    recent: Vec::new(),
                    most: limit.dynamic_max,
                })
                .collect(),
            always_default: limit.always_default,
        }
    }

    /// Decides about a request with these descriptors. A token is taken from each matching bucket, the slowest first,
    /// and from the default bucket. Tokens taken before a bucket refuses are not returned, as in Envoy.
    pub fn admit(&mut self, descriptions: &[Vec<DescriptorEntry>], now: Time) -> LimitDecision {
        let mut buckets: SmallVec<[BucketRef; 4]> = SmallVec::new();
        for description in descriptions {
            buckets.extend(self.find_bucket(description, now));
        }
        buckets.sort_by(|one, other| self.slower(*one, *other));
        for bucket_ref in &buckets {
            let bucket = self.bucket(*bucket_ref);
            if !bucket.take(now) {
                return LimitDecision {
                    allowed: false,
                    state: Some(bucket.state(now)),
                };
            }
        }
        let slowest = buckets.first().copied();
        if slowest.is_none() || self.always_default {
            let Some(default) = &mut self.default else {
                return LimitDecision {
                    allowed: true,
                    state: slowest.map(|bucket_ref| self.bucket(bucket_ref).state(now)),
                };
            };
            let allowed = default.take(now);
            if !allowed || slowest.is_none() {
                // A bucket without capacity always refuses, and its state is not reported.
                let state = default.state(now);
                return LimitDecision {
                    allowed,
                    state: Some(state).filter(|state| state.limit > 0),
                };
            }
        }
        LimitDecision {
            allowed: true,
            state: slowest.map(|bucket_ref| self.bucket(bucket_ref).state(now)),
        }
    }

    /// Returns the bucket of a request descriptor, if any: of the exactly equal configured descriptor, else of the
    /// first that accepts any value for the differing keys.
    fn find_bucket(&mut self, description: &[DescriptorEntry], now: Time) -> Option<BucketRef> {
        let exact = self
            .described
            .iter()
            .position(|(entries, _)| entries == description);
        exact.map(BucketRef::Described).or_else(|| {
            let index = self.wild.iter().position(|wild| wild.takes(description))?;
            self.wild[index].touch(description, now);
            Some(BucketRef::Wild(index))
        })
    }

    fn bucket(&mut self, bucket_ref: BucketRef) -> &mut TokenBucket {
        match bucket_ref {
            BucketRef::Described(index) => &mut self.described[index].1,
            BucketRef::Wild(index) => &mut self.wild[index].recent[0].1,
        }
    }

    /// Orders buckets by their fill rate.
    fn slower(&self, one: BucketRef, other: BucketRef) -> std::cmp::Ordering {
        let rate = |bucket_ref| {
            let bucket = match bucket_ref {
                BucketRef::Described(index) => self.described[index].1.bucket,
                BucketRef::Wild(index) => self.wild[index].bucket,
            };
            (u128::from(bucket.per_fill), bucket.interval.as_nanos())
        };
        let ((one, one_in), (other, other_in)) = (rate(one), rate(other));
        (one * other_in).cmp(&(other * one_in))
    }
}

impl WildcardDescriptor {
    fn takes(&self, description: &[DescriptorEntry]) -> bool {
        self.entries.len() == description.len()
            && self
                .entries
                .iter()
                .zip(description)
                .all(|(own, its)| own.0 == its.0 && (own.1.is_empty() || own.1 == its.1))
    }

    /// Moves the bucket of a descriptor to the front, creating it if necessary. The least recently used one is evicted.
    fn touch(&mut self, description: &[DescriptorEntry], now: Time) {
        match self
            .recent
            .iter()
            .position(|(known, _)| known == description)
        {
            Some(index) => self.recent[..=index].rotate_right(1),
            None => {
                self.recent.truncate(self.most - 1);
                let bucket = TokenBucket::new(self.bucket, now);
                self.recent.insert(0, (description.to_vec(), bucket));
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
