//! The documents that a canary generates, as Flagger would.

use shakedown_istio::registry::Hostname;
use shakedown_istio::{
    Canary, Destination, DestinationRule, Document, HttpRoute, Meta, Resource, RouteDestination,
    Subset, VirtualService,
};
use shakedown_yaml::Spanned;

/// The label with the version of an endpoint.
pub(crate) const VERSION_LABEL: &str = "version";

/// The traffic split of a canary's service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// The version that receives the rest of the traffic.
    pub(crate) stable: String,
    /// The version that is rolled out, if any. Its cluster exists from the start of the rollout, even with a share of
    /// 0%.
    pub(crate) canary: Option<String>,
    /// The canary's share, in percent.
    pub(crate) weight: u32,
    /// True if it also receives the requests that the analysis matches.
    pub(crate) matched: bool,
}

impl Split {
    /// A split that sends all traffic to one version.
    pub(crate) fn all_to(stable: &str) -> Split {
        Split {
            stable: stable.to_owned(),
            canary: None,
            weight: 0,
            matched: false,
        }
    }

    /// The versions and their shares in percent, the stable one first.
    pub(crate) fn shares(&self) -> Vec<(String, u32)> {
        let mut shares = vec![(self.stable.clone(), 100 - self.weight)];
        let canary = self.canary.as_ref();
        shares.extend(canary.map(|canary| (canary.clone(), self.weight)));
        shares
    }
}

pub(crate) fn documents(
    canary: &Resource<Canary>,
    service: &Hostname,
    split: &Split,
) -> [Document; 2] {
    // Kubernetes names contain no colon, so these documents cannot replace a user's.
    let mut meta = Meta::named(&format!("canary:{}", canary.meta.name));
    meta.namespace.clone_from(&canary.meta.namespace);
    let place = canary.place.clone();
    let rule = Resource {
        meta: meta.clone(),
        spec: Spanned::new(rule(&canary.spec, service, split), place.clone()),
        place: place.clone(),
    };
    let routes = Resource {
        meta,
        spec: Spanned::new(routes(&canary.spec, service, split), place.clone()),
        place,
    };
    [
        Document::DestinationRule(rule),
        Document::VirtualService(routes),
    ]
}

fn rule(canary: &Canary, service: &Hostname, split: &Split) -> DestinationRule {
    let subset = |(version, _): (String, u32)| {
        Spanned::from(Subset {
            labels: [(VERSION_LABEL.to_owned(), version.clone())]
                .into_iter()
                .collect(),
            name: Spanned::from(version),
            traffic_policy: None,
        })
    };
    DestinationRule {
        host: Spanned::from(service.to_string()),
        traffic_policy: canary.service.traffic_policy.clone(),
        subsets: split.shares().into_iter().map(subset).collect(),
        export_to: Vec::new(),
        workload_selector: None,
    }
}

fn routes(canary: &Canary, service: &Hostname, split: &Split) -> VirtualService {
    let to = |(version, weight): (String, u32)| {
        Spanned::from(RouteDestination {
            destination: Destination {
                host: Spanned::from(service.to_string()),
                subset: Some(Spanned::from(version)),
                port: None,
            },
            weight: Some(Spanned::from(i64::from(weight))),
            headers: None,
        })
    };
    let route = |shares: Vec<(String, u32)>| HttpRoute {
        route: shares.into_iter().map(to).collect(),
        timeout: canary.service.timeout.clone(),
        retries: canary.service.retries.clone(),
        ..HttpRoute::default()
    };
    let mut http = Vec::new();
    if let (Some(version), true) = (&split.canary, split.matched) {
        let mut first = route(vec![(version.clone(), 100)]);
        first.r#match.clone_from(&canary.analysis.r#match);
        http.push(Spanned::from(first));
    }
    http.push(Spanned::from(route(split.shares())));
    let mut hosts = vec![Spanned::from(service.to_string())];
    hosts.extend(canary.service.hosts.iter().cloned());
    VirtualService {
        hosts,
        http,
        ..VirtualService::default()
    }
}
