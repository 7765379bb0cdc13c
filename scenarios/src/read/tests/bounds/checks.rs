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
            "`success(users) >= 200%` can never hold: a share lies between 0% and 100%",
        ),
        (
            "success(users) > 100%",
            "`success(users) > 100%` can never hold: a share lies between 0% and 100%",
        ),
        (
            "errors(users) <= 150%",
            "`errors(users) <= 150%` always holds: a share lies between 0% and 100%",
        ),
        (
            "150% > errors(users)",
            "`150% > errors(users)` always holds",
        ),
        (
            "always busy(api) < 101% per 5s",
            "`busy(api) < 101%` always holds",
        ),
        (
            "never busy(api) > 100% per 5s",
            "`busy(api) > 100%` always holds",
        ),
        (
            "eventually busy(api) > 100% per 5s",
            "`busy(api) > 100%` can never hold",
        ),
        (
            "success(users) ~= 101% within 1%",
            "`success(users) ~= 101%` can never hold",
        ),
        (
            "p99(users) < 0ms",
            "`p99(users) < 0ms` can never hold: a duration is never negative",
        ),
        (
            "count(users) < 0",
            "`count(users) < 0` can never hold: a count is never negative",
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
