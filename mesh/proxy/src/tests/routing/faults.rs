//! Injected faults.

use shakedown_xds::table::{Abort, Fault, RetryOn};

use super::*;

fn abort(status: u16) -> Fault {
    Fault {
        delay: None,
        abort: Some((Abort::Http(status), RequestShare::ALL)),
        upstream_cluster: None,
        headers: Vec::new(),
    }
}

fn with_fault(mut route: Route, fault: Fault) -> Route {
    route.filters.fault = Some(Arc::new(fault));
    route
}

const FAULT: Filter = Filter::Fault(None);

#[test]
fn an_abort_is_answered_before_any_try_with_the_routes_headers() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        let mut route = with_fault(route(RouteActionKind::Forward(to(REVIEWS))), abort(555));
        route.response_headers = vec![ops("x-r", "r")];
        scene.proxy(routed(
            route,
            vec![FAULT],
            vec![cluster(REVIEWS, &[at(UP1, 9080)])],
        ));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, &*answer.body), (555, "fault filter abort"));
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(answer.header("x-r"), Some("r"));
        assert_eq!(outcome(&scene), (555, "FI".into(), 0));
        let request = &scene.requests()[0];
        assert_eq!(
            (&*request.details, &*request.cluster),
            ("fault_filter_abort", REVIEWS)
        );
    });
}

#[test]
fn an_abort_is_not_retried_here() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        let mut action = to(REVIEWS);
        action.retry = Some(retry(RetryOn::SERVER_ERROR).into());
        let route = with_fault(route(RouteActionKind::Forward(action)), abort(503));
        scene.proxy(routed(
            route,
            vec![FAULT],
            vec![cluster(REVIEWS, &[at(UP1, 9080)])],
        ));
        assert_eq!(scene.get("/").await.status, 503);
        assert_eq!(outcome(&scene), (503, "FI".into(), 0));
    });
}

#[test]
fn a_delay_fault_has_millisecond_precision_and_may_precede_an_abort() {
    play(|scene| async move {
        let mut fault = abort(418);
        fault.delay = Some((ms(50), RequestShare::ALL));
        let route = with_fault(route(RouteActionKind::Forward(to(REVIEWS))), fault);
        scene.proxy(routed(route, vec![FAULT], vec![cluster(REVIEWS, &[])]));
        assert_eq!(scene.get("/").await.status, 418);
        assert_eq!(outcome(&scene), (418, "DI,FI".into(), 0));
        assert_eq!(scene.took(), ms(50) + REQUEST_COST);
    });
}

#[test]
fn a_direct_response_has_faults_too_and_then_not_the_routes_headers() {
    play(|scene| async move {
        let mut route = with_fault(route(direct(207, b"hello")), abort(555));
        route.response_headers = vec![ops("x-r", "r")];
        scene.proxy(routed(route, vec![FAULT], Vec::new()));
        let answer = scene.get("/").await;
        assert_eq!((answer.status, answer.header("x-r")), (555, None));
    });
}

#[test]
fn a_listeners_own_fault_is_met_by_requests_without_a_route() {
    play(|scene| async move {
        let filter = Filter::Fault(Some(Arc::new(abort(418))));
        let mut table = routed(route(direct(200, b"")), vec![filter], Vec::new());
        table.routes.clear();
        table.routes.insert("15001".into(), empty_routes());
        scene.proxy(table);
        assert_eq!(scene.get("/").await.status, 418);
        assert_eq!(outcome(&scene), (418, "FI".into(), 0));
    });
}
