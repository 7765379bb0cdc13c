//! Tests of priorities and weights, with Istio's results.

use std::net::SocketAddr;

use indexmap::IndexMap;
use shakedown_yaml::{Location, Spanned};

use super::*;

fn at(region: &str, zone: &str, subzone: &str) -> Locality {
    Locality {
        region: region.into(),
        zone: zone.into(),
        subzone: subzone.into(),
    }
}

fn endpoint(number: u8, locality: Locality, labels: &[(&str, &str)]) -> Endpoint {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Endpoint {
        address: SocketAddr::from(([10, 0, 0, number], 80)),
        labels: labels.iter().map(pair).collect(),
        locality,
        ready: true,
        workload: "w".into(),
    }
}

fn groups(endpoints: &[Endpoint]) -> Vec<LocalityGroup<'_>> {
    let mut by_locality: BTreeMap<&Locality, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        by_locality
            .entry(&endpoint.locality)
            .or_default()
            .push(endpoint);
    }
    let group = |(locality, endpoints): (_, Vec<_>)| LocalityGroup {
        locality,
        priority: 0,
        weight: u32::try_from(endpoints.len()).unwrap(),
        endpoints,
    };
    by_locality.into_iter().map(group).collect()
}

fn spanned(text: &str) -> Spanned<String> {
    Spanned::new(text.to_owned(), Location::whole("test.yaml"))
}

fn client(locality: Locality, labels: &[(&str, &str)]) -> LocalityClient {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    LocalityClient {
        locality,
        labels: Some(labels.iter().map(pair).collect()),
    }
}

/// The priority of each endpoint, by the last number of its address.
fn priorities(groups: &[LocalityGroup<'_>]) -> BTreeMap<u8, u32> {
    let all = groups.iter().flat_map(|group| {
        let priority = group.priority;
        group.endpoints.iter().map(move |endpoint| {
            let std::net::IpAddr::V4(ip) = endpoint.address.ip() else {
                unreachable!("the tests have IPv4 only");
            };
            (ip.octets()[3], priority)
        })
    });
    all.collect()
}

fn failover<'a>(labels: &'a [Spanned<String>], regions: &'a [Failover]) -> LocalitySetting<'a> {
    LocalitySetting::Failover { labels, regions }
}

#[test]
fn nearer_endpoints_come_first_and_no_priority_is_left_out() {
    let endpoints = [
        endpoint(1, at("eu", "a", "1"), &[]),
        endpoint(2, at("eu", "a", "2"), &[]),
        endpoint(3, at("us", "a", "1"), &[]),
    ];
    let here = client(at("eu", "a", "1"), &[]);
    let arranged = arrange(groups(&endpoints), &failover(&[], &[]), &here);
    // Without an endpoint in the same region and another zone, the priorities 0, 1, 3 become 0, 1, 2.
    assert_eq!(
        priorities(&arranged),
        [(1, 0), (2, 1), (3, 2)].into_iter().collect()
    );
}

#[test]
fn a_region_fails_over_to_the_region_that_it_names() {
    let endpoints = [
        endpoint(1, at("eu", "a", ""), &[]),
        endpoint(2, at("us", "a", ""), &[]),
        endpoint(3, at("asia", "a", ""), &[]),
    ];
    let regions = [Failover {
        from: spanned("eu"),
        to: "asia".into(),
    }];
    let here = client(at("eu", "a", ""), &[]);
    let arranged = arrange(groups(&endpoints), &failover(&[], &regions), &here);
    assert_eq!(
        priorities(&arranged),
        [(1, 0), (3, 1), (2, 2)].into_iter().collect()
    );
}

#[test]
fn labels_of_failover_count_from_the_first_on() {
    let endpoints = [
        endpoint(1, at("eu-1", "a", ""), &[]),
        endpoint(2, at("eu-1", "b", ""), &[]),
        endpoint(3, at("eu-2", "c", ""), &[]),
    ];
    let labels = [
        spanned("topology.kubernetes.io/region"),
        spanned("topology.kubernetes.io/zone"),
    ];
    let here = client(
        at("eu-1", "b", ""),
        &[
            ("topology.kubernetes.io/region", "eu-1"),
            ("topology.kubernetes.io/zone", "b"),
        ],
    );
    let arranged = arrange(groups(&endpoints), &failover(&labels, &[]), &here);
    assert_eq!(
        priorities(&arranged),
        [(2, 0), (1, 1), (3, 2)].into_iter().collect()
    );
}

#[test]
fn a_label_with_a_value_requires_that_value_and_splits_a_locality() {
    let endpoints = [
        endpoint(1, at("eu", "a", ""), &[("version", "v1")]),
        endpoint(2, at("eu", "a", ""), &[("version", "v2")]),
    ];
    let labels = [spanned("version=v2")];
    let here = client(at("eu", "a", ""), &[]);
    let arranged = arrange(groups(&endpoints), &failover(&labels, &[]), &here);
    assert_eq!(
        priorities(&arranged),
        [(2, 0), (1, 1)].into_iter().collect()
    );
    assert_eq!(
        arranged
            .iter()
            .map(|group| group.weight)
            .collect::<Vec<_>>(),
        [1, 1]
    );
}

#[test]
fn a_client_that_nobody_knows_sees_all_endpoints_alike() {
    let endpoints = [
        endpoint(1, at("eu", "a", ""), &[]),
        endpoint(2, at("us", "b", ""), &[]),
    ];
    let labels = [spanned("topology.kubernetes.io/zone")];
    let arranged = arrange(
        groups(&endpoints),
        &failover(&labels, &[]),
        &LocalityClient::default(),
    );
    assert_eq!(
        priorities(&arranged),
        [(1, 0), (2, 0)].into_iter().collect()
    );
}

#[test]
fn a_pod_that_serves_nothing_is_known_where_the_registry_has_it() {
    use shakedown_istio::registry::Workload;

    let mut mesh = Mesh::default();
    let address = IpAddr::from([10, 0, 0, 9]);
    let workload = Workload {
        namespace: "default".into(),
        labels: [("app".to_owned(), "users".to_owned())].into(),
        locality: at("eu", "a", ""),
    };
    mesh.registry.clients.insert(address, workload);
    let inputs = LocalityInputs {
        labels: ["app", "tier", "topology.kubernetes.io/zone"]
            .map(str::to_owned)
            .into(),
    };
    let labels = [("app", "users"), ("topology.kubernetes.io/zone", "a")];
    assert_eq!(
        inputs.client(&mesh, address),
        client(at("eu", "a", ""), &labels)
    );
    let unknown = IpAddr::from([10, 0, 0, 8]);
    assert_eq!(inputs.client(&mesh, unknown), LocalityClient::default());
}

#[test]
fn shares_go_to_the_localities_that_they_name_and_to_no_other() {
    let endpoints = [
        endpoint(1, at("eu", "a", ""), &[]),
        endpoint(2, at("eu", "b", ""), &[]),
        endpoint(3, at("eu", "b", ""), &[]),
        endpoint(4, at("us", "a", ""), &[]),
    ];
    let to: IndexMap<String, u32> = [("eu/a".to_owned(), 80), ("eu/b/*".to_owned(), 20)]
        .into_iter()
        .collect();
    let shares = [Distribute {
        from: spanned("eu/a/*"),
        to,
    }];
    let here = client(at("eu", "a", ""), &[]);
    let arranged = arrange(
        groups(&endpoints),
        &LocalitySetting::Distribute(&shares),
        &here,
    );
    let seen: Vec<(u32, usize)> = arranged
        .iter()
        .map(|group| (group.weight, group.endpoints.len()))
        .collect();
    assert_eq!(seen, [(80, 1), (20, 2), (1, 0)]);
}

#[test]
fn a_multi_locality_share_is_split_by_endpoint_count_and_rounded_up() {
    let endpoints = [
        endpoint(1, at("eu", "a", ""), &[]),
        endpoint(2, at("us", "a", ""), &[]),
        endpoint(3, at("us", "b", ""), &[]),
        endpoint(4, at("us", "b", ""), &[]),
    ];
    let to: IndexMap<String, u32> = [("eu/*".to_owned(), 90), ("us/*".to_owned(), 10)]
        .into_iter()
        .collect();
    let shares = [Distribute {
        from: spanned("*"),
        to,
    }];
    let here = client(at("asia", "a", ""), &[]);
    let arranged = arrange(
        groups(&endpoints),
        &LocalitySetting::Distribute(&shares),
        &here,
    );
    let weights: Vec<u32> = arranged.iter().map(|group| group.weight).collect();
    assert_eq!(weights, [90, 4, 7]);
}
