//! Adds and removes replicas during a run, as a Kubernetes Deployment does.
//!
//! A new pod gets a host and boots. It is an endpoint of its service from the start, but not ready at first,
//! because its own proxy must know its configuration before requests arrive. A removed pod leaves the
//! endpoints at once, completes its requests, and stops.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use shakedown_istio::registry::Endpoint;
use shakedown_results::{Event, Pod, PodId};
use shakedown_scenarios::scenario::{ServiceId, VersionId};
use shakedown_wire::Drain;

use crate::pods::{Pods, StartError};
use crate::registry::{endpoint, hostname};
use crate::run_context::{PodRole, dns_names};

/// Time for which a pod that has left the endpoints continues to serve, because callers learn of it late.
/// Source: Istio, `terminationDrainDuration`.
const NOTICE: Duration = Duration::from_secs(5);
/// Maximum time after that to complete requests in progress. With [`NOTICE`] it adds up to Kubernetes' grace
/// period, which is 45 s here.
const GRACE: Duration = Duration::from_secs(40);
/// Time for which a pod stays up after its last response has left the app, because the response passes its
/// sidecar.
const LAST_ANSWER: Duration = Duration::from_millis(100);

impl Pods {
    /// Sets the number of replicas of a version, and returns the number of pods added or removed.
    pub(crate) fn scale(self: &Rc<Pods>, service: ServiceId, version: VersionId, to: u32) -> u64 {
        let known = self.context.scenario.service(service);
        let named = self.context.scenario.version(service, version);
        let before = self.desired.borrow_mut().insert((service, version), to);
        if before != Some(to) {
            self.journal.record(
                self.now(),
                Event::Scaled {
                    service: service.participant(),
                    version: version.number(),
                    replicas: to,
                },
            );
            self.cluster.set_replicas(&hostname(known), &named.name, to);
        }
        let replicas = self.context.replicas(service, version);
        let there: Vec<PodId> = replicas.filter(|id| self.is_there(*id)).collect();
        let wanted = usize::try_from(to).unwrap_or(usize::MAX);
        for pod in there.iter().skip(wanted).rev() {
            self.drain(*pod);
        }
        for _ in there.len()..wanted {
            self.add(service, version);
        }
        there.len().abs_diff(wanted) as u64
    }

    /// Returns a service's stable version, which a canary controller may change; the first if there is none.
    pub(crate) fn stable(&self, service: ServiceId) -> VersionId {
        let service = self.context.scenario.service(service);
        let stable = self.cluster.stable(&hostname(service));
        let named = stable.and_then(|stable| service.version_named(&stable));
        named.unwrap_or(VersionId::FIRST)
    }

    /// Reports the replicas of 0 s to the cluster.
    pub(crate) fn report_replicas(&self) {
        for (id, service) in self.context.scenario.services() {
            let host = hostname(service);
            for (number, version) in service.versions() {
                if number == VersionId::FIRST {
                    self.cluster.set_stable(&host, &version.name);
                }
                if version.replicas > 0 {
                    self.cluster
                        .set_replicas(&host, &version.name, version.replicas);
                    let key = (id, number);
                    self.desired.borrow_mut().insert(key, version.replicas);
                }
            }
        }
    }

    /// Applies replica counts set by others, such as a canary controller. Never completes.
    pub(crate) async fn follow_replicas(self: Rc<Pods>) {
        let mut seen = self.cluster.version();
        loop {
            let wanted = self.cluster.replicas();
            for (id, service) in self.context.scenario.services() {
                let host = hostname(service);
                for (number, version) in service.versions() {
                    let wanted = wanted.get(&(host.clone(), version.name.clone()));
                    let had = self.desired.borrow().get(&(id, number)).copied();
                    if let Some(wanted) = wanted
                        && had != Some(*wanted)
                    {
                        self.scale(id, number, *wanted);
                    }
                }
            }
            seen = self.cluster.changed(seen).await;
        }
    }

    /// Starts one more replica.
    fn add(self: &Rc<Pods>, service: ServiceId, version: VersionId) {
        let before = self.context.replicas(service, version).count();
        let scenario = Rc::clone(&self.context.scenario);
        let declared = scenario.version(service, version);
        // Names are not reused: a removed pod keeps its own.
        let replica = u32::try_from(before).expect("pods are numbered in 32 bits");
        let zones = &declared.zones;
        let pod = Pod {
            participant: service.participant(),
            version: version.number(),
            replica,
            zone: zones[before % zones.len()],
            meshed: declared.sidecar,
        };
        let id = self.context.add(pod.clone());
        if let Err(source) = self.backend.add(id, &self.context) {
            let pod = self.context.name(id);
            return self.fail(StartError::Host { pod, source });
        }
        self.add_state(id, &pod);
        self.journal.add(self.now(), pod, self.backend.address(id));
        self.list(id, false);
        let pods = Rc::clone(self);
        self.backend
            .runner_env()
            .spawn("runner-boot", async move { pods.boot(id, 0).await });
    }

    /// Adds a replica to the endpoints of its service, or updates its readiness.
    pub(crate) fn list(&self, pod: PodId, ready: bool) {
        let PodRole::Replica(id, service, version) = self.context.role(pod) else {
            return;
        };
        let endpoint = endpoint(&self.context, &*self.backend, pod, service, version, ready);
        self.change_endpoints(id, |endpoints| {
            let known = endpoints
                .iter_mut()
                .find(|known| known.address == endpoint.address);
            match known {
                Some(known) => *known = endpoint,
                None => endpoints.push(endpoint),
            }
        });
    }

    fn unlist(&self, pod: PodId) {
        if let PodRole::Replica(id, ..) = self.context.role(pod) {
            let address = self.backend.address(pod);
            self.change_endpoints(id, |endpoints| {
                endpoints.retain(|known| known.address.ip() != address);
            });
        }
    }

    /// Changes a service's endpoints, and updates its DNS names to the ready ones.
    fn change_endpoints(&self, service: ServiceId, change: impl FnOnce(&mut Vec<Endpoint>)) {
        let service = self.context.scenario.service(service);
        let mut addresses = Vec::new();
        self.cluster.update(|registry| {
            if let Some(known) = registry.services.get_mut(&hostname(service)) {
                change(&mut known.endpoints);
                let ready = known.endpoints.iter().filter(|endpoint| endpoint.ready);
                addresses.extend(ready.map(|endpoint| endpoint.address.ip()));
            }
        });
        for name in dns_names(service) {
            self.backend.set_name(name, addresses.clone());
        }
    }

    /// Removes a replica gracefully.
    fn drain(self: &Rc<Pods>, pod: PodId) {
        let state = self.state(pod);
        state.leaving.set(true);
        self.unlist(pod);
        let pods = Rc::clone(self);
        let runner_env = self.backend.runner_env();
        runner_env.clone().spawn("runner-drain", async move {
            runner_env.sleep(NOTICE).await;
            state.app.borrow().iter().for_each(Drain::begin);
            let idle = poll_fn(|cx| pods.journal.poll_idle_at(pod, cx));
            // Stops the pod even if it still has requests in progress.
            let _ = runner_env.timeout(GRACE, idle).await;
            // The last responses still have to pass the sidecar.
            runner_env.sleep(LAST_ANSWER).await;
            pods.stop(pod);
        });
    }
}
