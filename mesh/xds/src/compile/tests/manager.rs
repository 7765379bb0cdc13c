//! Tests of the `HttpConnectionManager` settings other than routes and filters.

use std::time::Duration;

use super::super::manager as compiler;
use crate::proto;
use crate::proto::manager::HttpConnectionManager;
use crate::proto::manager::http_connection_manager::{InternalAddressConfig, UpgradeConfig};
use crate::proto::protobuf::{BoolValue, UInt32Value};
use crate::proto::route::route_action::MaxStreamDuration;
use crate::table::{Manager, StreamDuration};

fn upgrade(name: &str) -> UpgradeConfig {
    UpgradeConfig {
        upgrade_type: name.into(),
        ..Default::default()
    }
}

fn network(address: &str, prefix: u32) -> Option<InternalAddressConfig> {
    Some(InternalAddressConfig {
        cidr_ranges: vec![proto::core::CidrRange {
            address_prefix: address.into(),
            prefix_len: Some(UInt32Value { value: prefix }),
        }],
        ..Default::default()
    })
}

fn compiled(change: impl FnOnce(&mut HttpConnectionManager)) -> Result<Manager, String> {
    let mut message = HttpConnectionManager::default();
    change(&mut message);
    compiler::compile(&message).map_err(|problem| {
        let error = problem.in_resource(proto::ResourceKind::Listener, "l");
        error.to_string()
    })
}

#[test]
fn a_manager_without_a_word_has_envoys_defaults() {
    assert_eq!(compiled(|_| ()), Ok(Manager::default()));
}

#[test]
fn who_is_believed_and_what_is_bounded_is_read() {
    let manager = compiled(|message| {
        message.use_remote_address = Some(BoolValue { value: true });
        message.xff_num_trusted_hops = 2;
        message.internal_address_config = network("10.0.0.0", 8);
        message.request_timeout = Some(proto::duration(Duration::from_secs(3)));
        message.request_headers_timeout = Some(proto::duration(Duration::ZERO));
        message.upgrade_configs = vec![upgrade("WebSocket")];
    })
    .unwrap();
    let origin = &manager.origin;
    assert!(origin.use_remote_address && origin.trusted_hops == 2);
    assert!(origin.internal[0].contains("10.9.8.7".parse().unwrap()));
    assert_eq!(manager.request_timeout, Some(Duration::from_secs(3)));
    assert_eq!(manager.request_headers_timeout, None, "zero is none");
    assert_eq!(manager.upgrades.allows("websocket"), Some(true));
}

#[test]
fn what_is_no_network_and_no_upgrade_is_refused_by_path() {
    let refused = |change: fn(&mut HttpConnectionManager)| compiled(change).unwrap_err();
    for (error, wanted) in [
        (
            refused(|message| message.internal_address_config = network("ten", 8)),
            "internal_address_config.cidr_ranges[0].address_prefix: expected an IP address, found `ten`",
        ),
        (
            refused(|message| message.internal_address_config = network("10.0.0.0", 33)),
            "internal_address_config.cidr_ranges[0].prefix_len: expected at most 32, found 33",
        ),
        (
            refused(|message| message.upgrade_configs = vec![upgrade("CONNECT")]),
            "upgrade_configs[0].upgrade_type: not supported yet: `CONNECT`; expected `websocket` or another upgrade",
        ),
        (
            refused(|message| message.upgrade_configs = vec![upgrade("a"), upgrade("A")]),
            "upgrade_configs[1].upgrade_type: duplicate `A`",
        ),
        (
            refused(|message| message.upgrade_configs = vec![upgrade("")]),
            "upgrade_configs[0].upgrade_type: expected a name, found nothing",
        ),
    ] {
        assert_eq!(error, format!("Listener l: {wanted}"));
    }
}

#[test]
fn a_streams_duration_is_told_from_none() {
    let written = MaxStreamDuration {
        max_stream_duration: Some(proto::duration(Duration::ZERO)),
        ..Default::default()
    };
    let of_route = StreamDuration {
        max: Some(Duration::ZERO),
        ..StreamDuration::default()
    };
    assert!(matches!(compiler::stream_duration(&written), Ok(read) if read == of_route));
}
