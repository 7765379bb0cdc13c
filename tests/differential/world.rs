//! The environment of one case: upstreams, a control plane or a fixture, a real Envoy and our proxy, each on its own
//! loopback address. Both proxies receive the same resources, requests and scripts, one proxy after the other.

mod block;
mod change;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shakedown_control::{ConnectedProxies, ControlOptions, ManagedMesh};
use shakedown_env::real::{HostOptions, Runtime};
use shakedown_env::{Env, Owned};
use shakedown_istio::registry::MeshOptions;
use shakedown_proxy::{Bootstrap, ResourceCache};
use shakedown_types::MeshEvent;

use crate::ads::{self, Fixture, Refusals, Source};
use crate::case::{Case, Compare, Config, Host, PORT, Step, host};
use crate::client::{ClientRequest, send_request};
use crate::envoy::{ADMIN_PORT, Envoy};
use crate::mesh;
use crate::seen::{Counts, Difference, Fact, Run, differences, same_shares};
use crate::upstream::{self, Journal, Running, Script};
use block::Block;
use change::resources;

/// The outbound listener's port.
pub(crate) const OUTBOUND_PORT: u16 = 15001;
/// The port of an app behind its sidecar.
const APP_PORT: u16 = 20_000;
/// The time limit for the proxies to become ready.
const READY: Duration = Duration::from_secs(10);
/// The time limit for a proxy to log a completed request.
const LOG_TIMEOUT: Duration = Duration::from_millis(500);
/// The polling interval.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The outcome of a case.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Both proxies behaved alike.
    Equal,
    /// The proxies differed in these fields.
    Differs(Vec<Difference>),
    /// Our side refused the configuration.
    Refused(String),
    /// The case is wrong: Envoy refuses the configuration, or its answers differ from `wants`.
    Broken(String),
}

/// The outcome and observations of a case.
#[derive(Debug)]
pub(crate) struct Result {
    pub(crate) outcome: Outcome,
    /// Status and flags of Envoy's answers.
    pub(crate) summary: String,
    /// All observations of both proxies as readable text.
    pub(crate) details: String,
}

impl Result {
    fn from_outcome(outcome: Outcome) -> Result {
        Result {
            outcome,
            summary: String::new(),
            details: String::new(),
        }
    }
}

/// The running processes and servers of a case.
struct World<'a> {
    case: &'a Case,
    env: Env,
    block: Block,
    upstreams: Vec<Running>,
    journal: Journal,
    envoy: Envoy,
    events: Events,
    /// Resources rejected by Envoy.
    envoy_refuses: Refusals,
    status: Option<ConnectedProxies>,
    /// The fixtures that serve a case's messages, for Envoy and for our proxy.
    fixtures: Vec<Arc<Fixture>>,
    _tasks: Vec<Owned>,
}

type Events = Arc<Mutex<Vec<MeshEvent>>>;

pub(crate) fn run(case: &Case, index: usize, binary: &Path) -> Result {
    let runtime = Runtime::new().expect("a runtime");
    let folder = folder(index);
    let result = runtime.block_on(async {
        let world = match World::start(case, &runtime, Block::new(index), binary, &folder) {
            Ok(world) => world,
            Err(refused) => return Result::from_outcome(Outcome::Refused(refused)),
        };
        world.play().await
    });
    drop(runtime);
    // Leftover files are small and in the target directory.
    let _ = std::fs::remove_dir_all(&folder);
    result
}

fn folder(index: usize) -> PathBuf {
    let name = format!("differential-{}-{index}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("the target directory can be written");
    folder
}

fn outside(runtime: &Runtime, name: &str, events: &Events) -> Env {
    let events = Arc::clone(events);
    let options = HostOptions {
        on_event: Some(Arc::new(move |_, _, event| {
            events
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(event);
        })),
        ..HostOptions::new(name)
    };
    runtime.host(options).expect("a host")
}

impl<'a> World<'a> {
    fn start(
        case: &'a Case,
        runtime: &Runtime,
        block: Block,
        binary: &Path,
        folder: &Path,
    ) -> std::result::Result<World<'a>, String> {
        let events = Events::default();
        let env = outside(runtime, "outside", &Events::default());
        let journal = Journal::default();
        let hosts = hosts(case);
        let upstreams = upstreams(&env, case, &hosts, block, &journal);
        let envoy_refuses = Refusals::default();
        let mut tasks = Vec::new();
        let mut status = None;
        let mut fixtures = Vec::new();
        let log = Some(Envoy::log_in(folder));
        let mut serve = |source, envoy: bool| {
            let log = log.clone().filter(|_| envoy);
            // Our proxy reports its rejections itself.
            let refusals = if envoy {
                Arc::clone(&envoy_refuses)
            } else {
                Refusals::default()
            };
            let task = ads::serve(&env, block.ads(envoy), source, log, &refusals);
            tasks.push(task.expect("the block is ours"));
        };
        let control = match &case.config {
            Config::Mesh(yaml) | Config::Inbound(yaml) => {
                let cluster = ManagedMesh::new(MeshOptions {
                    outbound_allow_any: !case.registry_only,
                    ..MeshOptions::default()
                });
                let inbound = matches!(case.config, Config::Inbound(_));
                let at = |index| {
                    if inbound {
                        vec![(block.envoy(), PORT).into(), (block.ours(), PORT).into()]
                    } else {
                        vec![block.upstream(index)]
                    }
                };
                cluster.set_registry(mesh::registry(
                    case,
                    &hosts,
                    &at,
                    [block.envoy(), block.ours()],
                ));
                cluster.apply(mesh::documents(yaml)?);
                let mut options = ControlOptions::new(block.control());
                options.debounce = Duration::from_millis(1);
                options.canaries = false;
                status = Some(options.status.clone());
                let own = outside(runtime, "control", &events);
                let running = shakedown_control::run(own, cluster, options);
                env.spawn("control", async move {
                    running.await.expect("the block is ours");
                });
                serve(Source::Relay(block.control()), true);
                block.control()
            }
            Config::Xds(_) => {
                for envoy in [true, false] {
                    let fixture = Fixture::new(resources(case, &hosts, block, envoy, None));
                    serve(Source::Fixture(Arc::clone(&fixture)), envoy);
                    fixtures.push(fixture);
                }
                block.ads(false)
            }
        };
        let envoy =
            Envoy::start(binary, folder, block.envoy(), block.ads(true)).expect("Envoy starts");
        let bootstrap = Bootstrap::sidecar("ours", "default", block.ours(), control);
        let own = outside(runtime, "ours", &events);
        tasks.push(env.spawn_owned("ours", async move {
            shakedown_proxy::run(own, bootstrap, ResourceCache::default())
                .await
                .expect("the block is ours");
        }));
        Ok(World {
            case,
            env,
            block,
            upstreams,
            journal,
            envoy,
            events,
            envoy_refuses,
            status,
            fixtures,
            _tasks: tasks,
        })
    }

    async fn play(&self) -> Result {
        let ready = self.ready().await;
        if let Err(outcome @ Outcome::Broken(_)) = ready {
            return Result::from_outcome(outcome);
        }
        let envoy = self.drive(true).await;
        if let Err(refused) = ready {
            // Envoy's answers are checked in any case.
            let outcome = self.is_wrong(&envoy).unwrap_or(refused);
            let blocks = envoy.blocks(&self.case.steps, self.case.compare);
            return Result {
                outcome,
                summary: envoy.summary(&self.case.steps),
                details: format!("Envoy: {blocks:#?}"),
            };
        }
        self.upstreams.iter().for_each(Running::rewind);
        let ours = self.drive(false).await;
        let (steps, compare) = (&self.case.steps, self.case.compare);
        if let Compare::Shares(_) | Compare::Counts(_) = compare {
            let (a, b) = (envoy.counts(compare), ours.counts(compare));
            let outcome = if same_shares(&a, &b, compare) {
                Outcome::Equal
            } else {
                Outcome::Differs(shares(&a, &b))
            };
            let details = format!("Envoy: {a:?}\nours:  {b:?}");
            return Result {
                outcome,
                summary: String::new(),
                details,
            };
        }
        let (a, b) = (envoy.blocks(steps, compare), ours.blocks(steps, compare));
        let summary = envoy.summary(steps);
        let details = format!("Envoy: {a:#?}\nours: {b:#?}");
        let differences = differences(&a, &b);
        let outcome = match self.is_wrong(&envoy) {
            Some(wrong) => wrong,
            None if differences.is_empty() => Outcome::Equal,
            None => Outcome::Differs(differences),
        };
        Result {
            outcome,
            summary,
            details,
        }
    }

    /// Returns the outcome `Broken` if Envoy's answers differ from the case's `wants`.
    fn is_wrong(&self, envoy: &Run) -> Option<Outcome> {
        if matches!(self.case.compare, Compare::Shares(_) | Compare::Counts(_)) {
            return None;
        }
        let (summary, wants) = (envoy.summary(&self.case.steps), self.case.wants);
        (summary != wants).then(|| {
            Outcome::Broken(format!(
                "Envoy answers `{summary}`, the case wants `{wants}`"
            ))
        })
    }

    /// Waits until both proxies have the whole configuration, including resources that ours rejects.
    async fn ready(&self) -> std::result::Result<(), Outcome> {
        let deadline = self.env.now() + READY;
        let envoy: SocketAddr = (self.block.envoy(), ADMIN_PORT).into();
        let ours: SocketAddr = (self.block.ours(), 15020).into();
        let (mut envoy_is, mut ours_is) = (false, false);
        while !(envoy_is && ours_is) {
            if self.env.now() > deadline {
                let text = format!(
                    "not ready in time: Envoy {envoy_is}, ours {ours_is}; Envoy said: {}",
                    self.envoy.stderr()
                );
                return Err(Outcome::Broken(text));
            }
            envoy_is = envoy_is || self.says_ready(envoy, "/ready").await;
            ours_is = ours_is || self.says_ready(ours, "/healthz/ready").await;
            let refused = self.refusals();
            if envoy_is || matches!(refused, Err(Outcome::Broken(_))) {
                refused?;
            }
            self.env.sleep(POLL_INTERVAL).await;
        }
        if let Some(status) = &self.status {
            // A timeout is ignored, because rejected resources are reported below.
            let _ = self.env.timeout(READY, status.synced(status.push())).await;
        }
        self.refusals()
    }

    async fn says_ready(&self, to: SocketAddr, path: &str) -> bool {
        let request = ClientRequest {
            method: "GET".into(),
            path: path.into(),
            host: Some("admin".into()),
            ..ClientRequest::default()
        };
        send_request(&self.env, to, &request).await.status == 200
    }

    fn refusals(&self) -> std::result::Result<(), Outcome> {
        let refused = self
            .envoy_refuses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let ours: Vec<String> = self
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter_map(|event| match event {
                MeshEvent::ConfigRefused {
                    kind,
                    resource,
                    reason,
                } => Some(format!("{kind} {resource}: {reason}")),
                MeshEvent::DocumentRefused { document, reason } => {
                    Some(format!("{document}: {reason}"))
                }
                _ => None,
            })
            .collect();
        if !refused.is_empty() {
            return Err(Outcome::Broken(format!(
                "Envoy refuses: {}",
                refused.join("; ")
            )));
        }
        if !ours.is_empty() {
            return Err(Outcome::Refused(ours.join("; ")));
        }
        Ok(())
    }

    /// Sends all requests through one of the proxies.
    async fn drive(&self, envoy: bool) -> Run {
        self.journal.borrow_mut().clear();
        let logged_before = if envoy {
            self.envoy.facts().len()
        } else {
            self.our_facts().len()
        };
        let repetitions = match self.case.compare {
            Compare::Shares(repetitions) => repetitions,
            _ => 1,
        };
        let mut run = Run::default();
        let mut number = 0u64;
        for _ in 0..repetitions {
            for (step, what) in self.case.steps.iter().enumerate() {
                let (requests, change) = match what {
                    Step::One(request) => (std::slice::from_ref(request), None),
                    Step::All(all) => (&all[..], None),
                    Step::Amid(all, after, change) => (&all[..], Some((*after, change))),
                    Step::Change(change) => (&[][..], Some((0, change))),
                    Step::Pause(ms) => {
                        self.env.sleep(Duration::from_millis(*ms)).await;
                        continue;
                    }
                };
                run.steps.push((step, self.journal.borrow().len()));
                let requests: Vec<ClientRequest> = requests
                    .iter()
                    .map(|request| identified(request.clone(), &mut number))
                    .collect();
                let asking = requests.iter().map(|request| {
                    let to = self.listener(envoy, request);
                    async move { send_request(&self.env, to, request).await }
                });
                let asking = futures_util::future::join_all(asking);
                let changing = self.change(envoy, change);
                let (answers, ()) = futures_util::future::join(asking, changing).await;
                run.answers.extend(
                    requests
                        .into_iter()
                        .zip(answers)
                        .map(|(request, answer)| (step, request, answer)),
                );
            }
        }
        let deadline = self.env.now() + LOG_TIMEOUT;
        loop {
            run.facts = if envoy {
                self.envoy.facts()
            } else {
                self.our_facts()
            }
            .split_off(logged_before);
            if run.facts.len() >= run.answers.len() || self.env.now() > deadline {
                break;
            }
            self.env.sleep(POLL_INTERVAL).await;
        }
        // A truncated request is recorded when its connection ends, which may be last.
        self.env.sleep(POLL_INTERVAL).await;
        run.received = self.journal.take();
        run
    }

    fn listener(&self, envoy: bool, request: &ClientRequest) -> SocketAddr {
        let address = if envoy {
            self.block.envoy()
        } else {
            self.block.ours()
        };
        let usual = if matches!(self.case.config, Config::Inbound(_)) {
            PORT
        } else {
            OUTBOUND_PORT
        };
        (address, request.port.unwrap_or(usual)).into()
    }

    fn our_facts(&self) -> Vec<Fact> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = events.iter().filter_map(|event| match event {
            MeshEvent::Request(request) => Some(Fact::from(request)),
            _ => None,
        });
        requests.collect()
    }
}

/// Adds a request id to identify the request, unless it has one or is given as bytes.
fn identified(mut request: ClientRequest, number: &mut u64) -> ClientRequest {
    *number += 1;
    let has = request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("x-request-id"));
    if request.raw.is_none() && !has {
        let id = format!("00000000-0000-4000-8000-{:012x}", *number);
        request.headers.push(("x-request-id".into(), id));
    }
    request
}

fn hosts(case: &Case) -> Vec<Host> {
    if case.hosts.is_empty() && case.empty.is_empty() {
        vec![host("a")]
    } else {
        case.hosts.clone()
    }
}

fn upstreams(
    env: &Env,
    case: &Case,
    hosts: &[Host],
    block: Block,
    journal: &Journal,
) -> Vec<Running> {
    let inbound = matches!(case.config, Config::Inbound(_));
    let mut running = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        let at = if inbound {
            vec![
                (block.envoy(), APP_PORT).into(),
                (block.ours(), APP_PORT).into(),
            ]
        } else {
            vec![block.upstream(index)]
        };
        for address in at {
            let script = Script {
                host: host.name.into(),
                service: host.service.into(),
                acts: host.acts.clone(),
                manner: host.manner,
            };
            let started = upstream::start(env, address, script, journal);
            running.push(started.expect("the block is ours"));
        }
    }
    running
}

fn shares(a: &Counts, b: &Counts) -> Vec<Difference> {
    let text = |counts: &Counts, key, name: &String| {
        let count = counts.get(key).and_then(|names| names.get(name));
        count.map(u32::to_string)
    };
    let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
    let mut all = Vec::new();
    for key in keys {
        let names = [a, b].map(|counts| counts.get(key)).into_iter().flatten();
        let names: std::collections::BTreeSet<&String> = names.flat_map(BTreeMap::keys).collect();
        for name in names {
            all.push(Difference {
                request: key.0,
                field: format!("{} {name}", key.1),
                envoy: text(a, key, name),
                ours: text(b, key, name),
            });
        }
    }
    all.retain(|difference| difference.envoy != difference.ours);
    all
}
