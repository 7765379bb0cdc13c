//! Tests of transport sockets: which connections of a listener and of a cluster are TLS, and whom they trust.

use std::time::Duration;

use super::*;
use crate::proto::cluster::cluster::TransportSocketMatch;
use crate::proto::core::{TransportSocket, transport_socket};
use crate::proto::listener::{FilterChainMatch, ListenerFilter, listener_filter};
use crate::proto::manager::http_connection_manager::{
    ForwardClientCertDetails, SetCurrentClientCertDetails,
};
use crate::proto::manager::{HttpConnectionManager, HttpFilter, http_filter};
use crate::proto::matcher::{StringMatcher, string_matcher::MatchPattern};
use crate::proto::protobuf::{BoolValue, Struct, Value, value};
use crate::proto::tls::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use crate::proto::tls::subject_alt_name_matcher::SanType;
use crate::proto::tls::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig,
    SubjectAltNameMatcher, UpstreamTlsContext,
};
use crate::proto::{self, MESH_TLS, METADATA_TRANSPORT, RawBuffer, TLS_MODE, pack};
use crate::table::{
    ClientCertificates, ForwardClientCert, ListenerTls, UpstreamTransport, UpstreamTrust,
};

fn socket<M: prost::Message + prost::Name>(message: &M) -> Option<TransportSocket> {
    Some(TransportSocket {
        name: "any".into(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(pack(message))),
    })
}

fn secret(name: &str) -> SdsSecretConfig {
    let ads = core::config_source::ConfigSourceSpecifier::Ads(Default::default());
    SdsSecretConfig {
        name: name.into(),
        sds_config: Some(core::ConfigSource {
            config_source_specifier: Some(ads),
            ..Default::default()
        }),
    }
}

/// The settings of a workload's own certificate, and the names of the peers that it accepts.
fn common(names: &[(SanType, &str)]) -> CommonTlsContext {
    let matcher = |(kind, name): &(SanType, &str)| SubjectAltNameMatcher {
        san_type: (*kind).into(),
        matcher: Some(StringMatcher {
            match_pattern: Some(MatchPattern::Exact((*name).into())),
            ..Default::default()
        }),
        ..Default::default()
    };
    let combined = CombinedCertificateValidationContext {
        default_validation_context: Some(CertificateValidationContext {
            match_typed_subject_alt_names: names.iter().map(matcher).collect(),
            ..Default::default()
        }),
        validation_context_sds_secret_config: Some(secret("ROOTCA")),
        ..Default::default()
    };
    CommonTlsContext {
        tls_certificate_sds_secret_configs: vec![secret("default")],
        alpn_protocols: vec!["h2".into(), "http/1.1".into()],
        validation_context_type: Some(ValidationContextType::CombinedValidationContext(combined)),
        ..Default::default()
    }
}

fn downstream() -> DownstreamTlsContext {
    DownstreamTlsContext {
        common_tls_context: Some(common(&[])),
        require_client_certificate: Some(BoolValue { value: true }),
        ..Default::default()
    }
}

fn upstream(names: &[(SanType, &str)]) -> UpstreamTlsContext {
    UpstreamTlsContext {
        common_tls_context: Some(common(names)),
        sni: "outbound_.80_._.a".into(),
        ..Default::default()
    }
}

fn router(suppress_envoy_headers: bool) -> HttpFilter {
    let router = proto::router::Router {
        suppress_envoy_headers,
        ..Default::default()
    };
    HttpFilter {
        name: proto::ROUTER.into(),
        config_type: Some(http_filter::ConfigType::TypedConfig(pack(&router))),
        ..Default::default()
    }
}

/// A listener with one chain for each match, in which chains of `tls` end TLS.
fn listener(matches: &[(&str, &[&str])]) -> listener::Listener {
    let mut message = routing::listener(vec![router(false)]);
    message.traffic_direction = core::TrafficDirection::Inbound.into();
    let chain = message.filter_chains.remove(0);
    for (transport, protocols) in matches {
        let mut chain = chain.clone();
        chain.filter_chain_match = Some(FilterChainMatch {
            transport_protocol: (*transport).into(),
            application_protocols: protocols.iter().map(|&name| name.into()).collect(),
            ..Default::default()
        });
        if *transport == "tls" {
            chain.transport_socket = socket(&downstream());
        }
        message.filter_chains.push(chain);
    }
    message
}

fn tls_of(message: &listener::Listener) -> Result<ListenerTls, String> {
    let compiled = compile_listener(message).map_err(|error| error.to_string());
    compiled.map(|listener| listener.tls)
}

#[test]
fn the_chains_of_a_listener_decide_which_connections_are_tls() {
    let tls = |message: &listener::Listener| match tls_of(message).unwrap() {
        ListenerTls::Plaintext => None,
        ListenerTls::Permissive(tls) => Some((false, tls)),
        ListenerTls::Strict(tls) => Some((true, tls)),
    };
    assert_eq!(tls(&listener(&[("", &[])])), None);
    assert_eq!(tls(&listener(&[("raw_buffer", &[])])), None);
    let (strict, settings) = tls(&listener(&[("tls", &[])])).unwrap();
    assert!(strict && settings.offered.is_empty());
    assert_eq!(&*settings.certificate, "default");
    assert_eq!(
        settings.client,
        ClientCertificates::Required("ROOTCA".into())
    );
    assert_eq!(settings.alpn, [&b"h2"[..], b"http/1.1"].map(Box::from));
    assert_eq!(settings.handshake_timeout, Duration::from_secs(15));
    for order in [[0, 1], [1, 0]] {
        let chains: [(&str, &[&str]); 2] = [("tls", &["istio"]), ("raw_buffer", &[])];
        let (strict, settings) = tls(&listener(&order.map(|index| chains[index]))).unwrap();
        assert!(!strict);
        assert_eq!(settings.offered, [b"istio"[..].into()]);
    }
}

#[test]
fn a_client_certificate_is_optional_unless_required() {
    let mut message = listener(&[("tls", &[])]);
    let mut client = |change: fn(&mut DownstreamTlsContext)| {
        let mut context = downstream();
        change(&mut context);
        message.filter_chains[0].transport_socket = socket(&context);
        match tls_of(&message) {
            Ok(ListenerTls::Strict(tls)) => Ok(tls.client.clone()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        }
    };
    assert_eq!(
        client(|context| context.require_client_certificate = None),
        Ok(ClientCertificates::Optional("ROOTCA".into()))
    );
    assert_eq!(
        client(|context| {
            context.require_client_certificate = None;
            let common = context.common_tls_context.as_mut().unwrap();
            common.validation_context_type = None;
        }),
        Ok(ClientCertificates::None)
    );
    let error = client(|context| {
        let common = context.common_tls_context.as_mut().unwrap();
        common.validation_context_type = None;
    });
    assert!(error.unwrap_err().contains("expected roots"));
    let error = client(|context| context.common_tls_context = None);
    assert!(
        error
            .unwrap_err()
            .contains("expected the server's certificate")
    );
}

#[test]
fn chains_that_the_proxy_cannot_tell_apart_are_refused() {
    let error = |message: &listener::Listener| tls_of(message).unwrap_err();
    for (message, part) in [
        (listener(&[]), "filter_chains: expected one chain"),
        (
            listener(&[("tls", &[]), ("tls", &[])]),
            "filter_chains: expected one chain",
        ),
        (
            listener(&[("quic", &[])]),
            "filter_chains[0].filter_chain_match.transport_protocol: not supported yet: `quic`",
        ),
        (
            listener(&[("", &["h2"])]),
            "filter_chains[0].filter_chain_match.application_protocols: not supported yet",
        ),
    ] {
        assert!(error(&message).contains(part), "{}", error(&message));
    }
    let mut differs = listener(&[("tls", &[]), ("raw_buffer", &[])]);
    let other = routing::listener(vec![router(true)])
        .filter_chains
        .remove(0);
    differs.filter_chains[1].filters = other.filters;
    assert!(
        error(&differs).contains("filter_chains[1]: not supported yet: the connection manager")
    );
    let mut without = listener(&[("tls", &[])]);
    without.filter_chains[0].transport_socket = None;
    assert!(error(&without).contains("`tls` without a `transport_socket`"));
    let mut named = listener(&[("tls", &[])]);
    let context = DownstreamTlsContext {
        common_tls_context: Some(common(&[(SanType::Uri, "spiffe://a")])),
        ..downstream()
    };
    named.filter_chains[0].transport_socket = socket(&context);
    assert!(error(&named).contains("match_typed_subject_alt_names: not supported yet"));
}

#[test]
fn of_the_listener_filters_only_a_default_tls_inspector_is_accepted() {
    let filter = |packed| ListenerFilter {
        name: "f".into(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(packed)),
        ..Default::default()
    };
    let mut message = listener(&[("tls", &[])]);
    let mut inspector = proto::TlsInspector::default();
    message.listener_filters = vec![filter(pack(&inspector))];
    assert!(tls_of(&message).is_ok());
    inspector.close_connection_on_client_hello_parsing_errors = true;
    message.listener_filters = vec![filter(pack(&inspector))];
    assert!(tls_of(&message).unwrap_err().contains("must be empty"));
    message.listener_filters = vec![filter(pack(&RawBuffer {}))];
    assert!(
        tls_of(&message)
            .unwrap_err()
            .contains("listener_filters[0]")
    );
}

fn mode(value: &str) -> Struct {
    let kind = Some(value::Kind::StringValue(value.into()));
    Struct {
        fields: [(TLS_MODE.to_owned(), Value { kind })]
            .into_iter()
            .collect(),
    }
}

/// A cluster that uses TLS for endpoints with these metadata, and a raw buffer for the others.
fn by_mode(metadata: Struct) -> cluster::Cluster {
    let entry = |of: Struct, transport_socket| TransportSocketMatch {
        name: "m".into(),
        r#match: Some(of),
        transport_socket,
    };
    let mut message = eds();
    message.transport_socket_matches = vec![
        entry(metadata, socket(&upstream(&[(SanType::Uri, "spiffe://a")]))),
        entry(Struct::default(), socket(&RawBuffer {})),
    ];
    message
}

#[test]
fn a_cluster_is_tls_to_all_hosts_to_some_or_to_none() {
    let transport = |message: &cluster::Cluster| compile_cluster(message).unwrap().transport;
    assert_eq!(transport(&eds()), UpstreamTransport::Plaintext);
    let mut message = eds();
    message.transport_socket = socket(&RawBuffer {});
    assert_eq!(transport(&message), UpstreamTransport::Plaintext);
    // Istio writes each name once as a URI and once as a DNS name.
    let names = [
        (SanType::Uri, "a"),
        (SanType::Dns, "a"),
        (SanType::Dns, "b"),
    ];
    message.transport_socket = socket(&upstream(&names));
    let UpstreamTransport::Tls(tls) = transport(&message) else {
        panic!("{:?}", transport(&message));
    };
    assert_eq!(tls.sni.as_deref(), Some("outbound_.80_._.a"));
    assert_eq!(tls.certificate.as_deref(), Some("default"));
    assert_eq!(
        tls.trust,
        UpstreamTrust::Roots {
            roots: "ROOTCA".into(),
            names: vec!["a".into(), "b".into()],
        }
    );
    message.transport_socket = socket(&UpstreamTlsContext::default());
    let UpstreamTransport::Tls(tls) = transport(&message) else {
        panic!("{:?}", transport(&message));
    };
    assert_eq!((&tls.sni, &tls.certificate), (&None, &None));
    assert_eq!(tls.trust, UpstreamTrust::Anyone);
    assert!(matches!(
        transport(&by_mode(mode(MESH_TLS))),
        UpstreamTransport::MeshOnly(_)
    ));
}

#[test]
fn transports_that_a_cluster_cannot_choose_are_refused() {
    let error = |message: &cluster::Cluster| compile_cluster(message).unwrap_err().to_string();
    let expected = "transport_socket_matches: not supported yet: expected TLS for";
    assert!(error(&by_mode(mode("other"))).contains(expected));
    let mut reversed = by_mode(mode(MESH_TLS));
    reversed.transport_socket_matches.reverse();
    assert!(error(&reversed).contains(expected));
    let mut both = by_mode(mode(MESH_TLS));
    both.transport_socket = socket(&RawBuffer {});
    assert!(error(&both).contains("transport_socket_matches: not supported yet: must not be set"));
    let mut message = eds();
    message.transport_socket = socket(&upstream(&[(SanType::Email, "a@b")]));
    assert!(
        error(&message).contains(
            "default_validation_context.match_typed_subject_alt_names[0].san_type: not supported yet: EMAIL"
        ),
        "{}",
        error(&message)
    );
    message.transport_socket = socket(&eds());
    assert!(error(&message).contains("transport_socket.typed_config"));
}

#[test]
fn endpoints_of_the_mesh_are_known_by_their_metadata() {
    let mesh_tls = |metadata: Option<core::Metadata>| {
        let socket = core::SocketAddress {
            address: "10.0.0.1".into(),
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(80)),
            ..Default::default()
        };
        let address = core::Address {
            address: Some(core::address::Address::SocketAddress(socket)),
        };
        let endpoint = endpoint::LbEndpoint {
            host_identifier: Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(
                endpoint::Endpoint {
                    address: Some(address),
                    ..Default::default()
                },
            )),
            metadata,
            ..Default::default()
        };
        let message = endpoint::ClusterLoadAssignment {
            cluster_name: "c".into(),
            endpoints: vec![endpoint::LocalityLbEndpoints {
                lb_endpoints: vec![endpoint],
                ..Default::default()
            }],
            ..Default::default()
        };
        compile_endpoints(&message).unwrap().hosts[0].mesh_tls
    };
    let metadata = |value: &str| core::Metadata {
        filter_metadata: [(METADATA_TRANSPORT.to_owned(), mode(value))]
            .into_iter()
            .collect(),
        ..Default::default()
    };
    assert!(mesh_tls(Some(metadata(MESH_TLS))));
    assert!(!mesh_tls(Some(metadata("disabled"))));
    assert!(!mesh_tls(None));
}

#[test]
fn the_header_of_client_certificates_has_the_parts_that_are_set() {
    let compiled = |mode: ForwardClientCertDetails, details| {
        let manager = HttpConnectionManager {
            forward_client_cert_details: mode.into(),
            set_current_client_cert_details: details,
            ..Default::default()
        };
        crate::compile::manager::compile(&manager).map(|manager| manager.client_certificate_header)
    };
    let details = SetCurrentClientCertDetails {
        subject: Some(BoolValue { value: true }),
        uri: true,
        ..Default::default()
    };
    let header = compiled(ForwardClientCertDetails::AppendForward, Some(details)).unwrap();
    assert_eq!(header.mode, ForwardClientCert::AppendForward);
    assert_eq!(
        (header.subject, header.uri, header.dns),
        (true, true, false)
    );
    let header = compiled(ForwardClientCertDetails::Sanitize, None).unwrap();
    assert_eq!(header, Default::default());
    let cert = SetCurrentClientCertDetails {
        cert: true,
        ..Default::default()
    };
    assert!(compiled(ForwardClientCertDetails::SanitizeSet, Some(cert)).is_err());
}
