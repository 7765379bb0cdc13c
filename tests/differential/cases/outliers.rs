//! Cases of outlier detection: ejections and their times. `503 UH` indicates an ejected host where the cluster has only
//! one.

use shakedown_xds::proto::cluster::OutlierDetection;

use crate::case::{Case, Xds, get, host, mesh, xds};
use crate::messages::{ms, wrapped};
use crate::upstream::{Act, Manner, OK, status};

/// A pause longer than Envoy's update merge window.
const MERGED: u64 = 1_150;

pub(super) fn cases() -> Vec<Case> {
    let mut all = istio();
    all.extend(envoy());
    all
}

fn rule(fields: &str) -> String {
    format!("trafficPolicy: {{outlierDetection: {{interval: 10s, {fields}}}}}")
}

fn no_retry(name: &'static str) -> Case {
    mesh(name).routes("[{TO_APP, retries: {attempts: 0}}]")
}

fn istio() -> Vec<Case> {
    let all = "maxEjectionPercent: 100";
    vec![
        no_retry("three 5xx in a row eject")
            .rule(&rule(&format!("consecutive5xxErrors: 3, {all}")))
            .app(&[status(503), status(500), status(502), OK])
            .get("/")
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("503 -, 500 -, 502 -, 503 UH"),
        no_retry("two 5xx of three do not eject")
            .rule(&rule(&format!("consecutive5xxErrors: 3, {all}")))
            .app(&[status(503), status(503), OK])
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("503 -, 503 -, 200 -"),
        no_retry("an answer in between begins the count anew")
            .rule(&rule(&format!("consecutive5xxErrors: 2, {all}")))
            .app(&[status(503), status(404), status(503), OK])
            .get("/")
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("503 -, 404 -, 503 -, 200 -"),
        no_retry("gateway errors eject; a 500 is none")
            .rule(&rule(&format!("consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, {all}")))
            .app(&[status(500), status(500), status(502), status(504), OK])
            .get("/")
            .get("/")
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("500 -, 500 -, 502 -, 504 -, 503 UH"),
        no_retry("a 500 begins the count of gateway errors anew")
            .rule(&rule(&format!("consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, {all}")))
            .app(&[status(502), status(500), status(502), OK])
            .get("/")
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("502 -, 500 -, 502 -, 200 -"),
        no_retry("0 of 5xx counts none")
            .rule(&rule(&format!("consecutive5xxErrors: 0, {all}")))
            .app(&[status(503); 6])
            .get("/")
            .get("/")
            .get("/")
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("503 -, 503 -, 503 -, 503 -, 503 -, 503 -"),
        no_retry("refused connects eject")
            .rule(&rule(&format!("consecutive5xxErrors: 2, {all}")))
            .host(host("a").is(Manner::Refuses))
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("503 UF, 503 UF, 503 UH"),
        no_retry("closes before headers eject")
            .rule(&rule(&format!("consecutive5xxErrors: 2, {all}")))
            .app(&[Act::Close, Act::Close, OK])
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("503 UC, 503 UC, 503 UH"),
        mesh("timeouts eject as gateway errors")
            .routes("[{TO_APP, timeout: 0.1s}]")
            .rule(&rule(&format!("consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, {all}")))
            .app(&[Act::Hang, Act::Hang, OK])
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("504 UT, 504 UT, 503 UH"),
        no_retry("by default a tenth may be ejected: of one host none")
            .rule(&rule("consecutive5xxErrors: 2"))
            .app(&[status(503), status(503), OK])
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("503 -, 503 -, 200 -"),
        no_retry("half of two hosts: one stays")
            .rule(&rule("consecutive5xxErrors: 1, maxEjectionPercent: 50"))
            .host(host("a").does(&[status(503)]))
            .host(host("b").does(&[status(503)]))
            .get("/")
            .get("/")
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .get("/")
            .get("/")
            .any_host()
            .wants("503 -, 503 -, 503 -, 503 -, 503 -, 503 -, 503 -"),
        no_retry("an ejected host is passed by")
            .rule(&rule("consecutive5xxErrors: 1, maxEjectionPercent: 50"))
            .host(host("a").does(&[status(503)]))
            .host(host("b"))
            .together((0..12).map(|nth| get("/").after(nth * 3)).collect())
            .pause(MERGED)
            .together((0..12).map(|nth| get("/").after(nth * 3)).collect())
            .shares(1),
        mesh("an ejected host is back on the first tick after its time")
            .routes("[{TO_APP, retries: {attempts: 0}}]")
            .rule(
                "trafficPolicy: {outlierDetection: {interval: 0.2s, baseEjectionTime: 0.5s, consecutive5xxErrors: 1, maxEjectionPercent: 100}}",
            )
            .app(&[status(503), OK])
            .get("/")
            .pause(3_000)
            .get("/")
            .wants("503 -, 200 -"),
        no_retry("split: what the app says does not count as local")
            .rule(&rule(&format!(
                "splitExternalLocalOriginErrors: true, consecutive5xxErrors: 0, consecutiveLocalOriginFailures: 2, {all}"
            )))
            .app(&[status(503), status(503), OK])
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("503 -, 503 -, 200 -"),
        no_retry("split: refused connects count as local")
            .rule(&rule(&format!(
                "splitExternalLocalOriginErrors: true, consecutive5xxErrors: 0, consecutiveLocalOriginFailures: 2, {all}"
            )))
            .host(host("a").is(Manner::Refuses))
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("503 UF, 503 UF, 503 UH"),
        no_retry("split: refused connects do not count as 5xx")
            .rule(&rule(&format!("splitExternalLocalOriginErrors: true, consecutive5xxErrors: 2, {all}")))
            .host(host("a").is(Manner::Refuses))
            .get("/")
            .get("/")
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("503 UF, 503 UF, 503 UF, 503 UF"),
        mesh("every try counts")
            .routes("[{TO_APP, retries: {attempts: 2, retryOn: '5xx'}}]")
            .rule(&rule(&format!("consecutive5xxErrors: 3, {all}")))
            .app(&[status(503), status(503), status(503), OK])
            .get("/")
            .pause(MERGED)
            .get("/")
            .wants("503 URX, 503 UH"),
        no_retry("an overflow feeds no detector")
            .rule(
                "trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}, outlierDetection: {interval: 10s, consecutive5xxErrors: 1, maxEjectionPercent: 100}}",
            )
            .app(&[Act::Late(200, &OK), OK])
            .together(vec![get("/"), get("/").after(50)])
            .pause(MERGED)
            .get("/")
            .wants("200 -, 503 UO, 200 -"),
    ]
}

/// Five hosts in rotation, one of which always fails: fifty requests, an interval's end, and twenty more requests.
fn far_below_the_others(name: &'static str, factor: u32, again: &'static str) -> Case {
    let mut case = xds(name, move |x| {
        x.cluster("app").lb_policy =
            shakedown_xds::proto::cluster::cluster::LbPolicy::RoundRobin.into();
        let detection = detection(x);
        detection.interval = ms(2_000);
        detection.consecutive_5xx = wrapped(100);
        detection.enforcing_success_rate = wrapped(100);
        detection.success_rate_minimum_hosts = wrapped(5);
        detection.success_rate_request_volume = wrapped(5);
        detection.success_rate_stdev_factor = wrapped(factor);
        at_once(x);
    });
    for name in ["a", "b", "c", "d"] {
        case = case.host(host(name));
    }
    let batch = |count: u64| (0..count).map(|nth| get("/").after(nth * 2)).collect();
    case.host(host("bad").does(&[status(503)]))
        .together(batch(50))
        .pause(2_200)
        .together(batch(20))
        .any_host()
        .wants(again)
}

/// The expected answers if `first` of the first fifty requests and `second` of the next twenty fail.
fn failing(first: usize, second: usize) -> &'static str {
    let mut all = vec!["200 -"; 50 - first];
    all.extend(vec!["503 -"; first]);
    all.extend(vec!["200 -"; 20 - second]);
    all.extend(vec!["503 -"; second]);
    all.join(", ").leak()
}

fn detection(x: &mut Xds) -> &mut OutlierDetection {
    x.cluster("app").common_lb_config = super::balancing::panic_at(0.0);
    x.cluster("app")
        .outlier_detection
        .get_or_insert_with(|| OutlierDetection {
            interval: ms(10_000),
            max_ejection_percent: wrapped(100),
            ..Default::default()
        })
}

fn at_once(x: &mut Xds) {
    let common = x
        .cluster("app")
        .common_lb_config
        .as_mut()
        .expect("set before");
    common.update_merge_window = ms(0);
}

fn envoy() -> Vec<Case> {
    vec![
        xds(
            "without a merge window an ejection holds for the next request",
            |x| {
                detection(x).consecutive_5xx = wrapped(1);
                at_once(x);
            },
        )
        .app(&[status(503), OK])
        .get("/")
        .pause(50)
        .get("/")
        .wants("503 -, 503 UH"),
        xds("with the default merge window the first ejection", |x| {
            detection(x).consecutive_5xx = wrapped(1)
        })
        .app(&[status(503), OK])
        .get("/")
        .pause(50)
        .get("/")
        .wants("503 -, 503 UH"),
        xds(
            "with the default merge window a second ejection waits for its end",
            |x| {
                detection(x).consecutive_5xx = wrapped(1);
            },
        )
        .host(host("a").does(&[status(503)]))
        .host(host("b").does(&[status(503)]))
        .get("/")
        .pause(50)
        .get("/")
        .pause(50)
        .get("/")
        .pause(1_100)
        .get("/")
        .any_host()
        .wants("503 -, 503 -, 503 -, 503 UH"),
        xds("Envoy's default is five 5xx", |x| {
            detection(x);
            at_once(x);
        })
        .app(&[status(503)])
        .get("/")
        .get("/")
        .get("/")
        .get("/")
        .get("/")
        .pause(50)
        .get("/")
        .wants("503 -, 503 -, 503 -, 503 -, 503 -, 503 UH"),
        xds("enforced at 0 percent nothing is ejected", |x| {
            let detection = detection(x);
            detection.consecutive_5xx = wrapped(1);
            detection.enforcing_consecutive_5xx = wrapped(0);
            at_once(x);
        })
        .app(&[status(503), OK])
        .get("/")
        .pause(50)
        .get("/")
        .wants("503 -, 200 -"),
        xds("at least one host may be ejected, if so asked", |x| {
            let detection = detection(x);
            detection.consecutive_5xx = wrapped(1);
            detection.max_ejection_percent = wrapped(10);
            detection.always_eject_one_host =
                Some(shakedown_xds::proto::protobuf::BoolValue { value: true });
            at_once(x);
        })
        .app(&[status(503), OK])
        .get("/")
        .pause(50)
        .get("/")
        .wants("503 -, 503 UH"),
        xds("panic: all hosts ejected, and all are used", |x| {
            detection(x).consecutive_5xx = wrapped(1);
            x.cluster("app").common_lb_config = super::balancing::panic_at(50.0);
            at_once(x);
        })
        .app(&[status(503), OK])
        .get("/")
        .pause(50)
        .get("/")
        .wants("503 -, 200 -"),
        xds("too large a share of failures ejects on the tick", |x| {
            let detection = detection(x);
            detection.interval = ms(1_500);
            detection.consecutive_5xx = wrapped(100);
            detection.enforcing_success_rate = wrapped(0);
            detection.failure_percentage_threshold = wrapped(50);
            detection.enforcing_failure_percentage = wrapped(100);
            detection.failure_percentage_minimum_hosts = wrapped(1);
            detection.failure_percentage_request_volume = wrapped(4);
            at_once(x);
        })
        .app(&[status(503), status(503), status(503), OK])
        .get("/")
        .get("/")
        .get("/")
        .get("/")
        .pause(1_700)
        .get("/")
        .wants("503 -, 503 -, 503 -, 200 -, 503 UH"),
        far_below_the_others(
            "a success rate far below the others' ejects on the tick",
            1_900,
            failing(10, 0),
        ),
        far_below_the_others(
            "a success rate within the allowed deviation stays",
            3_000,
            failing(10, 4),
        ),
        xds("too few requests are no share", |x| {
            let detection = detection(x);
            detection.interval = ms(1_500);
            detection.consecutive_5xx = wrapped(100);
            detection.enforcing_success_rate = wrapped(0);
            detection.failure_percentage_threshold = wrapped(50);
            detection.enforcing_failure_percentage = wrapped(100);
            detection.failure_percentage_minimum_hosts = wrapped(1);
            detection.failure_percentage_request_volume = wrapped(10);
            at_once(x);
        })
        .app(&[status(503), status(503), OK])
        .get("/")
        .get("/")
        .pause(1_700)
        .get("/")
        .wants("503 -, 503 -, 200 -"),
    ]
}
