//! Tests of fields that are easily dropped or confused with others: conditions, redirects, headers, faults, retries.

use super::*;
use crate::compile::{fault, headers, matching, retries, rewrite};
use crate::proto::core::header_value_option::HeaderAppendAction;
use crate::proto::core::{HeaderValue, HeaderValueOption};
use crate::proto::fault::fault_abort::ErrorType;
use crate::proto::fault::{FaultAbort, HttpFault};
use crate::proto::fractional::FractionalPercent;
use crate::proto::route::header_matcher::HeaderMatchSpecifier;
use crate::proto::route::redirect_action::{RedirectResponseCode, SchemeRewriteSpecifier};
use crate::proto::route::retry_policy::RetryBackOff;
use crate::proto::route::route_match::PathSpecifier;
use crate::table::{Abort, AppendAction, RequestView};

fn flag(value: bool) -> Option<protobuf::BoolValue> {
    Some(protobuf::BoolValue { value })
}

#[test]
fn a_path_ignores_case_only_where_that_is_said() {
    let takes = |specifier: &PathSpecifier, case_sensitive: Option<bool>, path: &str| {
        let condition = route::RouteMatch {
            path_specifier: Some(specifier.clone()),
            case_sensitive: case_sensitive.and_then(flag),
            ..Default::default()
        };
        matching::route(&condition).unwrap().path.matches(path)
    };
    for specifier in [
        PathSpecifier::Prefix("/Ab".into()),
        PathSpecifier::Path("/Ab".into()),
        PathSpecifier::PathSeparatedPrefix("/Ab".into()),
    ] {
        for sensitive in [None, Some(true)] {
            assert!(takes(&specifier, sensitive, "/Ab"), "{specifier:?}");
            assert!(!takes(&specifier, sensitive, "/aB"), "{specifier:?}");
        }
        assert!(takes(&specifier, Some(false), "/aB"), "{specifier:?}");
    }
}

#[test]
fn a_range_of_a_header_has_its_ends_as_they_were_sent() {
    let mut specifier = HeaderMatchSpecifier::RangeMatch(Default::default());
    if let HeaderMatchSpecifier::RangeMatch(range) = &mut specifier {
        (range.start, range.end) = (-2, 5);
    }
    let matcher = matching::header(&route::HeaderMatcher {
        name: "x-n".into(),
        header_match_specifier: Some(specifier),
        ..Default::default()
    });
    let matcher = matcher.unwrap();
    let takes = |value: &str| {
        let headers = [("x-n".parse().unwrap(), value.parse().unwrap())];
        matcher.matches(&RequestView {
            method: "GET",
            path: "/",
            authority: "a",
            scheme: "http",
            headers: &headers.into_iter().collect(),
        })
    };
    assert_eq!(
        ["-3", "-2", "4", "5"].map(takes),
        [false, true, true, false]
    );
}

#[test]
fn a_redirect_is_taken_over_field_by_field() {
    let redirect = |change: fn(&mut route::RedirectAction)| {
        let mut message = route::RedirectAction::default();
        change(&mut message);
        rewrite::redirect(&message, &route::RouteMatch::default()).unwrap()
    };
    let status = |code: RedirectResponseCode| {
        let message = route::RedirectAction {
            response_code: code.into(),
            ..Default::default()
        };
        rewrite::redirect(&message, &route::RouteMatch::default())
            .unwrap()
            .status
    };
    assert_eq!(
        [
            RedirectResponseCode::MovedPermanently,
            RedirectResponseCode::Found,
            RedirectResponseCode::SeeOther,
            RedirectResponseCode::TemporaryRedirect,
            RedirectResponseCode::PermanentRedirect
        ]
        .map(status),
        [301, 302, 303, 307, 308]
    );
    let plain = redirect(|_| ());
    assert_eq!((plain.status, plain.strip_query), (301, false));
    assert_eq!((plain.scheme, plain.host, plain.port), (None, None, None));
    assert!(redirect(|message| message.strip_query = true).strip_query);
    let https = |on| Some(SchemeRewriteSpecifier::HttpsRedirect(on));
    let mut message = route::RedirectAction {
        scheme_rewrite_specifier: https(true),
        ..Default::default()
    };
    let scheme = |message: &route::RedirectAction| {
        let redirect = rewrite::redirect(message, &route::RouteMatch::default());
        redirect.unwrap().scheme
    };
    assert_eq!(scheme(&message).as_deref(), Some("https"));
    message.scheme_rewrite_specifier = https(false);
    assert_eq!(scheme(&message), None);
}

#[test]
#[expect(deprecated, reason = "older control planes send the deprecated form")]
fn the_header_append_action_is_read_from_the_deprecated_or_current_field() {
    let compiled = |append: Option<bool>, action: HeaderAppendAction, keep: bool| {
        let option = HeaderValueOption {
            header: Some(HeaderValue {
                key: "x-a".into(),
                value: "1".into(),
                ..Default::default()
            }),
            append: append.and_then(flag),
            append_action: action.into(),
            keep_empty_value: keep,
        };
        let ops = headers::ops(&[option], &[], ["add", "remove"]).unwrap();
        (ops.add[0].action, ops.add[0].keep_empty)
    };
    use HeaderAppendAction::{
        AddIfAbsent, AppendIfExistsOrAdd, OverwriteIfExists, OverwriteIfExistsOrAdd,
    };
    for (written, read) in [
        (AppendIfExistsOrAdd, AppendAction::Append),
        (AddIfAbsent, AppendAction::AddIfAbsent),
        (OverwriteIfExistsOrAdd, AppendAction::Overwrite),
        (OverwriteIfExists, AppendAction::OverwriteIfExists),
    ] {
        assert_eq!(compiled(None, written, false), (read, false));
    }
    let old = |append| compiled(Some(append), AppendIfExistsOrAdd, true);
    assert_eq!(old(true), (AppendAction::Append, true));
    assert_eq!(old(false), (AppendAction::Overwrite, true));
}

#[test]
fn a_fault_is_for_the_cluster_and_the_headers_that_it_names() {
    let all = FractionalPercent {
        numerator: 100,
        denominator: 0,
    };
    let abort = |status: u32| FaultAbort {
        percentage: Some(all),
        error_type: Some(ErrorType::HttpStatus(status)),
        ..Default::default()
    };
    let message = |status| HttpFault {
        abort: Some(abort(status)),
        upstream_cluster: "reviews".into(),
        headers: vec![route::HeaderMatcher {
            name: "x-fail".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let found = fault::compile(&message(503)).unwrap().unwrap();
    assert_eq!(found.abort.unwrap().0, Abort::Http(503));
    assert_eq!(found.upstream_cluster.as_deref(), Some("reviews"));
    assert_eq!(found.headers.len(), 1);
    for status in [0, 199, 600, 70_000] {
        let refused = fault::compile(&message(status)).unwrap_err();
        let text = refused.within("fault");
        assert!(
            format!("{text:?}").contains(&format!("expected 200 to 599, found {status}")),
            "{text:?}"
        );
    }
}

#[test]
fn an_empty_retry_policy_retries_once_and_makes_one_host_selection_attempt() {
    let compiled = |message: route::RetryPolicy| {
        let message = route::RetryPolicy {
            retry_on: "5xx".into(),
            ..message
        };
        retries::compile(&message).unwrap().unwrap()
    };
    let plain = compiled(route::RetryPolicy::default());
    assert_eq!((plain.times, plain.host_selection_attempts), (1, 1));
    let waits = |base: i32, max: Option<i32>| {
        let millis = |millis: i32| {
            Some(protobuf::Duration {
                seconds: 0,
                nanos: millis * 1_000_000,
            })
        };
        let policy = compiled(route::RetryPolicy {
            retry_back_off: Some(RetryBackOff {
                base_interval: millis(base),
                max_interval: max.and_then(millis),
            }),
            ..Default::default()
        });
        (
            policy.base_interval.as_millis(),
            policy.max_interval.as_millis(),
        )
    };
    assert_eq!(
        (
            plain.base_interval.as_millis(),
            plain.max_interval.as_millis()
        ),
        (25, 250)
    );
    assert_eq!(waits(40, None), (40, 400));
    assert_eq!(waits(40, Some(40)), (40, 40));
}

#[test]
#[expect(deprecated, reason = "control planes send the deprecated form")]
fn a_route_includes_virtual_host_rate_limits_only_if_configured() {
    let included = |value: Option<bool>| {
        let action = route::RouteAction {
            include_vh_rate_limits: value.and_then(flag),
            ..to_cluster()
        };
        let table = compile_routes(&routes(action)).unwrap();
        table.hosts()[0].routes[0].filters.include_host_descriptors
    };
    assert_eq!(
        [None, Some(false), Some(true)].map(included),
        [false, false, true]
    );
}

#[test]
fn fields_of_newer_envoys_that_change_behaviour_are_refused() {
    let minute = || Some(crate::proto::duration(std::time::Duration::from_secs(60)));
    let refused = |field: &str| format!("{field}: not supported yet: must not be set");
    assert_eq!(
        cluster_error(|message| message.per_connection_buffer_high_watermark_timeout = minute()),
        refused("Cluster c: per_connection_buffer_high_watermark_timeout")
    );
    assert_eq!(
        cluster_error(|message| {
            message.outlier_detection = Some(cluster::OutlierDetection {
                detect_degraded_hosts: flag(true),
                ..Default::default()
            });
        }),
        refused("Cluster c: outlier_detection.detect_degraded_hosts")
    );
    assert_eq!(
        routes_error(&route::RouteConfiguration {
            validate_clusters: flag(true),
            ..routes(to_cluster())
        }),
        refused("RouteConfiguration r: validate_clusters")
    );
    let unasked = route::RouteConfiguration {
        validate_clusters: flag(false),
        ..routes(to_cluster())
    };
    assert!(compile_routes(&unasked).is_ok(), "Istio sends it");
    let mut message = super::routing::listener(Vec::new());
    message.per_connection_buffer_high_watermark_timeout = minute();
    assert_eq!(
        compile_listener(&message).unwrap_err().to_string(),
        refused("Listener l: per_connection_buffer_high_watermark_timeout")
    );
}
