//! Tests of the load balancing settings that control planes may send.

use super::*;
use crate::compile::{compile_cluster, compile_endpoints};
use crate::proto::cluster::cluster::lb_subset_config::{LbSubsetFallbackPolicy, LbSubsetSelector};
use crate::proto::cluster::load_balancing_policy::Policy;
use crate::proto::core::{Locality, Metadata, TypedExtensionConfig};
use crate::proto::endpoint::{self, LbEndpoint, LocalityLbEndpoints, lb_endpoint};
use crate::proto::percent::Percent;
use crate::proto::protobuf::{Struct, Value, value};
use crate::table::{Cluster, Fallback, Label};

fn compiled(change: impl FnOnce(&mut message::Cluster)) -> std::result::Result<Cluster, String> {
    let mut cluster = message::Cluster {
        name: "c".into(),
        ..Default::default()
    };
    change(&mut cluster);
    compile_cluster(&cluster).map_err(|error| error.to_string())
}

fn lb(change: impl FnOnce(&mut message::Cluster)) -> LbPolicy {
    compiled(change).unwrap().lb
}

fn refused(change: impl FnOnce(&mut message::Cluster)) -> String {
    compiled(change).unwrap_err()
}

fn wide(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}

fn extension<M: prost::Message + prost::Name>(message: &M) -> Policy {
    Policy {
        typed_extension_config: Some(TypedExtensionConfig {
            name: "any".into(),
            typed_config: Some(proto::pack(message)),
        }),
    }
}

#[test]
fn each_policy_has_envoys_defaults_and_its_settings() {
    assert_eq!(
        lb(|cluster| cluster.set_lb_policy(inner::LbPolicy::Maglev)),
        LbPolicy::Maglev(Maglev { table_size: 65_537 })
    );
    assert_eq!(
        lb(|cluster| {
            cluster.set_lb_policy(inner::LbPolicy::RingHash);
            cluster.lb_config = Some(inner::LbConfig::RingHashLbConfig(inner::RingHashLbConfig {
                minimum_ring_size: wide(2048),
                ..Default::default()
            }));
        }),
        LbPolicy::RingHash(RingHash {
            min_size: 2048,
            ..RingHash::ENVOY
        })
    );
    let window = proto::duration(Duration::from_secs(30));
    assert_eq!(
        lb(|cluster| {
            cluster.set_lb_policy(inner::LbPolicy::LeastRequest);
            cluster.lb_config = Some(inner::LbConfig::LeastRequestLbConfig(
                inner::LeastRequestLbConfig {
                    choice_count: Some(UInt32Value { value: 3 }),
                    active_request_bias: Some(core::RuntimeDouble {
                        default_value: 2.0,
                        runtime_key: "any".into(),
                    }),
                    slow_start_config: Some(inner::SlowStartConfig {
                        slow_start_window: Some(window),
                        ..Default::default()
                    }),
                },
            ));
        }),
        LbPolicy::LeastRequest(LeastRequest {
            choices: 3,
            bias: 2.0,
            slow_start: Some(SlowStart {
                window: Duration::from_secs(30),
                aggression: 1.0,
                min_weight: 0.1,
            })
        })
    );
}

#[test]
fn settings_of_another_policy_are_not_read() {
    let policy = lb(|cluster| {
        cluster.set_lb_policy(inner::LbPolicy::Random);
        cluster.lb_config = Some(inner::LbConfig::MaglevLbConfig(inner::MaglevLbConfig {
            table_size: wide(4),
        }));
    });
    assert_eq!(policy, LbPolicy::Random);
}

#[test]
fn what_cannot_be_built_is_refused_by_path() {
    let maglev = |size| {
        refused(|cluster| {
            cluster.set_lb_policy(inner::LbPolicy::Maglev);
            cluster.lb_config = Some(inner::LbConfig::MaglevLbConfig(inner::MaglevLbConfig {
                table_size: wide(size),
            }));
        })
    };
    assert_eq!(
        maglev(65_536),
        "Cluster c: maglev_lb_config.table_size: expected a prime of at most 5000011, found 65536"
    );
    assert!(maglev(5_000_077).ends_with("found 5000077"));
    let ring = |config: inner::RingHashLbConfig| {
        refused(|cluster| {
            cluster.set_lb_policy(inner::LbPolicy::RingHash);
            cluster.lb_config = Some(inner::LbConfig::RingHashLbConfig(config));
        })
    };
    assert_eq!(
        ring(inner::RingHashLbConfig {
            minimum_ring_size: wide(100),
            maximum_ring_size: wide(99),
            ..Default::default()
        }),
        "Cluster c: ring_hash_lb_config.minimum_ring_size: expected at most maximum_ring_size, 99, found 100"
    );
    assert_eq!(
        ring(inner::RingHashLbConfig {
            hash_function: 9,
            ..Default::default()
        }),
        "Cluster c: ring_hash_lb_config.hash_function: unknown number 9"
    );
    assert_eq!(
        refused(|cluster| {
            cluster.set_lb_policy(inner::LbPolicy::LeastRequest);
            cluster.lb_config = Some(inner::LbConfig::LeastRequestLbConfig(
                inner::LeastRequestLbConfig {
                    choice_count: Some(UInt32Value { value: 1 }),
                    ..Default::default()
                },
            ));
        }),
        "Cluster c: least_request_lb_config.choice_count: expected 2 or more, found 1"
    );
}

#[test]
fn the_panic_threshold_is_rounded_and_50_percent_by_default() {
    let threshold = |value: Option<f64>| {
        compiled(|cluster| {
            cluster.common_lb_config = Some(inner::CommonLbConfig {
                healthy_panic_threshold: value.map(|value| Percent { value }),
                ..Default::default()
            });
        })
        .map(|cluster| cluster.lb_options.panic_percent)
    };
    assert_eq!(threshold(None), Ok(50));
    assert_eq!(threshold(Some(0.0)), Ok(0));
    assert_eq!(threshold(Some(33.6)), Ok(34));
    assert_eq!(
        threshold(Some(101.0)).unwrap_err(),
        "Cluster c: common_lb_config.healthy_panic_threshold: expected 0 to 100, found 101"
    );
}

#[test]
fn the_first_extension_that_is_known_counts() {
    let cluster = compiled(|cluster| {
        cluster.set_lb_policy(inner::LbPolicy::ClusterProvided);
        cluster.load_balancing_policy = Some(LoadBalancingPolicy {
            policies: vec![
                extension(&message::Cluster::default()),
                extension(&balancers::PeakEwma {
                    decay: Some(proto::duration(Duration::from_secs(3))),
                }),
                extension(&balancers::LeastLoaded {}),
            ],
        });
    });
    assert_eq!(
        cluster.unwrap().lb,
        LbPolicy::PeakEwma(PeakEwma {
            decay: Duration::from_secs(3)
        })
    );
}

#[test]
fn envoys_policies_may_come_as_extensions() {
    use crate::proto::lb_policies::common::locality_lb_config::LocalityWeightedLbConfig;

    let cluster = compiled(|cluster| {
        cluster.load_balancing_policy = Some(LoadBalancingPolicy {
            policies: vec![extension(&typed::RoundRobin {
                locality_lb_config: Some(LocalityLbConfig {
                    locality_config_specifier: Some(TypedLocality::LocalityWeightedLbConfig(
                        LocalityWeightedLbConfig {},
                    )),
                }),
                ..Default::default()
            })],
        });
    })
    .unwrap();
    assert_eq!(cluster.lb, LbPolicy::ROUND_ROBIN);
    assert!(cluster.lb_options.by_locality);
    let of = |policy: Policy| {
        lb(|cluster| {
            cluster.load_balancing_policy = Some(LoadBalancingPolicy {
                policies: vec![policy],
            });
        })
    };
    assert_eq!(
        of(extension(&typed::LeastRequest::default())),
        LbPolicy::LEAST_REQUEST
    );
    assert_eq!(of(extension(&typed::Random::default())), LbPolicy::Random);
    assert_eq!(
        of(extension(&typed::RingHash::default())),
        LbPolicy::RingHash(RingHash::ENVOY)
    );
    assert_eq!(
        of(extension(&typed::Maglev::default())),
        LbPolicy::Maglev(Maglev::ENVOY)
    );
}

#[test]
fn a_list_without_a_known_extension_is_refused() {
    let error = refused(|cluster| {
        cluster.load_balancing_policy = Some(LoadBalancingPolicy {
            policies: vec![extension(&message::Cluster::default())],
        });
    });
    assert!(
        error.starts_with(
            "Cluster c: load_balancing_policy.policies: not supported yet: \
             `type.googleapis.com/envoy.config.cluster.v3.Cluster`; expected"
        ),
        "{error}"
    );
}

fn text(text: &str) -> Value {
    Value {
        kind: Some(value::Kind::StringValue(text.into())),
    }
}

#[test]
fn subsets_are_read_with_sorted_names() {
    let cluster = compiled(|cluster| {
        cluster.lb_subset_config = Some(inner::LbSubsetConfig {
            fallback_policy: LbSubsetFallbackPolicy::DefaultSubset.into(),
            default_subset: Some(Struct {
                fields: [("stage".to_owned(), text("prod"))].into_iter().collect(),
            }),
            subset_selectors: vec![LbSubsetSelector {
                keys: vec!["version".into(), "stage".into()],
                ..Default::default()
            }],
            ..Default::default()
        });
    });
    let subsets = cluster.unwrap().lb_options.subsets.unwrap();
    assert_eq!(subsets.fallback, Fallback::Default);
    let keys: Vec<&str> = subsets.selectors[0].keys.iter().map(|key| &**key).collect();
    assert_eq!(keys, ["stage", "version"]);
    assert_eq!(
        subsets.default_subset.get("stage"),
        Some(&Label::Text("prod".into()))
    );
    let error = refused(|cluster| {
        cluster.lb_subset_config = Some(inner::LbSubsetConfig {
            subset_selectors: vec![LbSubsetSelector {
                keys: vec!["a".into()],
                single_host_per_subset: true,
                ..Default::default()
            }],
            ..Default::default()
        });
    });
    assert_eq!(
        error,
        "Cluster c: lb_subset_config.subset_selectors[0].single_host_per_subset: not supported yet: must not be set"
    );
}

fn assignment(groups: Vec<LocalityLbEndpoints>) -> endpoint::ClusterLoadAssignment {
    endpoint::ClusterLoadAssignment {
        cluster_name: "c".into(),
        endpoints: groups,
        ..Default::default()
    }
}

fn group(address: &str, change: impl FnOnce(&mut LocalityLbEndpoints)) -> LocalityLbEndpoints {
    let socket = core::SocketAddress {
        address: address.into(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(80)),
        ..Default::default()
    };
    let endpoint = endpoint::Endpoint {
        address: Some(core::Address {
            address: Some(core::address::Address::SocketAddress(socket)),
        }),
        ..Default::default()
    };
    let mut group = LocalityLbEndpoints {
        lb_endpoints: vec![LbEndpoint {
            host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(endpoint)),
            ..Default::default()
        }],
        ..Default::default()
    };
    change(&mut group);
    group
}

#[test]
fn endpoints_have_priorities_weights_and_what_they_are_hashed_by() {
    let message = assignment(vec![
        group("10.0.0.1", |group| {
            group.priority = 1;
            group.locality = Some(Locality {
                zone: "a".into(),
                ..Default::default()
            });
            group.load_balancing_weight = Some(UInt32Value { value: 30 });
            let fields = [("hash_key".to_owned(), text("one"))].into_iter().collect();
            let labels = [("envoy.lb".to_owned(), Struct { fields })];
            group.lb_endpoints[0].metadata = Some(Metadata {
                filter_metadata: labels.into_iter().collect(),
                ..Default::default()
            });
            group.lb_endpoints[0].load_balancing_weight = Some(UInt32Value { value: 7 });
        }),
        group("10.0.0.2", |group| {
            group.load_balancing_weight = Some(UInt32Value { value: 30 });
        }),
    ]);
    let hosts = compile_endpoints(&message).unwrap().hosts;
    assert_eq!(
        (hosts[0].priority, hosts[0].weight, hosts[0].locality_weight),
        (1, 7, 30)
    );
    assert_eq!(hosts[0].hash_key.as_deref(), Some("one"));
    assert_eq!(
        (hosts[1].priority, hosts[1].weight, hosts[1].locality_weight),
        (0, 1, 0),
        "a locality without a name has no weight"
    );
    assert_eq!(hosts[1].hash_key, None);
}

#[test]
fn endpoints_that_weigh_too_much_are_refused() {
    let heavy = |group: &mut LocalityLbEndpoints| {
        let mut more = group.lb_endpoints[0].clone();
        more.load_balancing_weight = Some(UInt32Value { value: u32::MAX });
        group.lb_endpoints.push(more);
    };
    let error = compile_endpoints(&assignment(vec![group("10.0.0.1", heavy)])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ClusterLoadAssignment c: endpoints[0].load_balancing_weight: expected the weights to sum to at most 4294967295, \
         found 4294967296"
    );
}
