//! Tests of a cluster's endpoints.

use super::*;

#[test]
fn an_address_that_stands_twice_is_one_host() {
    assert_eq!(
        compile_endpoints(&endpoints(&[
            ("10.0.0.1", 1),
            ("10.0.0.1", 1),
            ("10.0.0.1", 2)
        ]))
        .unwrap()
        .hosts
        .len(),
        2
    );
}

#[test]
fn endpoints_that_cannot_be_used_are_refused_by_path() {
    let error = |message: &endpoint::ClusterLoadAssignment| {
        compile_endpoints(message).unwrap_err().to_string()
    };
    assert_eq!(
        error(&endpoints(&[("10.0.0.1", 1), ("db.example.com", 1)])),
        "ClusterLoadAssignment c: endpoints[0].lb_endpoints[1].endpoint.address.address: expected an IP address, found \
         `db.example.com`"
    );
    assert!(
        error(&endpoints(&[("10.0.0.1", 70_000)]))
            .ends_with("port_value: expected a port from 1 to 65535, found 70000")
    );
    let mut weighed = endpoints(&[("10.0.0.1", 1), ("10.0.0.2", 1)]);
    weighed.endpoints[0].lb_endpoints[1].load_balancing_weight =
        Some(protobuf::UInt32Value { value: 0 });
    assert_eq!(
        error(&weighed),
        "ClusterLoadAssignment c: endpoints[0].lb_endpoints[1].load_balancing_weight: expected 1 or more, found 0"
    );
}

#[test]
fn a_host_that_is_not_healthy_is_known_and_takes_no_traffic() {
    let mut message = endpoints(&[("10.0.0.1", 1), ("10.0.0.2", 1)]);
    message.endpoints[0].lb_endpoints[0].health_status = core::HealthStatus::Unhealthy.into();
    let compiled = compile_endpoints(&message).unwrap();
    assert_eq!((compiled.hosts.len(), compiled.healthy().count()), (2, 1));
}
