//! What metrics call the two ends of an edge, told from a cluster's name.

use std::sync::Arc;

use shakedown_types::Side;
use shakedown_xds::table::Identity;

use super::Ends;
use crate::bootstrap::{Bootstrap, Workload};

/// The namer of one proxy's edges.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    own: Workload,
    service: Arc<str>,
}

impl Named {
    pub(crate) fn new(bootstrap: &Bootstrap) -> Named {
        let service = bootstrap.service.as_deref().unwrap_or("unknown");
        Named {
            own: bootstrap.workload.clone(),
            service: Arc::from(service),
        }
    }

    /// The ends of a cluster: `outbound|9080|v2|reviews.default.svc.cluster.local`, `inbound|9080||`, or another name.
    pub(crate) fn ends(&self, cluster: &str) -> Ends {
        let mut parts = cluster.splitn(4, '|');
        match (parts.next(), parts.nth(2)) {
            (Some("outbound"), Some(host)) => self.toward(host),
            (Some("inbound"), _) => self.unrouted(Side::Inbound),
            _ => Ends {
                service_name: Arc::from(cluster),
                ..self.unrouted(Side::Outbound)
            },
        }
    }

    /// The ends of a request for which no cluster was found.
    pub(crate) fn unrouted(&self, side: Side) -> Ends {
        match side {
            Side::Outbound => self.toward("unknown"),
            Side::Inbound => Ends {
                reporter: side,
                // Its callers are known by their connections.
                source: Workload::unknown(),
                destination: self.own.clone(),
                service_name: first_label(&self.service),
                service_namespace: Arc::clone(&self.own.namespace),
                service: Arc::clone(&self.service),
            },
        }
    }

    fn toward(&self, host: &str) -> Ends {
        let namespace = host.split('.').nth(1).unwrap_or("unknown");
        Ends {
            reporter: Side::Outbound,
            source: self.own.clone(),
            destination: Workload {
                namespace: Arc::from(namespace),
                ..Workload::unknown()
            },
            service: Arc::from(host),
            service_name: first_label(host),
            service_namespace: Arc::from(namespace),
        }
    }
}

impl Ends {
    /// The same edge, to one workload of the destination.
    pub(crate) fn reaching(mut self, workload: &Identity) -> Ends {
        if self.reporter == Side::Outbound {
            self.destination = self.destination.named(workload);
        }
        self
    }

    /// The same edge, from one workload.
    pub(super) fn coming_from(mut self, source: &Workload) -> Ends {
        self.source = source.clone();
        self
    }
}

fn first_label(host: &str) -> Arc<str> {
    Arc::from(host.split('.').next().unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Named {
        let address = "127.1.0.5".parse().unwrap();
        let control = "127.1.0.1:15010".parse().unwrap();
        let mut bootstrap = Bootstrap::sidecar("pages-1", "shop", address, control);
        bootstrap.service = Some("pages.shop.svc.cluster.local".into());
        Named::new(&bootstrap)
    }

    #[test]
    fn an_outbound_clusters_name_tells_the_destination() {
        let ends = named().ends("outbound|9080|v2|reviews.default.svc.cluster.local");
        assert_eq!(&*ends.service, "reviews.default.svc.cluster.local");
        assert_eq!(
            (&*ends.service_name, &*ends.service_namespace),
            ("reviews", "default")
        );
        assert_eq!(&*ends.source.name, "pages-1");
        let reached = ends.reaching(&Identity::new("reviews-v2;default;reviews;v2;"));
        let Workload {
            name, app, version, ..
        } = reached.destination;
        assert_eq!((&*name, &*app, &*version), ("reviews-v2", "reviews", "v2"));
    }

    #[test]
    fn an_inbound_cluster_is_the_pods_own_service() {
        let ends = named().ends("inbound|9080||");
        assert_eq!(&*ends.service, "pages.shop.svc.cluster.local");
        assert_eq!(&*ends.destination.name, "pages-1");
        assert_eq!(&*ends.source.name, "unknown");
    }

    #[test]
    fn another_cluster_goes_by_its_own_name() {
        let ends = named().ends("PassthroughCluster");
        assert_eq!(
            (&*ends.service, &*ends.service_name),
            ("unknown", "PassthroughCluster")
        );
    }
}
