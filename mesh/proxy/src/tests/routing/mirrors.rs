//! Copies of requests for mirrors.

use shakedown_xds::table::Mirror;

use super::*;

/// The name of another cluster.
const RATINGS: &str = "outbound|9080||ratings.default.svc.cluster.local";

fn mirrored(share: RequestShare) -> RouteAction {
    let mut action = to(REVIEWS);
    action.mirrors = vec![Arc::new(Mirror {
        action: to(RATINGS),
        share,
        suffix: true,
    })];
    action
}

#[test]
fn a_copy_goes_to_the_mirror_and_nobody_is_told() {
    play(|scene| async move {
        let (original, copy) = (listen(&scene, UP1), listen(&scene, UP2));
        let clusters = vec![
            cluster(REVIEWS, &[at(UP1, 9080)]),
            cluster(RATINGS, &[at(UP2, 9080)]),
        ];
        let route = route(RouteActionKind::Forward(mirrored(RequestShare::ALL)));
        scene.proxy(routed(route, Vec::new(), clusters));
        let request = Request::post("/p").header("host", "reviews:9080");
        let answer = scene.send(request.body(Body::full("abc")).unwrap()).await;
        assert_eq!(answer.status, 200);
        scene.env(CALLER).sleep(ms(20)).await;
        assert_eq!(original.borrow()[0].1["host"], "reviews:9080");
        let copy = copy.borrow().clone();
        let (uri, headers) = &copy[0];
        assert_eq!((uri.as_str(), copy.len()), ("/p", 1));
        assert_eq!(headers["host"], "reviews-shadow:9080");
        assert_eq!(headers["content-length"], "3");
        assert_eq!(headers["x-envoy-internal"], "true");
        assert_eq!(headers["x-forwarded-for"], POD);
        assert_eq!(outcome(&scene), (200, "-".into(), 1));
        assert_eq!(scene.attempts().len(), 1);
        let admin = scene.caller_of(at(POD, 15020));
        let scrape = Request::get("/stats/prometheus").header("host", "a");
        let response = admin
            .send(scrape.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let metrics = Answer::from_response(response).await.body;
        assert!(
            metrics.contains("shakedown_mirrored_requests_total 1"),
            "{metrics}"
        );
        assert!(metrics.contains("shakedown_mirrored_requests_failed_total 0"));
    });
}

#[test]
fn a_mirror_that_fails_or_is_not_there_is_no_matter() {
    play(|scene| async move {
        scene.answer(UP1, 9080, 200, "ok");
        let mut action = mirrored(RequestShare::ALL);
        let gone = Mirror {
            action: to("nowhere"),
            ..Mirror::clone(&action.mirrors[0])
        };
        action.mirrors.push(Arc::new(gone));
        let clusters = vec![
            cluster(REVIEWS, &[at(UP1, 9080)]),
            cluster(RATINGS, &[at(UP2, 9080)]),
        ];
        scene.proxy(routed(
            route(RouteActionKind::Forward(action)),
            Vec::new(),
            clusters,
        ));
        assert_eq!(scene.get("/").await.status, 200);
        assert_eq!(outcome(&scene), (200, "-".into(), 1));
    });
}

#[test]
fn without_a_host_for_the_original_there_is_no_copy() {
    play(|scene| async move {
        let copy = listen(&scene, UP2);
        let clusters = vec![cluster(REVIEWS, &[]), cluster(RATINGS, &[at(UP2, 9080)])];
        let route = route(RouteActionKind::Forward(mirrored(RequestShare::ALL)));
        scene.proxy(routed(route, Vec::new(), clusters));
        assert_eq!(scene.get("/").await.status, 503);
        scene.env(CALLER).sleep(ms(20)).await;
        assert!(copy.borrow().is_empty());
    });
}
