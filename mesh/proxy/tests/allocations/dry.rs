//! The line alone, without hyper: each try is answered by a function.

use std::cell::Cell;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use futures_util::FutureExt as _;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, Response, Uri};
use shakedown_engine::{HostSpec, Sim, SimOptions};
use shakedown_env::UnixTime;
use shakedown_proxy::DryRun;
use shakedown_wire::Body;

use super::shop;

/// How many requests go by before it counts.
const WARM_UP: usize = 64;

/// What a request has beside its host.
#[derive(Clone, Copy, Debug)]
enum With {
    Nothing,
    Header(&'static str, &'static str),
}

const ID: With = With::Header("x-request-id", "6f1b7e5c-37d6-4b2a-9a3e-0d9a6b1c2d3e");
const JASON: With = With::Header("end-user", "jason");

/// Runs requests, and tells what each cost once the first have gone by.
fn counts(host: &str, with: &[With]) -> Vec<u64> {
    let sim = Sim::new(SimOptions {
        seed: 7,
        epoch: UnixTime::from_nanos(1_700_000_000_000_000_000),
        noise: None,
    });
    let env = sim.add_host(HostSpec {
        name: "pod".into(),
        address: shop::POD.into(),
        zone: 0,
        request_cost: Duration::ZERO,
        handshake_cost: Duration::ZERO,
        cost_workers: 1,
    });
    let proxy = DryRun::new(env, shop::bootstrap(), shop::table(), shop::LISTENER).unwrap();
    let one = |_| {
        let (request, response) = (request(host, with), response());
        let (sent, response) = (Cell::new(None), Cell::new(Some(response)));
        let mut answer = None;
        let info = allocation_counter::measure(|| {
            let running = proxy.answer(request, |_, request| {
                sent.set(Some(request));
                response.take().unwrap()
            });
            answer = running.now_or_never();
        });
        assert_eq!(answer.unwrap().status(), 200);
        assert!(sent.into_inner().is_some(), "the upstream answered it");
        info.count_total
    };
    let all: Vec<u64> = (0..2 * WARM_UP).map(one).collect();
    all[WARM_UP..].to_vec()
}

/// A request as hyper reads it: its values are parts of one buffer, its map has room from the message before.
fn request(host: &str, with: &[With]) -> Request<Body> {
    let mut buffer = BytesMut::with_capacity(1024);
    let mut headers = HeaderMap::with_capacity(24);
    headers.insert(HOST, value(&mut buffer, host));
    headers.insert(USER_AGENT, value(&mut buffer, "curl/8.5.0"));
    headers.insert(ACCEPT, value(&mut buffer, "*/*"));
    for with in with {
        if let With::Header(name, text) = with {
            headers.insert(HeaderName::from_static(name), value(&mut buffer, text));
        }
    }
    buffer.put_slice(b"/reviews/1?full=yes");
    let target = buffer.split().freeze();
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_maybe_shared(target).unwrap();
    *request.headers_mut() = headers;
    request
}

fn value(buffer: &mut BytesMut, text: &str) -> HeaderValue {
    buffer.put_slice(text.as_bytes());
    HeaderValue::from_maybe_shared(buffer.split().freeze()).unwrap()
}

fn response() -> Response<Body> {
    let mut headers = HeaderMap::with_capacity(24);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = headers;
    response
}

#[test]
fn a_plain_request_allocates_nothing() {
    assert_eq!(counts(shop::PLAIN, &[ID]), [0; WARM_UP]);
    assert_eq!(counts(shop::PLAIN, &[With::Nothing]), [0; WARM_UP]);
}

#[test]
fn a_request_that_meets_every_policy_allocates_nothing() {
    assert_eq!(counts(shop::REVIEWS, &[ID, JASON]), [0; WARM_UP]);
}
