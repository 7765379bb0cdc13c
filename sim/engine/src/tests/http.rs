//! hyper on the simulated network.

use std::convert::Infallible;

use super::*;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};

#[test]
fn hyper_keeps_a_connection_alive_over_it() {
    let (sim, envs) = hosts(2, 10 * MS);
    serve(&envs[1], 1, |env, stream| async move {
        let service = service_fn(move |request: Request<Incoming>| {
            let env = env.clone();
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                env.sleep(5 * MS).await;
                Ok::<_, Infallible>(Response::new(Full::new(body)))
            }
        });
        let http = hyper::server::conn::http1::Builder::new()
            .auto_date_header(false)
            .serve_connection(stream, service);
        http.await.unwrap();
    });
    let log = Log::new();
    let (env, seen) = (envs[0].clone(), log.clone());
    envs[0].spawn("client", async move {
        let stream = env.connect(addr(1), None).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        env.spawn("connection", async move { connection.await.unwrap() });
        for n in 0..3 {
            let body = Full::new(Bytes::from(vec![n; 100_000]));
            let request = Request::post("/").header("host", "h1").body(body).unwrap();
            let response = sender.send_request(request).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, vec![n; 100_000]);
            seen.add(&env, n);
        }
    });
    sim.run_until(at(1000)).unwrap();
    let times: Vec<Time> = log.take().into_iter().map(|(when, _)| when).collect();
    assert_eq!(times, [at(45), at(70), at(95)]);
    assert_eq!((sim.stats().connections, sim.stats().live_timers), (0, 0));
}
