//! The static configuration of a proxy, known before it connects to its control plane.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderName;
use shakedown_xds::table::Identity;

/// The static configuration of one proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// The xDS node id, as Istio builds it: `sidecar~<pod address>~<pod>.<namespace>~<dns domain>`.
    pub node_id: String,
    /// The pod's address. Listeners without an address of their own listen here, and connections to upstreams leave
    /// from here.
    pub address: IpAddr,
    /// The address at which the control plane serves ADS.
    pub control: SocketAddr,
    /// The port of the outbound listener, to which the application's requests are redirected. Istio's is 15001.
    pub outbound_port: u16,
    /// The port of metrics and readiness. Istio's is 15020.
    pub admin_port: u16,
    /// The pod's workload, for the labels of metrics.
    pub workload: MetricWorkload,
    /// The host of the service that the pod belongs to (`reviews.default.svc.cluster.local`), for the labels of
    /// requests that it serves; `None` for a pod that serves none.
    pub service: Option<String>,
    /// A request header whose value is reported with the cluster of each outgoing request that carries it
    /// ([`MeshEvent::Routed`](shakedown_types::MeshEvent::Routed)).
    pub reported_header: Option<HeaderName>,
}

impl Bootstrap {
    /// A sidecar of pod `pod` in `namespace`, with Istio's ports and node id.
    pub fn sidecar(pod: &str, namespace: &str, address: IpAddr, control: SocketAddr) -> Bootstrap {
        Bootstrap {
            node_id: format!("sidecar~{address}~{pod}.{namespace}~{namespace}.svc.cluster.local"),
            address,
            control,
            outbound_port: 15001,
            admin_port: 15020,
            workload: MetricWorkload {
                name: pod.into(),
                namespace: namespace.into(),
                ..MetricWorkload::unknown()
            },
            service: None,
            reported_header: None,
        }
    }
}

/// The source or the destination of an edge, as in the labels of Istio's metrics. Unknown fields read `unknown`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricWorkload {
    /// The name of the workload, normally that of its deployment.
    pub name: Arc<str>,
    /// The Kubernetes namespace of the workload.
    pub namespace: Arc<str>,
    /// The `app` label, which also serves as the canonical service.
    pub app: Arc<str>,
    /// The `version` label, which also serves as the canonical revision.
    pub version: Arc<str>,
    /// The id of the Kubernetes cluster.
    pub cluster: Arc<str>,
    /// The SPIFFE identity proved by mutual TLS.
    pub principal: Arc<str>,
}

impl MetricWorkload {
    /// A workload with every field unknown.
    pub fn unknown() -> MetricWorkload {
        let unknown: Arc<str> = Arc::from("unknown");
        MetricWorkload {
            name: Arc::clone(&unknown),
            namespace: Arc::clone(&unknown),
            app: Arc::clone(&unknown),
            version: Arc::clone(&unknown),
            cluster: Arc::clone(&unknown),
            principal: unknown,
        }
    }

    /// This workload, with the fields that an endpoint's identity contains replaced.
    pub(crate) fn named(mut self, identity: &Identity) -> MetricWorkload {
        for (own, value) in [
            (&mut self.name, identity.name()),
            (&mut self.namespace, identity.namespace()),
            (&mut self.app, identity.service()),
            (&mut self.version, identity.revision()),
            (&mut self.cluster, identity.cluster()),
        ] {
            if !value.is_empty() {
                *own = Arc::from(value);
            }
        }
        self
    }
}
