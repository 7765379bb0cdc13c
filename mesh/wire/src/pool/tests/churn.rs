//! Connections that serve one request each, from one source address, on the real loopback.

use std::time::Duration;

use super::*;
use crate::scene::serve_at;

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 6;
/// The number of requests per round. With the requests of a few rounds, more than half of the ephemeral ports are in
/// TIME_WAIT.
const REQUESTS: usize = 4_000;
/// The duration of a round in the long form, which counts requests per time.
const LONG_ROUND: Duration = Duration::from_secs(3);

/// Sends requests concurrently, each on its own connection, while `more` returns true.
async fn round(pool: &Pool, more: impl Fn() -> bool) {
    let worker = || async {
        while more() {
            fetch(pool, get("/size/1")).await;
        }
    };
    join_all((0..CONNECTIONS).map(|_| worker())).await;
}

/// `SHAKEDOWN_NIGHTLY=1` measures six rounds of 3 s.
#[test]
fn connections_that_serve_one_request_each_stay_as_fast_as_they_were() {
    let is_nightly = std::env::var("SHAKEDOWN_NIGHTLY").is_ok_and(|value| value == "1");
    run_real(async move |env| {
        let here: IpAddr = [127, 0, 0, 1].into();
        let (addr, _seen) = serve_at(&env, (here, 0).into(), &ServerOptions::default());
        let options = PoolOptions {
            max_requests_per_connection: Some(1),
            ..defaults()
        };
        let pool = Pool::new(env.clone(), addr, Some(here), options);
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let (began, count) = (env.now(), std::cell::Cell::new(0));
            round(&pool, || {
                count.set(count.get() + 1);
                if is_nightly {
                    env.now().since(began) < LONG_ROUND
                } else {
                    count.get() <= REQUESTS
                }
            })
            .await;
            rates.push(count.get() as f64 / env.now().since(began).as_secs_f64());
        }
        let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let fastest = rates.iter().copied().fold(0.0, f64::max);
        // Without the protection, the last round has a twentieth of the first one's rate. The margin allows for other
        // tests on the same machine.
        assert!(slowest > fastest / 6.0, "requests a second: {rates:.0?}");
    });
}
