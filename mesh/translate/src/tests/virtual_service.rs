//! Tests of the translation of VirtualServices to routes.

use super::*;

#[test]
fn conditions_are_and_within_an_entry_and_or_across_entries() {
    let table = table(&mesh(&service(
        "{hosts: [my-service], http: [{match: [{uri: {prefix: /a}, method: {exact: GET}}, {queryParams: {q: {exact: '1'}}}],
          route: [{destination: {host: other, port: {number: 81}}}]}]}")));
    let goes = |path: &str| cluster_of(&table, "my-service", path, &[]).is_some();
    assert!(goes("/abc") && goes("/x?q=1") && goes("/a?q=2"));
    assert!(!goes("/x") && !goes("/x?q=2"));
}

#[test]
fn headers_that_must_not_be_such_may_be_missing() {
    let table = table(&mesh(&service(
        "{hosts: [my-service], http: [{match: [{withoutHeaders: {a: {exact: x}, b: {}}}], route: [{destination: {host: other}}]}]}",
    )));
    let goes =
        |headers: &[(&'static str, &str)]| cluster_of(&table, "my-service", "/", headers).is_some();
    assert!(goes(&[]) && goes(&[("a", "y")]));
    assert!(!goes(&[("a", "x")]) && !goes(&[("b", "")]));
}

#[test]
fn routes_behind_one_that_takes_everything_are_left_out() {
    let mesh = mesh(&service(
        "{hosts: [my-service], http: [
        {name: n, match: [{name: m, uri: {prefix: /}}], route: [{destination: {host: other}}]},
        {route: [{destination: {host: twin}}]}]}",
    ));
    let routes: route::RouteConfiguration = message(&outbound(&mesh).routes, OUTBOUND_ROUTES);
    let names: Vec<&str> = routes.virtual_hosts[0]
        .routes
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    assert_eq!(names, ["n.m"]);
}

#[test]
fn weights_timeouts_and_retries_reach_the_table() {
    let mesh = mesh(&service("{hosts: [my-service], http: [{timeout: 3s, retries: {attempts: 4, perTryTimeout: 1s, retryOn: '5xx,429'},
        route: [{destination: {host: my-service}, weight: 90}, {destination: {host: other}, weight: 10}, {destination: {host: twin}, weight: 0}]}]}"));
    let table = table(&mesh);
    let RouteActionKind::Forward(action) = &table.hosts()[0].routes[0].action else {
        panic!("no way on")
    };
    let mine = "outbound|9080||my-service.default.svc.cluster.local";
    let picked = (0..100)
        .filter(|random| &**action.pick(*random) == mine)
        .count();
    assert_eq!(
        (picked, action.total_weight(), action.targets().len()),
        (90, 100, 2)
    );
    assert_eq!(
        &**action.pick(99),
        "outbound|9080||other.default.svc.cluster.local"
    );
    assert_eq!(action.timeout, Some(Duration::from_secs(3)));
    let retry = action.retry.as_ref().unwrap();
    assert_eq!(
        (retry.times, retry.codes.as_slice(), retry.per_try_timeout),
        (4, &[429][..], Some(Duration::from_secs(1)))
    );
    assert_eq!(
        format!("{:?}", retry.on),
        r#"{"5xx", "retriable-status-codes"}"#
    );
}

#[test]
fn without_a_word_a_route_has_istios_retries_and_no_timeout() {
    let table = table(&mesh(MY_SERVICE));
    let RouteActionKind::Forward(action) = &table.find_host("other").unwrap().routes[0].action
    else {
        panic!("no way on")
    };
    assert_eq!(action.timeout, None);
    let retry = action.retry.as_ref().unwrap();
    assert_eq!(
        (
            retry.times,
            retry.codes.len(),
            retry.avoid_previous_hosts,
            retry.host_selection_attempts
        ),
        (2, 0, true, 5)
    );
    assert_eq!(
        (
            retry.base_interval.as_millis(),
            retry.max_interval.as_millis()
        ),
        (25, 250)
    );
}

#[test]
fn no_attempts_are_no_retries() {
    let table = table(&mesh(&service(
        "{hosts: [other], http: [{retries: {attempts: 0}, route: [{destination: {host: other}}]}]}",
    )));
    let RouteActionKind::Forward(action) = &table.find_host("other").unwrap().routes[0].action
    else {
        panic!("no way on")
    };
    assert!(action.retry.is_none());
}

#[test]
fn of_two_virtual_services_for_a_host_the_oldest_counts() {
    let one = |name: &str, created: &str, to: &str| {
        service(&format!(
            "{{hosts: [other], http: [{{route: [{{destination: {{host: {to}}}}}]}}]}}"
        ))
        .replace("{name: s}", &format!("{{name: {name}{created}}}"))
    };
    let goes = |text: String| cluster_of(&table(&mesh(&text)), "other", "/", &[]).unwrap();
    let (first, second) = (one("a", "", "twin"), one("b", "", "my-service"));
    assert!(goes(format!("{first}---\n{second}")).contains("twin"));
    let dated = one(
        "c",
        ", creationTimestamp: 2025-01-01T00:00:00Z",
        "my-service",
    );
    assert!(goes(format!("{first}---\n{dated}")).contains("my-service"));
}

#[test]
fn a_host_only_in_a_virtual_service_is_served_on_port_80() {
    let table = table(&mesh(&service(
        "{hosts: [api.example.com], http: [{route: [{destination: {host: other}}]}]}",
    )));
    let other = Some("outbound|80||other.default.svc.cluster.local".to_owned());
    assert_eq!(cluster_of(&table, "api.example.com", "/", &[]), other);
    assert_eq!(cluster_of(&table, "api.example.com:80", "/", &[]), other);
}

#[test]
fn retries_take_their_backoff_and_whether_hosts_are_avoided() {
    let policy = |text: &str, hashed: bool| {
        let written: shakedown_istio::HttpRetry = shakedown_yaml::decode::decode(
            &shakedown_yaml::tree::parse("a.yaml", text).unwrap()[0],
        )
        .unwrap();
        crate::retries::outbound(Some(&written), hashed)
    };
    let plain = policy("attempts: 3", false).unwrap();
    assert_eq!(plain.retry_host_predicate.len(), 1);
    assert_eq!(plain.retry_back_off, None);
    let with_backoff = policy("{attempts: 3, backoff: 100ms}", false).unwrap();
    let base = with_backoff.retry_back_off.unwrap().base_interval.unwrap();
    assert_eq!((base.seconds, base.nanos), (0, 100_000_000));
    let not = policy("{attempts: 3, retryIgnorePreviousHosts: false}", false).unwrap();
    assert!(not.retry_host_predicate.is_empty());
    // With consistent hashing, a retry uses the same host unless the route asks for another.
    let hashed = policy("attempts: 3", true).unwrap();
    assert!(hashed.retry_host_predicate.is_empty());
    let ignoring = policy("{attempts: 3, retryIgnorePreviousHosts: true}", true).unwrap();
    assert_eq!(ignoring.retry_host_predicate.len(), 1);
    assert!(policy("attempts: 0", false).is_none());
}
