//! Test environment: hosts 1 ms apart, a proxy that executes a given table, and scripted upstreams.

mod stream;
mod tables;

use std::cell::RefCell;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use shakedown_engine::{HostId, HostSpec, LinkLatency, Net, Sim, SimLink, SimOptions};
use shakedown_env::{BoxStream, Env, Time, UnixTime};
use shakedown_types::{AttemptEvent, MeshEvent, RequestEvent, ResponseFlags};
use shakedown_wire::{Body, Pool, PoolOptions, ResponseBody, ServerOptions, accept_loop};
use shakedown_xds::table::Table;

use crate::proxy::Proxy;
use crate::run::Running;
use crate::{Bootstrap, Secrets, run_with_table};
pub(crate) use stream::*;
pub(crate) use tables::*;

pub(crate) const CALLER: &str = "127.0.0.1";
pub(crate) const POD: &str = "127.0.0.2";
pub(crate) const CONTROL: &str = "127.0.0.3";
pub(crate) const UP1: &str = "127.0.0.11";
pub(crate) const UP2: &str = "127.0.0.12";
/// The name of the only cluster in most tests.
pub(crate) const REVIEWS: &str = "outbound|9080||reviews.default.svc.cluster.local";
/// The CPU time that a request costs the pod.
pub(crate) const REQUEST_COST: Duration = Duration::from_micros(100);
const LATENCY: Duration = Duration::from_millis(1);

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn at(host: &str, port: u16) -> SocketAddr {
    SocketAddr::new(host.parse().unwrap(), port)
}

pub(crate) type Events = Arc<Mutex<Vec<(Time, MeshEvent)>>>;

/// The environment of a test's script.
#[derive(Clone)]
pub(crate) struct Scene {
    net: Net,
    events: Events,
}

impl Scene {
    pub(crate) fn env(&self, host: &str) -> Env {
        self.net.env(self.id(host))
    }

    pub(crate) fn id(&self, host: &str) -> HostId {
        self.net.host_at(host.parse().unwrap()).unwrap()
    }

    pub(crate) fn net(&self) -> &Net {
        &self.net
    }

    /// Serves HTTP at an address, each request answered by `answer`.
    pub(crate) fn serve<S, F>(&self, host: &str, port: u16, answer: S)
    where
        S: Fn(Request<Incoming>) -> F + Clone + 'static,
        F: Future<Output = Response<Body>> + 'static,
    {
        let env = self.env(host);
        let listener = env.listen(at(host, port)).unwrap();
        self.env(host).spawn("upstream", async move {
            let options = ServerOptions::default();
            accept_loop(&env, listener, &options, "upstream", |_| answer.clone()).await;
        });
    }

    /// Answers every request with a status and a body.
    pub(crate) fn answer(&self, host: &str, port: u16, status: u16, body: &'static str) {
        self.serve(host, port, move |_| async move { reply(status, body) });
    }

    /// Answers each request after a delay.
    pub(crate) fn answer_after(
        &self,
        span: Duration,
        host: &str,
        port: u16,
        status: u16,
        body: &'static str,
    ) {
        let env = self.env(host);
        self.serve(host, port, move |_| {
            let wait = env.sleep(span);
            async move {
                wait.await;
                reply(status, body)
            }
        });
    }

    /// Accepts connections and passes each to `take`.
    pub(crate) fn accept<F>(&self, host: &str, port: u16, take: impl Fn(BoxStream) -> F + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        let env = self.env(host);
        let mut listener = env.listen(at(host, port)).unwrap();
        self.env(host).spawn("upstream", async move {
            while let Ok(stream) = listener.accept().await {
                env.spawn("upstream", take(stream));
            }
        });
    }

    /// Starts the pod's proxy.
    pub(crate) fn proxy(&self, table: Table) {
        self.proxy_at(POD, table);
    }

    /// Starts a proxy on a host.
    pub(crate) fn proxy_at(&self, host: &str, table: Table) {
        let env = self.env(host);
        let (own, mut bootstrap) = (env.clone(), bootstrap());
        bootstrap.address = host.parse().unwrap();
        env.spawn("proxy", async move {
            run_with_table(own, bootstrap, table).await.unwrap()
        });
    }

    /// Starts the pod's proxy, and returns its internals.
    pub(crate) fn open_proxy(&self, table: Table) -> Rc<Proxy> {
        self.secured_proxy_at(POD, table, Secrets::new(self.env(POD)))
    }

    /// Starts a proxy with secrets on a host, and returns its internals.
    pub(crate) fn secured_proxy_at(&self, host: &str, table: Table, secrets: Secrets) -> Rc<Proxy> {
        let mut bootstrap = bootstrap();
        bootstrap.address = host.parse().unwrap();
        let running = Running::start(self.env(host), bootstrap, secrets).unwrap();
        let proxy = Rc::clone(&running.proxy);
        proxy.put_in_force(table, None);
        self.env(host).spawn("proxy", async move {
            let _running = running;
            std::future::pending::<()>().await;
        });
        proxy
    }

    /// A connection pool from the caller to the proxy's outbound port.
    pub(crate) fn caller(&self) -> Pool {
        self.caller_of(at(POD, 15001))
    }

    pub(crate) fn caller_of(&self, to: SocketAddr) -> Pool {
        Pool::new(self.env(CALLER), to, None, PoolOptions::default())
    }

    /// Sends a GET for `reviews:9080` through the proxy.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(
            Request::get(path)
                .header("host", "reviews:9080")
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::from_response(self.caller().send(request).await.unwrap()).await
    }

    /// The proxy's request events.
    pub(crate) fn requests(&self) -> Vec<RequestEvent> {
        let events = self.events.lock().unwrap();
        let request = |(_, event): &(Time, MeshEvent)| match event {
            MeshEvent::Request(request) => Some(request.clone()),
            _ => None,
        };
        events.iter().filter_map(request).collect()
    }

    /// The proxy's attempt events.
    pub(crate) fn attempts(&self) -> Vec<AttemptEvent> {
        let events = self.events.lock().unwrap();
        let attempt = |(_, event): &(Time, MeshEvent)| match event {
            MeshEvent::Attempt(attempt) => Some(attempt.clone()),
            _ => None,
        };
        events.iter().filter_map(attempt).collect()
    }

    /// The time that the only request spent in the proxy.
    pub(crate) fn took(&self) -> Duration {
        let events = self.events.lock().unwrap();
        let took = |(at, event): &(Time, MeshEvent)| match event {
            MeshEvent::Request(request) => Some(at.since(request.started)),
            _ => None,
        };
        let all: Vec<_> = events.iter().filter_map(took).collect();
        assert_eq!(all.len(), 1, "{events:?}");
        all[0]
    }

    /// All events of the proxy with their times.
    pub(crate) fn timed_events(&self) -> Vec<(Time, MeshEvent)> {
        self.events.lock().unwrap().clone()
    }

    pub(crate) fn events(&self) -> Vec<MeshEvent> {
        self.events
            .lock()
            .unwrap()
            .iter()
            .map(|(_, event)| event.clone())
            .collect()
    }
}

/// A response with its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn from_response(response: Response<ResponseBody>) -> Answer {
        let (head, body) = response.into_parts();
        let body = body.collect(1 << 20).await.unwrap();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) fn reply(status: u16, body: &'static str) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::full(body))
        .unwrap()
}

pub(crate) fn bootstrap() -> Bootstrap {
    let mut bootstrap = Bootstrap::sidecar(
        "pages-1",
        "default",
        POD.parse().unwrap(),
        at(CONTROL, 15010),
    );
    bootstrap.service = Some("pages.default.svc.cluster.local".into());
    bootstrap.reported_header = Some(http::HeaderName::from_static("x-call"));
    bootstrap
}

/// Runs a script on a fresh network until it ends.
pub(crate) fn play<T: 'static, F>(script: impl FnOnce(Scene) -> F) -> T
where
    F: Future<Output = T> + 'static,
{
    let epoch = UnixTime::from_nanos(1_700_000_000_000_000_000);
    let sim = Sim::new(SimOptions {
        seed: 7,
        epoch,
        noise: None,
    });
    for host in [CALLER, POD, CONTROL, UP1, UP2] {
        let address: IpAddr = host.parse().unwrap();
        sim.add_host(HostSpec {
            request_cost: if host == POD {
                REQUEST_COST
            } else {
                Duration::ZERO
            },
            ..HostSpec::new(host, address)
        });
    }
    let net = sim.net();
    net.set_link(Box::new(|_, _| SimLink {
        latency: LinkLatency::Constant(LATENCY),
        loss_ppm: 0,
        bandwidth: None,
    }));
    let events = Events::default();
    let scene = Scene {
        net: net.clone(),
        events: Arc::clone(&events),
    };
    let pod = scene.id(POD);
    net.set_event_sink(Box::new(move |at, host, event| {
        if host == pod {
            events.lock().unwrap().push((at, event));
        }
    }));
    let result = Rc::new(RefCell::new(None));
    let (out, script) = (Rc::clone(&result), script(scene.clone()));
    scene.env(CALLER).spawn("script", async move {
        let done = script.await;
        out.replace(Some(done));
    });
    let seen = Rc::clone(&result);
    sim.run(|| seen.borrow().is_some()).unwrap();
    result.take().unwrap()
}

/// Status, flags and number of attempts of the only request.
pub(crate) fn outcome(scene: &Scene) -> (u16, String, u32) {
    let requests = scene.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    (
        requests[0].status,
        requests[0].flags.to_string(),
        requests[0].attempts,
    )
}

/// The response code details of the only request.
pub(crate) fn details(scene: &Scene) -> String {
    let requests = scene.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests[0].details.to_string()
}

/// Status and flags of each attempt.
pub(crate) fn try_flags(scene: &Scene) -> Vec<(u16, ResponseFlags)> {
    scene
        .attempts()
        .iter()
        .map(|attempt| (attempt.status, attempt.flags))
        .collect()
}
