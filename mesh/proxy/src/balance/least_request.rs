//! Selects the host with the fewest active requests among some hosts drawn at random.

use rand::Rng;

use super::random;

/// Returns the host with the fewest active requests among `choices` hosts drawn with replacement, the first drawn on a
/// tie.
/// Source: Envoy, `LeastRequestLoadBalancer::unweightedHostPickNChoices`.
pub fn least_request(
    hosts: usize,
    choices: u32,
    active: impl Fn(usize) -> u32,
    random: &mut impl Rng,
) -> Option<usize> {
    let mut best = random::any(hosts, random)?;
    for _ in 1..choices {
        let other = random::any(hosts, random)?;
        if active(other) < active(best) {
            best = other;
        }
    }
    Some(best)
}

/// The effective weight of a host if weights differ: `weight / (active + 1)^bias`.
/// Source: Envoy, `LeastRequestLoadBalancer::hostWeight`.
pub fn weight(weight: u32, active: u32, bias: f64) -> f64 {
    let weight = f64::from(weight);
    let active = f64::from(active) + 1.0;
    if bias == 1.0 {
        weight / active
    } else if bias == 0.0 {
        weight
    } else {
        weight / libm::pow(active, bias)
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use super::*;

    #[test]
    fn the_less_busy_of_two_is_taken() {
        let active = [5, 3, 0];
        let pick = |draws: &[u64]| least_request(3, 2, |i| active[i], &mut Script::new(draws));
        assert_eq!(pick(&[0, 1]), Some(1));
        assert_eq!(pick(&[1, 0]), Some(1));
        assert_eq!(
            pick(&[5, 4]),
            Some(2),
            "draws are taken modulo the number of hosts"
        );
    }

    #[test]
    fn the_same_host_may_be_drawn_twice_and_ties_keep_the_first() {
        assert_eq!(
            least_request(2, 2, |_| 1, &mut Script::new(&[0, 0])),
            Some(0)
        );
        assert_eq!(
            least_request(2, 2, |_| 1, &mut Script::new(&[1, 0])),
            Some(1)
        );
    }

    #[test]
    fn more_choices_look_at_more_hosts() {
        let active = [3, 2, 1];
        let pick = |choices, draws: &[u64]| {
            least_request(3, choices, |i| active[i], &mut Script::new(draws))
        };
        assert_eq!(pick(3, &[0, 1, 2]), Some(2));
    }

    #[test]
    fn active_requests_weigh_a_host_down_by_the_bias() {
        assert_eq!(weight(6, 2, 1.0), 2.0);
        assert_eq!(weight(6, 2, 0.0), 6.0);
        assert_eq!(weight(18, 2, 2.0), 2.0);
    }
}
