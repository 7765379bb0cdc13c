//! Turns the state of the cluster into a snapshot that every stream serves. After a change and a quiet period it
//! validates, translates, numbers and publishes.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use shakedown_env::Env;
use shakedown_istio::registry::{Mesh, SidecarPod};
use shakedown_translate::InboundPolicy;
use shakedown_types::MeshEvent;

use crate::ads::SharedSubscriptions;
use crate::cluster::ManagedMesh;
use crate::debounce::Debounce;
use crate::node::ProxyNode;
use crate::proxy_view::{CurrentConfig, ProxyView, ViewCaches, ViewInputs};
use crate::snapshot::{ConfigSnapshot, Resources, SnapshotView};
use crate::status::ConnectedProxies;
use crate::watch::{Watched, Watcher};

/// The store key of the newest push's number, so that numbers keep growing over restarts.
const PUSH_KEY: &str = "control/push";

/// The configuration in force.
#[derive(Debug)]
pub(crate) struct Current {
    snapshot: Arc<ConfigSnapshot>,
    mesh: Arc<Mesh>,
    inputs: ViewInputs,
    /// The number of the push that last changed the registry.
    registry_push: u64,
}

/// The configuration in force, as the streams read it.
#[derive(Debug)]
pub(crate) struct Hub {
    current: Arc<Watched<Current>>,
    status: ConnectedProxies,
    covered: Arc<Watched<Covered>>,
    views: ViewCaches,
    held: Arc<SharedSubscriptions>,
}

/// The progress of pushes through the cluster's changes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Covered {
    /// The newest version of the cluster that has been processed.
    pub(crate) version: u64,
    /// The push that included this version. An earlier push, if the version changed nothing.
    pub(crate) push: u64,
}

/// The resources that only one proxy has, with the inputs they were built from.
#[derive(Debug)]
pub(crate) struct ProxyResources {
    pod: SidecarPod,
    registry_push: u64,
    view: ProxyView,
    /// The filters and connection limits of the proxy's inbound listeners.
    policy: InboundPolicy,
    /// The proxy's own resources, without those that depend on its view.
    alone: Arc<Resources>,
    resources: Arc<Resources>,
}

impl Hub {
    /// Publishes the first push.
    pub(crate) fn new(
        env: &Env,
        cluster: &ManagedMesh,
        status: ConnectedProxies,
        canaries: bool,
    ) -> (Arc<Hub>, Pusher) {
        let nothing = Current {
            snapshot: Arc::new(ConfigSnapshot::empty()),
            mesh: Arc::new(Mesh::default()),
            inputs: ViewInputs::default(),
            registry_push: 0,
        };
        let hub = Arc::new(Hub {
            current: Arc::new(Watched::new(nothing)),
            status,
            covered: Arc::new(Watched::new(Covered::default())),
            views: ViewCaches::default(),
            held: Arc::default(),
        });
        let mut pusher = Pusher {
            env: env.clone(),
            hub: Arc::clone(&hub),
            canaries,
            seen: 0,
            push: 0,
        };
        pusher.push = stored_push(env);
        pusher.push(cluster);
        (hub, pusher)
    }

    /// Watches for pushes from now on.
    pub(crate) fn watcher(&self) -> Watcher<Current> {
        self.current.watcher(self.current.version())
    }

    /// The progress of pushes through the cluster's changes, and a watcher for further progress.
    pub(crate) fn covered(&self) -> (Covered, Watcher<Covered>) {
        let (covered, seen) = self.covered.with(|covered, seen| (*covered, seen));
        (covered, self.covered.watcher(seen))
    }

    pub(crate) fn status(&self) -> &ConnectedProxies {
        &self.status
    }

    /// The storage that the subscriptions of all proxies share.
    pub(crate) fn held(&self) -> &Arc<SharedSubscriptions> {
        &self.held
    }

    /// The resources that a proxy must have. `earlier` contains its previous own resources, which are reused if their
    /// inputs are unchanged.
    pub(crate) fn view(
        &self,
        node: &ProxyNode,
        earlier: Option<&ProxyResources>,
    ) -> (SnapshotView, ProxyResources) {
        let (shared, mesh, inputs, registry_push) = self.current.with(|current, _| {
            (
                Arc::clone(&current.snapshot),
                Arc::clone(&current.mesh),
                current.inputs.clone(),
                current.registry_push,
            )
        });
        let config = CurrentConfig {
            mesh: &mesh,
            shared: &shared,
            inputs: &inputs,
            registry_push,
            node,
        };
        let view = self.views.view_for(&config, earlier.map(|own| &own.view));
        let pod = match earlier.filter(|own| own.registry_push == registry_push) {
            Some(own) => own.pod.clone(),
            None => mesh.registry.pod(node.address),
        };
        let policy = InboundPolicy::for_pod(&mesh, node.address);
        let as_before = |own: &&ProxyResources| own.pod == pod && own.policy == policy;
        let alone = match earlier.filter(as_before) {
            Some(own) => Arc::clone(&own.alone),
            None => Arc::new(Resources::own(shakedown_translate::own(&pod, &policy))),
        };
        let kept = earlier.filter(|own| own.view.is_as(&view) && Arc::ptr_eq(&own.alone, &alone));
        let resources = match kept {
            Some(own) => Arc::clone(&own.resources),
            None => view.over(&alone),
        };
        let own = ProxyResources {
            pod,
            registry_push,
            view,
            policy,
            alone,
            resources,
        };
        (
            SnapshotView {
                shared,
                own: Arc::clone(&own.resources),
            },
            own,
        )
    }
}

/// Publishes the pushes.
#[derive(Debug)]
pub(crate) struct Pusher {
    env: Env,
    hub: Arc<Hub>,
    /// True if canaries route their services.
    canaries: bool,
    /// The version of the cluster that was last processed.
    seen: u64,
    push: u64,
}

impl Pusher {
    /// Applies the state of the cluster, if it differs from the one in force.
    fn push(&mut self, cluster: &ManagedMesh) {
        self.bring(cluster);
        let covered = Covered {
            version: self.seen,
            push: self.push,
        };
        self.hub.covered.change(|known| *known = covered);
    }

    fn bring(&mut self, cluster: &ManagedMesh) {
        let admitted = cluster.admit(self.canaries);
        self.seen = admitted.version;
        for refusal in admitted.refused {
            self.env.emit(MeshEvent::DocumentRefused {
                document: refusal.document,
                reason: refusal.reason,
            });
        }
        let mesh = admitted.mesh;
        let (earlier, before, inputs_before, registry_push) =
            self.hub.current.with(|current, _| {
                (
                    Arc::clone(&current.snapshot),
                    Arc::clone(&current.mesh),
                    current.inputs.clone(),
                    current.registry_push,
                )
            });
        let push = self.push + 1;
        let snapshot = earlier.next(
            push,
            Resources::outbound(shakedown_translate::outbound(&mesh)),
        );
        let first = earlier.push() == 0;
        let registry_changed = first || mesh.registry != before.registry;
        let inputs = ViewInputs::from_mesh(&mesh, &inputs_before);
        // A document that is added or removed may change only the resources of some proxies.
        let documents_matter = (!inputs.is_nothing()
            || !inputs_before.is_nothing()
            || InboundPolicy::is_spoken_of(&mesh)
            || InboundPolicy::is_spoken_of(&before))
            && mesh.documents != before.documents;
        let same = snapshot.changes().is_none_or(|changes| changes.is_empty());
        if !registry_changed && !documents_matter && same {
            return;
        }
        self.push = push;
        // If the store cannot be written, numbers may repeat after a restart. Pushes are not delayed for that.
        let _ = self
            .env
            .store()
            .write(PUSH_KEY, push.to_string().as_bytes());
        self.env.emit(MeshEvent::ConfigChanged { version: push });
        self.hub.status.pushed(push);
        let registry_push = if registry_changed {
            push
        } else {
            registry_push
        };
        let snapshot = Arc::new(snapshot);
        self.hub.current.change(|current| {
            *current = Current {
                snapshot,
                mesh,
                inputs,
                registry_push,
            }
        });
    }
}

fn stored_push(env: &Env) -> u64 {
    let stored = env
        .store()
        .read(PUSH_KEY)
        .and_then(|bytes| String::from_utf8(bytes).ok());
    stored.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Pushes every change of the cluster, debounced. Never returns.
pub(crate) async fn push_loop(env: Env, cluster: ManagedMesh, mut pusher: Pusher, quiet: Duration) {
    let mut debounce = Debounce::new(quiet);
    let mut watcher = cluster.watcher(pusher.seen);
    loop {
        let mut due = debounce.due().map(|time| env.sleep_until(time));
        let changed = poll_fn(|cx| {
            // Changes are polled first, so that a change at the end of the quiet period is part of the push.
            if watcher.poll_changed(cx).is_ready() {
                return Poll::Ready(true);
            }
            match &mut due {
                Some(sleep) => sleep.as_mut().poll(cx).map(|()| false),
                None => Poll::Pending,
            }
        });
        if changed.await {
            debounce.changed(env.now());
            if debounce.due().is_some_and(|due| due > env.now()) {
                continue;
            }
        }
        debounce.pushed();
        pusher.push(&cluster);
    }
}
