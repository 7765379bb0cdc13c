//! Tests x-envoy-* headers: internal callers override retries and timeouts, external callers cannot.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use http::Request;
use shakedown_wire::Body;
use shakedown_xds::table::{AddressRange, ClientAddressSource, Table};

use super::scene::*;

/// A listener that treats loopback addresses as internal.
fn believing(mut table: Table, use_remote_address: bool) -> Table {
    for listener in table.listeners.values_mut() {
        Arc::make_mut(listener).manager.origin = ClientAddressSource {
            use_remote_address,
            internal: vec![AddressRange {
                address: [127, 0, 0, 0].into(),
                prefix: 8,
            }],
            ..ClientAddressSource::default()
        };
    }
    table
}

async fn ask(scene: &Scene, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get("/").header("host", "reviews:9080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    scene.send(request.body(Body::empty()).unwrap()).await
}

/// An upstream that fails this number of times, then answers with the headers that it received.
fn failing(scene: &Scene, times: u32) {
    let count = Rc::new(Cell::new(0));
    scene.serve(UP1, 9080, move |request| {
        count.set(count.get() + 1);
        let fails = count.get() <= times;
        async move {
            if fails {
                return reply(503, "");
            }
            let value_of = |name: &str| {
                let value = request.headers().get(name);
                value
                    .map_or("-", |value| value.to_str().unwrap())
                    .to_owned()
            };
            let text = [
                "x-forwarded-for",
                "x-envoy-internal",
                "x-envoy-external-address",
                "x-envoy-retry-on",
                "x-envoy-expected-rq-timeout-ms",
            ]
            .map(value_of)
            .join(" ");
            http::Response::new(Body::full(text))
        }
    });
}

#[test]
fn an_internal_caller_says_how_often() {
    play(|scene| async move {
        failing(&scene, 2);
        scene.proxy(believing(simple(&[at(UP1, 9080)]), true));
        let steers = [("x-envoy-retry-on", "5xx"), ("x-envoy-max-retries", "2")];
        let answer = ask(&scene, &steers).await;
        assert_eq!(answer.body, "127.0.0.2 true - - -");
        assert_eq!(outcome(&scene), (200, "-".into(), 3));
    });
}

#[test]
fn an_internal_caller_says_how_long() {
    play(|scene| async move {
        scene.answer_after(ms(3_600_000), UP1, 9080, 200, "");
        scene.proxy(believing(simple(&[at(UP1, 9080)]), true));
        let answer = ask(&scene, &[("x-envoy-upstream-rq-timeout-ms", "70")]).await;
        assert_eq!(answer.status, 504);
        assert_eq!(scene.took(), ms(70) + REQUEST_COST);
    });
}

#[test]
fn an_upstream_is_told_the_time_that_its_caller_has_asked_for() {
    play(|scene| async move {
        failing(&scene, 0);
        scene.proxy(believing(simple(&[at(UP1, 9080)]), false));
        let steers = [
            ("x-forwarded-for", "127.0.0.9"),
            ("x-envoy-upstream-rq-timeout-ms", "70"),
        ];
        let answer = ask(&scene, &steers).await;
        assert_eq!(answer.body, "127.0.0.9 true - - 70");
    });
}

#[test]
fn an_external_caller_is_written_down_and_has_no_say() {
    play(|scene| async move {
        failing(&scene, 0);
        let mut table = believing(simple(&[at(UP1, 9080)]), true);
        for listener in table.listeners.values_mut() {
            Arc::make_mut(listener).manager.origin.internal.clear();
        }
        scene.proxy(table);
        let id = "00000000-0000-4000-8000-000000000001";
        let steers = [("x-envoy-retry-on", "5xx"), ("x-request-id", id)];
        let answer = ask(&scene, &steers).await;
        assert_eq!(answer.body, "127.0.0.2 - 127.0.0.1 - -");
        let reported_id = scene.requests()[0].id.unwrap().to_string();
        assert_ne!(reported_id, id, "an id from outside is not believed");
    });
}

#[test]
fn what_suppresses_envoys_headers_suppresses_them_towards_both() {
    play(|scene| async move {
        failing(&scene, 0);
        let mut action = to(REVIEWS);
        action.timeout = Some(ms(500));
        let hosts = vec![cluster(REVIEWS, &[at(UP1, 9080)])];
        let mut table = outbound(
            shakedown_xds::table::RouteActionKind::Forward(action),
            hosts,
        );
        for listener in table.listeners.values_mut() {
            Arc::make_mut(listener).manager.suppress_envoy_headers = true;
        }
        scene.proxy(table);
        let answer = ask(&scene, &[]).await;
        assert_eq!(answer.body, "- - - - -");
        assert_eq!(answer.header("x-envoy-upstream-service-time"), None);
    });
}
