//! The environment of one case: upstreams, a control plane or a fixture, a real Envoy and our proxy, each on its own
//! loopback address. Both proxies receive the same resources, requests and scripts, one proxy after the other.

mod block;
mod change;
mod drive;
mod start;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shakedown_control::ConnectedProxies;
use shakedown_env::real::Runtime;
use shakedown_env::{Env, Owned};
use shakedown_types::MeshEvent;

use crate::ads::{Fixture, Refusals};
use crate::case::{Case, Compare, Host, host};
use crate::client::{ClientRequest, send_request};
use crate::envoy::{ADMIN_PORT, Envoy};
use crate::seen::{Counts, Difference, Run, differences, same_shares};
use crate::upstream::{Journal, Running};
use block::Block;

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

impl World<'_> {
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
}

fn hosts(case: &Case) -> Vec<Host> {
    if case.hosts.is_empty() && case.empty.is_empty() {
        vec![host("a")]
    } else {
        case.hosts.clone()
    }
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
