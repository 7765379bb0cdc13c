//! Chooses one of a route's weighted destinations.

use http::HeaderMap;
use rand::Rng;
use shakedown_xds::table::{RouteAction, WeightedCluster};

/// The destination of one request: a random number modulo the total weight, by cumulative scan. A route may take the
/// number from a request header. A route with one destination draws no number.
pub(crate) fn choose<'a>(
    action: &'a RouteAction,
    headers: &HeaderMap,
    random: &mut impl Rng,
) -> &'a WeightedCluster {
    let draw = if action.is_split() {
        let own = action.number_of(headers);
        own.unwrap_or_else(|| random.next_u64())
    } else {
        0
    };
    action.target(draw)
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use rand::Rng as _;
    use shakedown_env::stream_seed;

    use super::*;

    fn action(weights: &[(&str, u32)]) -> RouteAction {
        let target = |(name, weight): &(&str, u32)| WeightedCluster::new(name, *weight);
        RouteAction::new(weights.iter().map(target).collect()).unwrap()
    }

    #[test]
    fn shares_come_out_as_weighted() {
        let action = action(&[("v1", 90), ("v2", 10), ("v3", 0)]);
        let mut rng = stream_seed(1, "test", "split");
        let mut counts = [0u32; 3];
        for _ in 0..10_000 {
            match &*choose(&action, &HeaderMap::new(), &mut rng).cluster {
                "v1" => counts[0] += 1,
                "v2" => counts[1] += 1,
                _ => counts[2] += 1,
            }
        }
        assert!((900..1100).contains(&counts[1]), "{counts:?}");
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn a_route_with_one_destination_draws_nothing() {
        let action = action(&[("only", 1)]);
        let mut rng = stream_seed(1, "test", "split");
        let untouched = rng.clone().next_u64();
        let chosen = choose(&action, &HeaderMap::new(), &mut rng);
        assert_eq!(&*chosen.cluster, "only");
        assert_eq!(rng.next_u64(), untouched);
    }

    /// Expected as observed with a real Envoy.
    #[test]
    fn a_request_may_bring_its_number_in_a_header() {
        let mut action = action(&[("one", 1), ("three", 3)]);
        action.random_header = Some(HeaderName::from_static("x-pick").into());
        let mut rng = stream_seed(1, "test", "split");
        let untouched = rng.clone().next_u64();
        let mut with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-pick", HeaderValue::from_static(value));
            choose(&action, &headers, &mut rng).cluster.to_string()
        };
        assert_eq!(
            ["0", "1", "3", "4"].map(&mut with),
            ["one", "three", "three", "one"]
        );
        with("x");
        assert_ne!(rng.next_u64(), untouched, "what is no number is drawn");
    }

    proptest! {
        #[test]
        fn over_all_numbers_each_destination_has_exactly_its_weight(
            weights in prop::collection::vec(0..40u32, 1..8),
            rounds in 1..4u64,
        ) {
            let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
            let named: Vec<(&str, u32)> = names.into_iter().zip(weights.iter().copied()).collect();
            let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            prop_assume!(total > 0);
            let action = action(&named);
            let mut counts = vec![0; weights.len()];
            // Large numbers are taken modulo the total, too.
            let first = (u64::MAX / total - rounds) * total;
            for number in first..first + total * rounds {
                let target = action.target(number);
                let index = names.iter().position(|name| *name == &*target.cluster);
                counts[index.unwrap()] += 1_u64;
            }
            for (count, weight) in counts.into_iter().zip(weights) {
                prop_assert_eq!(count, rounds * u64::from(weight));
            }
        }

        #[test]
        fn a_long_run_of_draws_comes_near_to_the_weights(
            weights in prop::collection::vec(1..100u32, 2..5),
            seed: u64,
        ) {
            let names = ["a", "b", "c", "d", "e"];
            let named: Vec<(&str, u32)> = names.into_iter().zip(weights.iter().copied()).collect();
            let action = action(&named);
            let mut rng = stream_seed(seed, "test", "split");
            let mut counts = vec![0_u32; weights.len()];
            for _ in 0..4_000 {
                let target = choose(&action, &HeaderMap::new(), &mut rng);
                let index = names.iter().position(|name| *name == &*target.cluster);
                counts[index.unwrap()] += 1;
            }
            let total: u32 = weights.iter().sum();
            for (count, weight) in counts.into_iter().zip(weights) {
                let share = f64::from(weight) / f64::from(total);
                // Five standard deviations of a binomial of 4,000 draws.
                let off = 5.0 * (4_000.0 * share * (1.0 - share)).sqrt() + 1.0;
                prop_assert!((f64::from(count) - 4_000.0 * share).abs() < off);
            }
        }
    }
}
