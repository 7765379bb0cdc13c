//! Labels of an edge: the source workload, the destination workload and the service, derived from a cluster's name.

use std::sync::Arc;

use shakedown_types::Side;
use shakedown_xds::table::Identity;

use crate::bootstrap::{Bootstrap, MetricWorkload};

/// The labels of an edge of the mesh.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EdgeLabels {
    pub(crate) reporter: Side,
    pub(crate) source: MetricWorkload,
    pub(crate) destination: MetricWorkload,
    /// The destination's host, `reviews.default.svc.cluster.local`.
    pub(crate) service: Arc<str>,
    /// The first DNS label of `service`.
    pub(crate) service_name: Arc<str>,
    /// The second DNS label of `service`.
    pub(crate) service_namespace: Arc<str>,
}

impl EdgeLabels {
    /// The same edge, with its destination narrowed to one workload. The inbound side keeps its own workload.
    pub(crate) fn reaching(mut self, workload: &Identity) -> EdgeLabels {
        if self.reporter == Side::Outbound {
            self.destination = self.destination.named(workload);
        }
        self
    }

    /// The same edge, with this workload as its source.
    pub(super) fn coming_from(mut self, source: &MetricWorkload) -> EdgeLabels {
        self.source = source.clone();
        self
    }
}

/// Builds the labels of one proxy's edges.
#[derive(Clone, Debug)]
pub(crate) struct EdgeLabeler {
    own: MetricWorkload,
    service: Arc<str>,
}

impl EdgeLabeler {
    pub(crate) fn new(bootstrap: &Bootstrap) -> EdgeLabeler {
        let service = bootstrap.service.as_deref().unwrap_or("unknown");
        EdgeLabeler {
            own: bootstrap.workload.clone(),
            service: Arc::from(service),
        }
    }

    /// The labels of requests to a cluster. Istio names clusters `outbound|9080|v2|reviews.default.svc.cluster.local` and
    /// `inbound|9080||`; any other name becomes the service name of an unknown service.
    pub(crate) fn labels(&self, cluster: &str) -> EdgeLabels {
        let mut parts = cluster.splitn(4, '|');
        match (parts.next(), parts.nth(2)) {
            (Some("outbound"), Some(host)) => self.toward(host),
            (Some("inbound"), _) => self.unrouted(Side::Inbound),
            _ => EdgeLabels {
                service_name: Arc::from(cluster),
                ..self.unrouted(Side::Outbound)
            },
        }
    }

    /// The labels of requests for which no cluster was found.
    pub(crate) fn unrouted(&self, side: Side) -> EdgeLabels {
        match side {
            Side::Outbound => self.toward("unknown"),
            Side::Inbound => EdgeLabels {
                reporter: side,
                // `Edge::observe` replaces this by the peer, if the caller's address is a known endpoint.
                source: MetricWorkload::unknown(),
                destination: self.own.clone(),
                service_name: first_label(&self.service),
                service_namespace: Arc::clone(&self.own.namespace),
                service: Arc::clone(&self.service),
            },
        }
    }

    fn toward(&self, host: &str) -> EdgeLabels {
        let namespace = host.split('.').nth(1).unwrap_or("unknown");
        EdgeLabels {
            reporter: Side::Outbound,
            source: self.own.clone(),
            destination: MetricWorkload {
                namespace: Arc::from(namespace),
                ..MetricWorkload::unknown()
            },
            service: Arc::from(host),
            service_name: first_label(host),
            service_namespace: Arc::from(namespace),
        }
    }
}

fn first_label(host: &str) -> Arc<str> {
    Arc::from(host.split('.').next().unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labeler() -> EdgeLabeler {
        let address = "127.1.0.5".parse().unwrap();
        let control = "127.1.0.1:15010".parse().unwrap();
        let mut bootstrap = Bootstrap::sidecar("pages-1", "shop", address, control);
        bootstrap.service = Some("pages.shop.svc.cluster.local".into());
        EdgeLabeler::new(&bootstrap)
    }

    #[test]
    fn an_outbound_clusters_name_tells_the_destination() {
        let ends = labeler().labels("outbound|9080|v2|reviews.default.svc.cluster.local");
        assert_eq!(&*ends.service, "reviews.default.svc.cluster.local");
        assert_eq!(
            (&*ends.service_name, &*ends.service_namespace),
            ("reviews", "default")
        );
        assert_eq!(&*ends.source.name, "pages-1");
        let reached = ends.reaching(&Identity::new("reviews-v2;default;reviews;v2;"));
        let MetricWorkload {
            name, app, version, ..
        } = reached.destination;
        assert_eq!((&*name, &*app, &*version), ("reviews-v2", "reviews", "v2"));
    }

    #[test]
    fn an_inbound_cluster_is_the_pods_own_service() {
        let ends = labeler().labels("inbound|9080||");
        assert_eq!(&*ends.service, "pages.shop.svc.cluster.local");
        assert_eq!(&*ends.destination.name, "pages-1");
        assert_eq!(&*ends.source.name, "unknown");
    }

    #[test]
    fn another_cluster_goes_by_its_own_name() {
        let ends = labeler().labels("PassthroughCluster");
        assert_eq!(
            (&*ends.service, &*ends.service_name),
            ("unknown", "PassthroughCluster")
        );
    }
}
