//! Chooses one of a route's weighted destinations.

use std::sync::Arc;

use rand_core::Rng;
use shakedown_config::table::RouteAction;

/// The cluster for one request: a random number modulo the total weight, cumulative scan. A route with one destination
/// draws nothing.
pub(crate) fn choose<'a>(action: &'a RouteAction, random: &mut impl Rng) -> &'a Arc<str> {
    let draw = if action.is_split() {
        random.next_u64()
    } else {
        0
    };
    action.pick(draw)
}

#[cfg(test)]
mod tests {
    use shakedown_config::table::WeightedCluster;
    use shakedown_env::stream_seed;

    use super::*;

    fn action(weights: &[(&str, u32)]) -> RouteAction {
        let target = |(name, weight): &(&str, u32)| WeightedCluster {
            cluster: Arc::from(*name),
            weight: *weight,
        };
        RouteAction::new(weights.iter().map(target).collect()).unwrap()
    }

    #[test]
    fn shares_come_out_as_weighted() {
        let action = action(&[("v1", 90), ("v2", 10), ("v3", 0)]);
        let mut rng = stream_seed(1, "test", "split");
        let mut counts = [0u32; 3];
        for _ in 0..10_000 {
            match &**choose(&action, &mut rng) {
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
        assert_eq!(&**choose(&action, &mut rng), "only");
        assert_eq!(rng.next_u64(), untouched);
    }
}
