//! Tests of header changes, mirrors, preflights and aborts.

use super::*;

const PREFLIGHT: [&str; 2] = ["origin: http://a", "access-control-request-method: PUT"];

#[test]
fn what_is_done_to_headers_and_copies_is_told() {
    let text = routes(&[
        "headers: {request: {set: {x-a: '1'}, remove: [x-b]}, response: {add: {x-c: '2'}}}, mirror: {host: ratings}, mirrorPercentage: {value: 12.5}, route: [{destination: {host: reviews}, headers: {request: {add: {x-d: '3'}}}}]",
    ]);
    let result = ask(&text, "/");
    assert_eq!(
        result.policies.request_headers,
        ["remove x-b", "set x-a: 1", "add x-d: 3"]
    );
    assert_eq!(result.policies.response_headers, ["add x-c: 2"]);
    let mirror = &result.policies.mirrors[0];
    assert_eq!(
        mirror.clusters,
        ["outbound|80||ratings.default.svc.cluster.local"]
    );
    assert_eq!(mirror.share_ppm, 125_000);
    assert_eq!(decided(&result, "mirrors"), at(5, "spec.http[0].mirror"));
}

#[test]
fn a_preflight_that_is_answered_is_no_request_to_the_service() {
    let text = routes(&[&format!(
        "corsPolicy: {{allowOrigins: [{{exact: 'http://a'}}], allowMethods: [PUT], maxAge: 7s}}, route: [{ANY}]"
    )]);
    let request = "OPTIONS http://reviews:9080/";
    let answered = explain_request(&text, request, &PREFLIGHT);
    let answer = answered.direct_response.as_ref().unwrap();
    assert_eq!((answer.status, &answered.cluster), (200, &None));
    let cors = answered.policies.cors.as_ref().unwrap();
    assert_eq!((cors.allowed, cors.answered), (Some(true), Some(true)));
    let lines = [
        "access-control-allow-methods: PUT",
        "access-control-allow-origin: http://a",
        "access-control-max-age: 7",
    ];
    assert_eq!(cors.response_headers, lines);
    assert_eq!(decided(&answered, "cors"), at(5, "spec.http[0].corsPolicy"));
    // Requests of other origins, and requests that are not preflights, are forwarded.
    let other = explain_request(&text, request, &["origin: http://b", PREFLIGHT[1]]);
    let cors = other.policies.cors.as_ref().unwrap();
    assert_eq!((cors.allowed, cors.answered), (Some(false), Some(false)));
    assert!(other.cluster.is_some() && other.direct_response.is_none());
    let plain = explain_request(&text, "http://reviews:9080/", &PREFLIGHT[..1]);
    let cors = plain.policies.cors.as_ref().unwrap();
    assert_eq!((cors.allowed, cors.answered), (Some(true), None));
    assert_eq!(
        cors.response_headers,
        ["access-control-allow-origin: http://a"]
    );
}

#[test]
fn an_abort_of_all_goes_before_the_answer_to_a_preflight() {
    let text = routes(&[&format!(
        "corsPolicy: {{allowOrigins: [{{exact: 'http://a'}}]}}, fault: {{abort: {{httpStatus: 555, percentage: {{value: 100}}}}}}, route: [{ANY}]"
    )]);
    let result = explain_request(&text, "OPTIONS http://reviews:9080/", &PREFLIGHT);
    assert_eq!(flags(&result), Some("FI"));
}

#[test]
fn a_mirror_that_leads_nowhere_is_told() {
    let text = routes(&[&format!(
        "mirror: {{host: reviews, subset: v9}}, route: [{ANY}]"
    )]);
    let result = ask(&text, "/");
    let lost = result.policies.mirrors[0].rejected_by.as_ref().unwrap();
    assert_eq!(lost.flags, Some("NC"));
    assert_eq!(result.rejected_by, None, "its caller sees nothing of it");
}
