use super::*;

const REFUSED: ResetReason = ResetReason::RemoteConnectionFailure;

/// The status, body, flags and details of a reply.
fn row(reject: LocalReply) -> (u16, &'static str, String, &'static str) {
    let body = String::from_utf8(reject.body().to_vec()).unwrap().leak();
    (
        reject.status().as_u16(),
        body,
        reject.flags().to_string(),
        reject.details(),
    )
}

#[test]
fn every_local_reply_is_envoys() {
    let reset = |reason, retried, exhausted| {
        row(LocalReply::Reset {
            reason,
            retried,
            exhausted,
        })
    };
    assert_eq!(
        row(LocalReply::NoHealthyUpstream),
        (
            503,
            "no healthy upstream",
            "UH".into(),
            "no_healthy_upstream"
        )
    );
    assert_eq!(
        row(LocalReply::NoRoute),
        (404, "", "NR".into(), "route_not_found")
    );
    assert_eq!(
        row(LocalReply::NoCluster(StatusCode::SERVICE_UNAVAILABLE)),
        (503, "", "NC".into(), "cluster_not_found")
    );
    assert_eq!(
        row(LocalReply::BlackHole),
        (502, "", "-".into(), "direct_response")
    );
    assert_eq!(
        row(LocalReply::RouteTimeout),
        (
            504,
            "upstream request timeout",
            "UT".into(),
            "response_timeout"
        )
    );
    assert_eq!(
        row(LocalReply::PerTryTimeout { exhausted: true }),
        (
            504,
            "upstream request timeout",
            "URX,UT".into(),
            "upstream_per_try_timeout"
        )
    );
    assert_eq!(
        reset(REFUSED, false, false),
        (
            503,
            "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
            "UF".into(),
            "upstream_reset_before_response_started{remote_connection_failure}"
        )
    );
    assert_eq!(
        reset(REFUSED, true, true),
        (
            503,
            "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure",
            "URX,UF".into(),
            "upstream_reset_before_response_started{remote_connection_failure}"
        )
    );
    assert_eq!(
        reset(ResetReason::ConnectionTermination, false, false),
        (
            503,
            "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
            "UC".into(),
            "upstream_reset_before_response_started{connection_termination}"
        )
    );
}

#[test]
fn a_reply_has_a_text_plain_content_type_only_with_a_body() {
    let with = LocalReply::RouteTimeout.into_response(false, false, |_| ());
    assert_eq!(with.headers()[CONTENT_TYPE], "text/plain");
    let without = LocalReply::NoRoute.into_response(false, false, |_| ());
    assert!(without.headers().is_empty());
}

#[test]
fn every_503_and_504_body_is_plain_text_for_non_grpc_callers() {
    let reset = |reason| LocalReply::Reset {
        reason,
        retried: false,
        exhausted: false,
    };
    let all = [
        LocalReply::NoHealthyUpstream,
        LocalReply::RouteTimeout,
        LocalReply::PerTryTimeout { exhausted: true },
        LocalReply::StreamIdle,
        reset(REFUSED),
        reset(ResetReason::ConnectionTimeout),
        reset(ResetReason::ConnectionTermination),
        reset(ResetReason::Overflow),
        reset(ResetReason::RemoteReset),
    ];
    for reject in all {
        let response = reject.clone().into_response(false, false, |_| ());
        assert!(matches!(response.status().as_u16(), 503 | 504));
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain", "{reject:?}");
        let response = reject.into_response(true, false, |_| ());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[GRPC_STATUS], "14");
    }
}

#[test]
fn what_filters_answer_is_envoys() {
    let aborted = LocalReply::Aborted {
        status: StatusCode::IM_A_TEAPOT,
        grpc: None,
    };
    assert_eq!(
        row(aborted),
        (418, "fault filter abort", "FI".into(), "fault_filter_abort")
    );
    let limited = LocalReply::Limited(Limited {
        status: StatusCode::TOO_MANY_REQUESTS,
        resource_exhausted: false,
    });
    assert_eq!(
        row(limited),
        (429, "local_rate_limited", "RL".into(), "local_rate_limited")
    );
    let preflight = LocalReply::Preflight(Box::default());
    assert_eq!(row(preflight), (200, "", "-".into(), "cors_response"));
}

#[test]
fn an_overflow_is_told_as_overload() {
    let overflow = LocalReply::Reset {
        reason: ResetReason::Overflow,
        retried: false,
        exhausted: false,
    };
    let response = overflow.clone().into_response(false, false, |_| ());
    assert_eq!(response.headers()[OVERLOADED], "true");
    assert_eq!(
        row(overflow),
        (
            503,
            "upstream connect error or disconnect/reset before headers. reset reason: overflow",
            "UO".into(),
            "upstream_reset_before_response_started{overflow}"
        )
    );
}

/// Expected as observed with a real Envoy.
#[test]
fn a_grpc_caller_reads_its_status_in_headers() {
    let converted = |reject: LocalReply| {
        let response = reject.into_response(true, false, |_| ());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
        let text = |name| response.headers().get(name).map(|v| v.to_str().unwrap());
        (
            text(GRPC_STATUS).unwrap().to_owned(),
            text(GRPC_MESSAGE).unwrap_or_default().to_owned(),
        )
    };
    let expected = |status: &str, message: &str| (status.to_owned(), message.to_owned());
    assert_eq!(converted(LocalReply::NoRoute), expected("12", ""));
    assert_eq!(
        converted(LocalReply::NoHealthyUpstream),
        expected("14", "no healthy upstream")
    );
    let direct = LocalReply::Direct {
        status: StatusCode::OK,
        body: Arc::from(&b"50% \xc3\xbc"[..]),
        location: None,
    };
    assert_eq!(converted(direct), expected("2", "50%25 %C3%BC"));
    let aborted = LocalReply::Aborted {
        status: StatusCode::OK,
        grpc: Some(14),
    };
    assert_eq!(converted(aborted), expected("14", "fault filter abort"));
    let limited = |resource_exhausted| {
        LocalReply::Limited(Limited {
            status: StatusCode::TOO_MANY_REQUESTS,
            resource_exhausted,
        })
    };
    assert_eq!(
        converted(limited(false)),
        expected("14", "local_rate_limited")
    );
    assert_eq!(
        converted(limited(true)),
        expected("8", "local_rate_limited")
    );
}

#[test]
fn only_a_plus_may_follow_grpcs_content_type() {
    let speaks = |kind: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        is_grpc(&headers)
    };
    assert!(speaks("application/grpc") && speaks("application/grpc+proto"));
    assert!(!speaks("application/grpc-web") && !speaks("text/plain"));
}
