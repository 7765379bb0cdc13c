//! Fixtures for this crate's tests: a load with the language's defaults, and hosts of a simulation.

use std::net::IpAddr;
use std::time::Duration;

use http::Method;
use shakedown_engine::{HostSpec, Sim, SimOptions};
use shakedown_env::{Env, UnixTime};
use shakedown_scenarios::scenario::{
    Arrivals, Callee, DrawId, EndpointId, LoadSpec, MixEntry, RateStage, ServiceId, Success,
};
use shakedown_scenarios::value::Rate;

/// `GET /` to the first service, with this weight in a mix.
pub(crate) fn entry(weight: u64) -> MixEntry {
    MixEntry {
        name: String::new(),
        weight,
        callee: Callee::Service(ServiceId::new(0)),
        endpoint: Some(EndpointId::new(0)),
        method: Method::GET,
        path: "/".to_owned(),
        headers: Vec::new(),
        size: 0,
    }
}

/// A stage with a constant rate to the end.
pub(crate) fn level(rate: &str) -> RateStage {
    let rate = Rate::parse(rate).unwrap();
    RateStage {
        length: None,
        from: rate,
        to: rate,
    }
}

/// A load with this rate for this many seconds, evenly spaced, without a sidecar.
pub(crate) fn load(rate: &str, seconds: u64) -> LoadSpec {
    LoadSpec {
        name: "users".to_owned(),
        entries: vec![entry(1)],
        arrivals: Arrivals::Constant,
        stages: vec![level(rate)],
        timeout: Duration::from_secs(30),
        retries: None,
        ok: Success::default(),
        start: Duration::ZERO,
        stop: Duration::from_secs(seconds),
        zones: vec![0],
        clients: 1,
        sidecar: false,
        new_connections: false,
        in_flight: 10_000,
        namespace: "default".to_owned(),
        account: "users".to_owned(),
        target: None,
        draw_id: DrawId(0),
    }
}

/// A simulation without noise.
pub(crate) fn sim() -> Sim {
    Sim::new(SimOptions {
        seed: 1,
        epoch: UnixTime::default(),
        noise: None,
    })
}

/// A host of a simulation, at 10.0.0.`last`.
pub(crate) fn host(sim: &Sim, name: &str, last: u8) -> Env {
    sim.add_host(HostSpec::new(name, IpAddr::from([10, 0, 0, last])))
}
