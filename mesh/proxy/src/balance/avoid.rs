//! Repeats picks of hosts to be avoided, such as those of previous attempts.

/// Repeats a pick while the picked host is to be avoided, at most `attempts` times. The last pick is then returned.
/// Source: Envoy, `LoadBalancerBase::chooseHost` with the `previous_hosts` predicate and
/// `host_selection_retry_max_attempts`.
pub fn avoiding(
    attempts: u32,
    avoid: impl Fn(usize) -> bool,
    mut pick: impl FnMut() -> Option<usize>,
) -> Option<usize> {
    let mut choice = pick()?;
    for _ in 0..attempts {
        if !avoid(choice) {
            break;
        }
        choice = pick()?;
    }
    Some(choice)
}
