//! Tests the report of the cluster selected by a route, which a request header enables.

use http::Request;
use shakedown_types::MeshEvent;
use shakedown_wire::Body;
use shakedown_xds::table::RouteActionKind;

use super::scene::*;

#[test]
fn a_request_with_the_header_reports_its_cluster_before_the_response() {
    play(|scene| async move {
        // Nothing listens at the upstream: the report does not depend on a response.
        let reviews = cluster(REVIEWS, &[at(UP1, 9080)]);
        scene.proxy(outbound(
            RouteActionKind::Forward(to(REVIEWS)),
            vec![reviews],
        ));
        scene.get("/").await;
        let request = Request::get("/").header("host", "reviews:9080");
        let request = request.header("x-call", "7").body(Body::empty()).unwrap();
        assert_eq!(scene.send(request).await.status, 503);
        let events = scene.events();
        let order: Vec<&str> = events
            .iter()
            .filter_map(|event| match event {
                MeshEvent::Routed { header, cluster } => {
                    assert_eq!((&**header, &**cluster), ("7", REVIEWS));
                    Some("routed")
                }
                MeshEvent::Request(_) => Some("request"),
                _ => None,
            })
            .collect();
        assert_eq!(order, ["request", "routed", "request"]);
    });
}
