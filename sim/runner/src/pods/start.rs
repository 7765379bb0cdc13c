//! Starts a pod's software: its app, client and sidecar, or the control plane.

use std::rc::Rc;

use shakedown_control::ControlOptions;
use shakedown_env::Env;
use shakedown_loadgen::{CALL_HEADER, CallingHost, ClientTransport};
use shakedown_proxy::{Bootstrap, MetricWorkload, Secrets};
use shakedown_results::PodId;
use shakedown_scenarios::scenario::{LoadSpec, ServiceId, ServiceSpec, Version};
use shakedown_wire::Drain;

use super::{Pods, StartError};
use crate::app::{App, AppIdentity};
use crate::layout::{APP_PORT, XDS_PORT, at};
use crate::run_context::{PodRole, RunContext};

impl Pods {
    /// Starts all software of a pod, in the current life of its host.
    pub(crate) fn start(self: &Rc<Pods>, pod: PodId) {
        let env = self.backend.env(pod);
        match self.context.role(pod) {
            PodRole::Replica(id, service, version) => {
                if version.sidecar {
                    self.start_sidecar(&env, pod, Some((service, version)), &service.namespace);
                }
                self.start_app(&env, pod, id, service, version);
            }
            PodRole::Client(load) => {
                if load.sidecar {
                    self.start_sidecar(&env, pod, None, &load.namespace);
                }
                self.start_client(&env, pod, load);
            }
            PodRole::Control => self.start_control(&env, pod),
        }
    }

    fn start_app(
        &self,
        env: &Env,
        pod: PodId,
        id: ServiceId,
        service: &ServiceSpec,
        version: &Version,
    ) {
        let port = if version.sidecar {
            APP_PORT
        } else {
            service.port
        };
        let listener = match env.listen(at(self.backend.address(pod), port)) {
            Ok(listener) => listener,
            Err(source) => {
                return self.fail(StartError::App {
                    pod: self.context.name(pod),
                    source,
                });
            }
        };
        let state = self.state(pod);
        let drain = Drain::new();
        let role = AppIdentity {
            pod,
            service: id,
            version: self.context.pod(pod).version.into(),
            life: state.life.get(),
            injected_faults: Rc::clone(&state.injected_faults),
            cpu: Rc::clone(&state.cpu),
            drain: drain.clone(),
            runner_env: self.backend.runner_env(),
        };
        *state.app.borrow_mut() = Some(drain);
        let caller = self.caller(env, pod, version.sidecar, true);
        App::start(env, &self.context, &self.journal, role, caller, listener);
    }

    fn start_client(&self, env: &Env, pod: PodId, load: &LoadSpec) {
        let client = self.caller(env, pod, load.sidecar, !load.new_connections);
        if let Some(clients) = self.clients_of(pod) {
            clients.put(Rc::new(client));
        }
    }

    fn caller(&self, env: &Env, pod: PodId, sidecar: bool, reuse: bool) -> CallingHost {
        let life = self.state(pod).life.get();
        let transport = if sidecar {
            ClientTransport::through_sidecar(env.clone(), self.backend.address(pod), reuse)
        } else {
            ClientTransport::direct(env.clone(), reuse, env.rng(&format!("replica@{life}")))
        };
        CallingHost::new(env.clone(), pod, life, transport, self.journal.recorder())
    }

    fn start_sidecar(
        self: &Rc<Pods>,
        env: &Env,
        pod: PodId,
        serves: Option<(&ServiceSpec, &Version)>,
        namespace: &str,
    ) {
        let control = self
            .context
            .pods()
            .find(|pod| matches!(self.context.role(*pod), PodRole::Control));
        let control = control.expect("every run has a control plane");
        let control = at(self.backend.address(control), XDS_PORT);
        let address = self.backend.address(pod);
        let mut bootstrap =
            Bootstrap::sidecar(&self.context.pod_name(pod), namespace, address, control);
        bootstrap.reported_header = Some(CALL_HEADER);
        bootstrap.workload = workload(&self.context, pod, serves, namespace);
        bootstrap.service =
            serves.map(|(service, _)| format!("{}.{namespace}.svc.cluster.local", service.name));
        let pods = Rc::clone(self);
        let (own, resources) = (env.clone(), self.resources.clone());
        let secrets = Secrets::new(env.clone());
        env.spawn("sidecar", async move {
            if let Err(source) = shakedown_proxy::run(own, bootstrap, resources, secrets).await {
                let pod = pods.context.name(pod);
                pods.fail(StartError::Sidecar { pod, source });
            }
        });
    }

    fn start_control(self: &Rc<Pods>, env: &Env, pod: PodId) {
        let mut options = ControlOptions::new(at(self.backend.address(pod), XDS_PORT));
        options.debounce = self.context.scenario.control.debounce;
        options.canaries = self.context.scenario.control.canaries;
        options.telemetry = self.context.scenario.control.telemetry;
        let pods = Rc::clone(self);
        let own = env.clone();
        env.spawn("control", async move {
            let cluster = pods.cluster.clone();
            if let Err(source) = shakedown_control::run(own, cluster, options).await {
                pods.fail(StartError::Control { source });
            }
        });
    }
}

/// Returns the labels of a pod in the metrics of its sidecar.
fn workload(
    context: &RunContext,
    pod: PodId,
    serves: Option<(&ServiceSpec, &Version)>,
    namespace: &str,
) -> MetricWorkload {
    let participant = &context.participants.list[usize::from(context.pod(pod).participant.0)];
    let (name, version) = match serves {
        Some((service, version)) => (
            format!("{}-{}", service.name, version.name),
            version.name.as_str(),
        ),
        None => (participant.name.clone(), "unknown"),
    };
    MetricWorkload {
        name: name.into(),
        namespace: namespace.into(),
        app: participant.name.as_str().into(),
        version: version.into(),
        ..MetricWorkload::unknown()
    }
}
