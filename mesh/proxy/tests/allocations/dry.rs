//! Tests that the request path without hyper makes no allocations.

use super::line::{Headers, ID, JASON, Line, request, response};
use super::shop;

/// The number of warm-up requests, and of counted requests.
const REQUESTS: usize = 64;

/// Runs requests, and returns the allocations of each after the warm-up.
fn counts(host: &str, with: Headers) -> Vec<u64> {
    let line = Line::new();
    let one = |_| {
        let (request, response) = (request(host, with), response());
        let mut done = None;
        let info = allocation_counter::measure(|| done = Some(line.answer(request, response)));
        assert_eq!(done.unwrap().1.status(), 200);
        info.count_total
    };
    let all: Vec<u64> = (0..2 * REQUESTS).map(one).collect();
    all[REQUESTS..].to_vec()
}

#[test]
fn a_plain_request_allocates_nothing() {
    assert_eq!(counts(shop::PLAIN, &[ID]), [0; REQUESTS]);
    assert_eq!(counts(shop::PLAIN, &[]), [0; REQUESTS]);
}

#[test]
fn a_request_that_meets_every_policy_allocates_nothing() {
    assert_eq!(counts(shop::REVIEWS, &[ID, JASON]), [0; REQUESTS]);
}

#[test]
fn what_is_counted_as_nothing_was_routed_as_it_should_be() {
    let line = Line::new();
    let (sent, _) = line.answer(request(shop::REVIEWS, &[JASON]), response());
    assert_eq!(sent.headers()["x-envoy-attempt-count"], "1");
    assert_eq!(sent.headers()["x-envoy-expected-rq-timeout-ms"], "2000");
    assert_eq!(sent.headers()["x-request-id"].len(), 36);
}
