//! The local rate limit's decider: token buckets that take `now` and know no clock.
//!
//! Tokens come in evenly, a fraction at a time, as Envoy's do since 1.31: after half an interval of one token there is half
//! a token, and a request needs a whole one. It is counted in whole numbers, to the nanosecond.
//! Source: Envoy, `AtomicTokenBucketImpl` and `LocalRateLimiterImpl`.

pub(crate) mod describe;

use std::time::Duration;

use shakedown_env::Time;
use shakedown_xds::table::{Bucket, LimitDescriptor, RateLimit};
use smallvec::SmallVec;

/// An entry of a request's description: key and value.
pub type Entry = (Box<str>, Box<str>);

/// A token bucket. It begins full.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    bucket: Bucket,
    /// What is in it, in tokens times the interval's nanoseconds: that is, `per_fill` comes in each nanosecond.
    credit: u128,
    /// As of then.
    at: Time,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(bucket: Bucket, now: Time) -> TokenBucket {
        let credit = u128::from(bucket.max) * bucket.interval.as_nanos();
        TokenBucket {
            bucket,
            credit,
            at: now,
        }
    }

    /// Takes a token, if there is a whole one.
    pub fn take(&mut self, now: Time) -> bool {
        self.fill(now);
        let token = self.bucket.interval.as_nanos();
        let enough = self.credit >= token;
        if enough {
            self.credit -= token;
        }
        enough
    }

    /// What it holds now.
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

/// What a bucket holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketState {
    /// The most tokens that it can hold.
    pub limit: u32,
    /// The whole tokens in it.
    pub remaining: u32,
    /// How long until there is a token; zero if there is one.
    pub next: Duration,
}

/// What a limit says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether there was a token in every bucket that it is to take one from.
    pub allowed: bool,
    /// The bucket that refused it, or else the slowest that it took from; none where there is no bucket.
    pub state: Option<BucketState>,
}

/// The buckets of one rate limit.
#[derive(Debug)]
pub struct Limiter {
    default: Option<TokenBucket>,
    described: Vec<(Vec<Entry>, TokenBucket)>,
    wild: Vec<Wild>,
    always_default: bool,
}

/// A descriptor that takes any value for some of its keys, with a bucket for each that was used lately.
#[derive(Debug)]
struct Wild {
    entries: Vec<Entry>,
    bucket: Bucket,
    /// Those used last, first.
    recent: Vec<(Vec<Entry>, TokenBucket)>,
    most: usize,
}

/// Where a bucket stands: the described ones first, then those of the descriptors that take any value.
#[derive(Clone, Copy, Debug)]
enum Place {
    Described(usize),
    /// The first of its recent ones.
    Wild(usize),
}

impl Limiter {
    /// All buckets of a limit, full.
    pub fn new(limit: &RateLimit, now: Time) -> Limiter {
        let is_wild = |descriptor: &&LimitDescriptor| {
            descriptor.entries.iter().any(|(_, value)| value.is_empty())
        };
        let described = limit.descriptors.iter().filter(|it| !is_wild(it));
        let wild = limit.descriptors.iter().filter(is_wild);
        Limiter {
            default: limit.bucket.map(|bucket| TokenBucket::new(bucket, now)),
            described: described
                .map(|it| (it.entries.clone(), TokenBucket::new(it.bucket, now)))
                .collect(),
            wild: wild
                .map(|it| Wild {
                    entries: it.entries.clone(),
                    bucket: it.bucket,
                    recent: Vec::new(),
                    most: limit.dynamic_max,
                })
                .collect(),
            always_default: limit.always_default,
        }
    }

    /// Whether a request with these descriptions may pass. It takes a token of each bucket that one of them names, the
    /// slowest first, and of the common one; what it has taken when one refuses stays taken, as in Envoy.
    pub fn admit(&mut self, descriptions: &[Vec<Entry>], now: Time) -> Decision {
        let mut places: SmallVec<[Place; 4]> = SmallVec::new();
        for description in descriptions {
            places.extend(self.place(description, now));
        }
        places.sort_by(|one, other| self.slower(*one, *other));
        for place in &places {
            let bucket = self.bucket(*place);
            if !bucket.take(now) {
                return Decision {
                    allowed: false,
                    state: Some(bucket.state(now)),
                };
            }
        }
        let slowest = places.first().copied();
        if slowest.is_none() || self.always_default {
            let Some(default) = &mut self.default else {
                return Decision {
                    allowed: true,
                    state: slowest.map(|place| self.bucket(place).state(now)),
                };
            };
            let allowed = default.take(now);
            if !allowed || slowest.is_none() {
                // One that can hold nothing has no state worth telling: it always refuses.
                let state = default.state(now);
                return Decision {
                    allowed,
                    state: Some(state).filter(|state| state.limit > 0),
                };
            }
        }
        Decision {
            allowed: true,
            state: slowest.map(|place| self.bucket(place).state(now)),
        }
    }

    /// The bucket of a description, if it has one: that of a descriptor that says all of it, else of the first that takes
    /// any value where it says nothing.
    fn place(&mut self, description: &[Entry], now: Time) -> Option<Place> {
        let exact = self
            .described
            .iter()
            .position(|(entries, _)| entries == description);
        exact.map(Place::Described).or_else(|| {
            let index = self.wild.iter().position(|wild| wild.takes(description))?;
            self.wild[index].touch(description, now);
            Some(Place::Wild(index))
        })
    }

    fn bucket(&mut self, place: Place) -> &mut TokenBucket {
        match place {
            Place::Described(index) => &mut self.described[index].1,
            Place::Wild(index) => &mut self.wild[index].recent[0].1,
        }
    }

    /// Orders by the rate at which tokens come in.
    fn slower(&self, one: Place, other: Place) -> std::cmp::Ordering {
        let rate = |place| {
            let bucket = match place {
                Place::Described(index) => self.described[index].1.bucket,
                Place::Wild(index) => self.wild[index].bucket,
            };
            (u128::from(bucket.per_fill), bucket.interval.as_nanos())
        };
        let ((one, one_in), (other, other_in)) = (rate(one), rate(other));
        (one * other_in).cmp(&(other * one_in))
    }
}

impl Wild {
    fn takes(&self, description: &[Entry]) -> bool {
        self.entries.len() == description.len()
            && self
                .entries
                .iter()
                .zip(description)
                .all(|(own, its)| own.0 == its.0 && (own.1.is_empty() || own.1 == its.1))
    }

    /// Puts the bucket of a description first, a new one if need be; the one used longest ago makes room.
    fn touch(&mut self, description: &[Entry], now: Time) {
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
