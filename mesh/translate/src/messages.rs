//! Small xDS messages that several resources contain.

use std::time::Duration;

use shakedown_xds::proto::{self, core};

/// The config source for resources that are also sent by ADS.
pub(super) fn ads() -> core::ConfigSource {
    core::ConfigSource {
        resource_api_version: core::ApiVersion::V3.into(),
        // Without a time limit for the first fetch, because a listener without its routes would respond with 404.
        // Source: Istio.
        initial_fetch_timeout: Some(proto::duration(Duration::ZERO)),
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            Default::default(),
        )),
        ..Default::default()
    }
}

pub(super) fn socket(address: std::net::IpAddr, port: u16) -> core::Address {
    let socket = core::SocketAddress {
        address: address.to_string(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port.into())),
        ..Default::default()
    };
    core::Address {
        address: Some(core::address::Address::SocketAddress(socket)),
    }
}

pub(super) fn wrapped(value: u32) -> proto::protobuf::UInt32Value {
    proto::protobuf::UInt32Value { value }
}
