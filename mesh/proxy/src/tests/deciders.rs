//! Tests that no policy panics for any sequence of inputs: time advances by zero or by centuries, settings take the
//! extremes that a configuration allows, and responses contain implausible headers.

mod outlier;
mod overload;
mod retries;

use std::time::Duration;

use proptest::prelude::*;

/// A time span: zero, short, long or maximal.
fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![
        2 => Just(Duration::ZERO),
        2 => Just(Duration::from_nanos(1)),
        8 => (0..20_000u64).prop_map(Duration::from_millis),
        1 => Just(Duration::from_secs(100 * 365 * 86_400)),
        1 => Just(Duration::MAX),
    ]
}

/// A non-zero time span, as settings require.
fn some_span() -> impl Strategy<Value = Duration> {
    span().prop_map(|span| span.max(Duration::from_millis(1)))
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..4u32, 2 => 0..200u32, 1 => any::<u32>(), 1 => Just(u32::MAX)]
}

fn ppm() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1_000_000), 0..=1_000_000u32]
}

fn percent() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(100), 0..=100u32]
}

/// An event: its kind, the host, the time since the previous event, and a number for its details.
type Happening = (u8, usize, Duration, u64);

fn scenario() -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec((any::<u8>(), 0..8usize, span(), any::<u64>()), 0..120)
}
