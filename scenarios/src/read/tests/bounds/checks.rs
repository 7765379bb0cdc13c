//! Bounds of checks that their figures can reach.

use super::*;

#[test]
fn a_bound_of_a_check_is_one_that_its_figure_can_reach() {
    let check = |text: &str| {
        let fine = "  - fine: success(users) == 100%";
        small_scenario("").replace(fine, &format!("  - '{text}'"))
    };
    for within in [
        "success(users) >= 100%",
        "errors(users) <= 0%",
        "errors(users) >= 0%",
        "count(users) >= 0",
        "100% <= success(users)",
        "never busy(api) == 100% per 5s",
        "success(users) >= 1% in >= 100% of seeds",
    ] {
        read(&check(within));
    }
    for (beyond, message) in [
        (
            "success(users) >= 200%",
            "`success(users) >= 200%` can never be true: a share is between 0% and 100%",
        ),
        (
            "success(users) > 100%",
            "`success(users) > 100%` can never be true: a share is between 0% and 100%",
        ),
        (
            "errors(users) <= 150%",
            "`errors(users) <= 150%` is always true: a share is between 0% and 100%",
        ),
        (
            "150% > errors(users)",
            "`150% > errors(users)` is always true",
        ),
        (
            "always busy(api) < 101% per 5s",
            "`busy(api) < 101%` is always true",
        ),
        (
            "never busy(api) > 100% per 5s",
            "`busy(api) > 100%` is always true",
        ),
        (
            "eventually busy(api) > 100% per 5s",
            "`busy(api) > 100%` can never be true",
        ),
        (
            "success(users) ~= 101% within 1%",
            "`success(users) ~= 101%` can never be true",
        ),
        (
            "p99(users) < 0ms",
            "`p99(users) < 0ms` can never be true: a duration is never negative",
        ),
        (
            "count(users) < 0",
            "`count(users) < 0` can never be true: a count is never negative",
        ),
        (
            "success(users) >= 1% in >= 101% of seeds",
            "`101%` of seeds: expected 0% to 100%",
        ),
    ] {
        let lines = errors(&check(beyond));
        assert!(lines.contains(message), "{beyond}: {lines}");
    }
}
