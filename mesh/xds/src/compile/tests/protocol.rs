//! Tests of `HttpProtocolOptions`: the protocol of a cluster's connections.

use super::*;
use crate::proto;
use crate::proto::HTTP_OPTIONS;
use crate::proto::upstream_http;
use crate::proto::upstream_http::http_protocol_options::explicit_http_config::ProtocolConfig;
use crate::proto::upstream_http::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
};
use crate::table::UpstreamProtocol;

fn speaking(options: UpstreamProtocolOptions) -> Result<UpstreamProtocol, String> {
    let packed = proto::pack(&upstream_http::HttpProtocolOptions {
        upstream_protocol_options: Some(options),
        ..Default::default()
    });
    let mut message = eds();
    message
        .typed_extension_protocol_options
        .insert(HTTP_OPTIONS.into(), packed);
    match compile_cluster(&message) {
        Ok(cluster) => Ok(cluster.protocol),
        Err(error) => Err(error.to_string()),
    }
}

fn explicit(config: ProtocolConfig) -> UpstreamProtocolOptions {
    UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig {
        protocol_config: Some(config),
    })
}

fn streams(number: u32) -> core::Http2ProtocolOptions {
    core::Http2ProtocolOptions {
        max_concurrent_streams: Some(protobuf::UInt32Value { value: number }),
        ..Default::default()
    }
}

#[test]
fn each_protocol_is_what_it_says() {
    let http1 = explicit(ProtocolConfig::HttpProtocolOptions(Default::default()));
    assert_eq!(speaking(http1), Ok(UpstreamProtocol::Http1));
    let http2 = |options| explicit(ProtocolConfig::Http2ProtocolOptions(options));
    let most = |max_concurrent_streams| UpstreamProtocol::Http2 {
        max_concurrent_streams,
    };
    assert_eq!(speaking(http2(Default::default())), Ok(most(1024)));
    assert_eq!(speaking(http2(streams(5))), Ok(most(5)));
    let downstream = |options| {
        UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http2_protocol_options: options,
            ..Default::default()
        })
    };
    let as_it_came = |max_concurrent_streams| UpstreamProtocol::Downstream {
        max_concurrent_streams,
    };
    assert_eq!(speaking(downstream(None)), Ok(as_it_came(1024)));
    assert_eq!(speaking(downstream(Some(streams(9)))), Ok(as_it_came(9)));
    assert_eq!(as_it_came(9).streams(false), None);
    assert_eq!(as_it_came(9).streams(true), Some(9));
    assert_eq!(most(5).streams(false), Some(5));
}

#[test]
fn what_a_protocol_cannot_do_is_refused_by_path() {
    let path = format!("Cluster c: typed_extension_protocol_options[{HTTP_OPTIONS}]");
    let http2 = |options| speaking(explicit(ProtocolConfig::Http2ProtocolOptions(options)));
    assert_eq!(
        http2(streams(0)).unwrap_err(),
        format!(
            "{path}.explicit_http_config.http2_protocol_options.max_concurrent_streams: expected 1 to 2147483647, found 0"
        )
    );
    let mut connect = streams(1);
    connect.allow_connect = true;
    assert_eq!(
        http2(connect).unwrap_err(),
        format!(
            "{path}.explicit_http_config.http2_protocol_options: not supported yet: expected only `max_concurrent_streams`"
        )
    );
    let http3 = ProtocolConfig::Http3ProtocolOptions(Default::default());
    assert_eq!(
        speaking(explicit(http3)).unwrap_err(),
        format!(
            "{path}.explicit_http_config: not supported yet: expected `http_protocol_options` (HTTP/1.1) or \
             `http2_protocol_options`"
        )
    );
}
