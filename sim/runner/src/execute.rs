//! The phases of a run, as one task on the runner's own host: boot, 0 s, loads and chaos, drain, end.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use shakedown_control::ManagedMesh;
use shakedown_env::{Env, Time};
use shakedown_istio::registry::MeshOptions;
use shakedown_loadgen::{LoadPlan, PlanError, Schedule, Surge};
use shakedown_results::Event;
use shakedown_scenarios::PlannedAction;
use shakedown_scenarios::scenario::{
    Callee, ChaosAction, DrawId, LoadId, ParticipantRole, ResolvedScenario,
};

use crate::backend::Backend;
use crate::chaos::ChaosRunner;
use crate::journal::Journal;
use crate::pods::{Pods, StartError};
use crate::registry::registry;
use crate::run_context::{RunContext, dns_names};

/// Maximum time until all proxies have a configuration.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval of the checks for failed starts during that time.
const READY_CHECK: Duration = Duration::from_millis(500);
/// Time after the last response in which proxies may still report events.
const LAST_WORD: Duration = Duration::from_millis(500);
/// Minimum time in which the backend executes a crash.
const INSTANT: Duration = Duration::from_nanos(1);

/// The reason why a run could not be completed.
#[derive(Debug, thiserror::Error)]
pub enum StartRunError {
    /// Some proxies have received no valid configuration in time.
    #[error("start the mesh: no configuration in force after {seconds} s at {}", pods.join(", "))]
    NotReady {
        /// Names of the pods that are not ready.
        pods: Vec<String>,
        /// Time waited, s.
        seconds: u64,
    },
    /// An app, sidecar or control plane did not start, or has ended.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A load cannot be sent.
    #[error("send load `{load}`")]
    Load { load: String, source: PlanError },
}

/// Runs the scenario on a backend and returns the time of its end. Requests still in flight then have timed
/// out.
pub(crate) async fn play(
    context: Rc<RunContext>,
    plan: Vec<PlannedAction>,
    backend: Rc<dyn Backend>,
    journal: Arc<Journal>,
) -> Result<Time, StartRunError> {
    let env = backend.runner_env();
    let pods = prepare(&context, &backend, &journal);
    context.pods().for_each(|pod| pods.start(pod));
    ready(&env, &pods).await?;

    let zero = env.now();
    context.set_zero(zero);
    backend.set_epoch_origin(zero);
    journal.set_zero(zero);
    context
        .pods()
        .for_each(|pod| journal.record(zero, Event::Ready { pod }));

    let loads = send(&env, &pods, &plan, zero)?;
    let follower = Rc::clone(&pods).follow_replicas();
    let _follower = env.spawn_owned("runner-replicas", follower);
    let end = zero + context.scenario.duration;
    let mut chaos = ChaosRunner::new(Rc::clone(&pods), loads.clone(), plan);
    chaos.run(&env, zero, end).await;
    env.sleep_until(end).await;
    // Faults that outlast the load end during the drain, as their `for` says.
    {
        let drained = pin!(drain(&env, &pods, &loads));
        let ending = pin!(chaos.run(&env, zero, context.end()));
        if let Either::Right(((), drained)) = select(drained, ending).await {
            drained.await;
        }
    }
    if let Some(error) = pods.failure() {
        return Err(error.into());
    }
    chaos.finish(&env);
    let end = env.now();
    close(&env, &pods, &loads).await;
    Ok(end)
}

/// Creates the pods, and registers them with DNS and the control plane.
fn prepare(
    context: &Rc<RunContext>,
    backend: &Rc<dyn Backend>,
    journal: &Arc<Journal>,
) -> Rc<Pods> {
    let control = &context.scenario.control;
    let cluster = ManagedMesh::new(MeshOptions {
        root_namespace: control.root_namespace.clone(),
        trust_domain: control.trust_domain.clone(),
        outbound_allow_any: control.outbound_allow_any,
        ejection_delay: control.ejection_delay,
        destination_rules_for: control.destination_rules_for,
        virtual_services_for: control.virtual_services_for,
    });
    let registry = registry(context, &**backend);
    for service in &context.scenario.services {
        let known = registry
            .services
            .values()
            .find(|known| known.name == service.name);
        let endpoints = known.into_iter().flat_map(|known| &known.endpoints);
        let addresses: Vec<_> = endpoints.map(|endpoint| endpoint.address.ip()).collect();
        for name in dns_names(service) {
            backend.set_name(name, addresses.clone());
        }
    }
    cluster.set_registry(registry);
    cluster.apply(context.scenario.mesh.clone());
    let pods = Pods::new(
        Rc::clone(context),
        Rc::clone(backend),
        Arc::clone(journal),
        cluster,
    );
    pods.report_replicas();
    Rc::new(pods)
}

/// Waits until every proxy has an accepted configuration.
async fn ready(env: &Env, pods: &Pods) -> Result<(), StartRunError> {
    let meshed = pods.meshed();
    let deadline = env.now() + READY_TIMEOUT;
    loop {
        let next = deadline.min(env.now() + READY_CHECK);
        let in_force = poll_fn(|cx| pods.journal.poll_in_force(&meshed, cx));
        let ready = env.deadline(next, in_force).await.is_ok();
        if let Some(error) = pods.failure() {
            return Err(error.into());
        }
        if ready {
            return Ok(());
        }
        if env.now() >= deadline {
            let missing = pods.journal.not_in_force(&meshed);
            return Err(StartRunError::NotReady {
                pods: missing
                    .into_iter()
                    .map(|pod| pods.context.name(pod))
                    .collect(),
                seconds: READY_TIMEOUT.as_secs(),
            });
        }
    }
}

fn send(
    env: &Env,
    pods: &Rc<Pods>,
    faults: &[PlannedAction],
    zero: Time,
) -> Result<Vec<Rc<LoadPlan>>, StartRunError> {
    let context = &pods.context;
    let mut plans = Vec::with_capacity(context.scenario.loads.len());
    for (id, load) in context.scenario.loads() {
        let recorder = pods.journal.recorder();
        let target = |callee: Callee| {
            let participant = context.scenario.participant(callee);
            (participant, context.target(callee).clone())
        };
        let path = |draw_id: DrawId| context.path(draw_id).to_owned();
        let passes_deadlines = context.passes_deadlines;
        let participant = context.scenario.participant(ParticipantRole::Load(id));
        let plan = LoadPlan::new(
            load,
            participant,
            zero,
            passes_deadlines,
            target,
            path,
            recorder,
        );
        let plan = plan.map_err(|source| StartRunError::Load {
            load: load.name.clone(),
            source,
        })?;
        let plan = Rc::new(plan);
        let path = context.path(load.draw_id);
        let rng = |what: &str| env.rng(&format!("{path}/{what}"));
        let surges = surges(&context.scenario, faults, id);
        let schedule = Schedule::new(load, &surges, rng("arrivals"), rng("mix"));
        let clients = Rc::clone(&pods.clients[id.index()]);
        env.spawn(
            "runner-load",
            shakedown_loadgen::run(env.clone(), schedule, Rc::clone(&plan), clients),
        );
        plans.push(plan);
    }
    Ok(plans)
}

/// Returns the surges that are planned for a load. They are known from the start, so that the schedule is a
/// function of the seed.
fn surges(scenario: &ResolvedScenario, faults: &[PlannedAction], load: LoadId) -> Vec<Surge> {
    let span = |ns: i64| Duration::from_nanos(u64::try_from(ns).unwrap_or(0));
    let surges = faults
        .iter()
        .filter_map(|planned| match scenario.chaos[planned.item].action {
            ChaosAction::Surge { load: of, factor } if of == load => Some(Surge {
                from: span(planned.fault.start_ns),
                until: planned.fault.end_ns.map(span),
                factor,
            }),
            _ => None,
        });
    surges.collect()
}

/// Waits for work in flight, until the end of the drain at most: requests of loads, work of apps for
/// disconnected callers, and final events of proxies.
async fn drain(env: &Env, pods: &Pods, loads: &[Rc<LoadPlan>]) {
    let end = pods.context.end();
    // After `end` each wait returns immediately, and the remaining work has timed out.
    for load in loads {
        let _ = env.deadline(end, load.drained()).await;
    }
    let _ = env
        .deadline(end, poll_fn(|cx| pods.journal.poll_idle(cx)))
        .await;
    env.sleep_until(end.min(env.now() + LAST_WORD)).await;
}

/// Ends every pod. Work still in progress records its last event.
async fn close(env: &Env, pods: &Pods, loads: &[Rc<LoadPlan>]) {
    loads.iter().for_each(|load| load.close());
    pods.journal.close();
    pods.context.pods().for_each(|pod| pods.backend.crash(pod));
    env.sleep(INSTANT).await;
}
