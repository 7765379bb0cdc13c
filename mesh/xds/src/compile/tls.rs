//! Compiles the transport sockets of listeners and clusters.
//!
//! Certificates and roots are named secrets. Which of them exist is known only to the proxy that has them.

use std::sync::Arc;
use std::time::Duration;

use super::problem::{
    FieldProblem, Result, duration, enumerated, fields, from_ads, is_true, named, unset,
};
use crate::proto::cluster::{self, cluster::TransportSocketMatch};
use crate::proto::core::{TransportSocket, transport_socket};
use crate::proto::listener::{FilterChain, FilterChainMatch};
use crate::proto::matcher::{StringMatcher, string_matcher::MatchPattern};
use crate::proto::protobuf::{Struct, value::Kind};
use crate::proto::tls::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use crate::proto::tls::subject_alt_name_matcher::SanType;
use crate::proto::tls::tls_parameters::TlsProtocol;
use crate::proto::tls::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig,
    SubjectAltNameMatcher, TlsParameters, UpstreamTlsContext,
};
use crate::proto::{self, MESH_TLS, RawBuffer, TLS_MODE};
use crate::table::{
    ClientCertificates, DownstreamTls, ListenerTls, UpstreamTls, UpstreamTransport, UpstreamTrust,
};

/// The time for a client's handshake unless the filter chain sets another. Envoy's default is unlimited.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// The transport security of a listener with these filter chains, whose filters are equal.
///
/// There is one chain, or one for TLS and one for plain text.
pub(super) fn listener(chains: &[FilterChain]) -> Result<ListenerTls> {
    let compiled: Vec<Chain> = chains
        .iter()
        .enumerate()
        .map(|(index, chain)| chain_of(chain).map_err(|problem| problem.within(&at(index))))
        .collect::<Result<_>>()?;
    match compiled.as_slice() {
        [Chain::Any(None) | Chain::Plaintext] => Ok(ListenerTls::Plaintext),
        [Chain::Any(Some(tls)) | Chain::Tls(tls)] => Ok(ListenerTls::Strict(Arc::clone(tls))),
        [Chain::Tls(tls), Chain::Plaintext] | [Chain::Plaintext, Chain::Tls(tls)] => {
            Ok(ListenerTls::Permissive(Arc::clone(tls)))
        }
        _ => {
            let text = "expected one chain, or one that matches `transport_protocol: tls` and one \
                        that matches `raw_buffer`; others are not supported yet";
            Err(FieldProblem::new("filter_chains", text))
        }
    }
}

pub(super) fn at(index: usize) -> String {
    format!("filter_chains[{index}]")
}

/// The connections of a filter chain.
enum Chain {
    /// All connections, with or without TLS.
    Any(Option<Arc<DownstreamTls>>),
    /// Connections that begin with a TLS client hello.
    Tls(Arc<DownstreamTls>),
    /// All other connections.
    Plaintext,
}

fn chain_of(chain: &FilterChain) -> Result<Chain> {
    let timeout = duration(
        "transport_socket_connect_timeout",
        chain.transport_socket_connect_timeout.as_ref(),
    )?;
    let timeout = timeout.filter(|timeout| !timeout.is_zero());
    let tls = match chain.transport_socket.as_ref().map(socket_kind) {
        None => None,
        Some(kind) => kind
            .and_then(|kind| downstream(kind, timeout.unwrap_or(HANDSHAKE_TIMEOUT)))
            .map_err(|problem| problem.within("transport_socket"))?,
    };
    let Some(written) = &chain.filter_chain_match else {
        return Ok(Chain::Any(tls.map(Arc::new)));
    };
    matched(written, tls).map_err(|problem| problem.within("filter_chain_match"))
}

fn matched(written: &FilterChainMatch, tls: Option<DownstreamTls>) -> Result<Chain> {
    fields!(written => FilterChainMatch {
        refused: destination_port prefix_ranges address_suffix suffix_len direct_source_prefix_ranges source_type
            source_prefix_ranges source_ports server_names;
        used: transport_protocol application_protocols;
    });
    let offered = protocols(&written.application_protocols);
    match (written.transport_protocol.as_str(), tls) {
        ("tls", Some(tls)) => Ok(Chain::Tls(Arc::new(DownstreamTls { offered, ..tls }))),
        ("raw_buffer", None) if offered.is_empty() => Ok(Chain::Plaintext),
        ("", tls) if offered.is_empty() => Ok(Chain::Any(tls.map(Arc::new))),
        ("tls", None) => Err(FieldProblem::new(
            "transport_protocol",
            "not supported yet: `tls` without a `transport_socket` that ends TLS",
        )),
        ("raw_buffer", Some(_)) => Err(FieldProblem::new(
            "transport_protocol",
            "expected `tls`, because the chain has a `transport_socket`",
        )),
        ("" | "raw_buffer", _) => Err(FieldProblem::unsupported("application_protocols")),
        (other, _) => Err(FieldProblem::new(
            "transport_protocol",
            format!("not supported yet: `{other}`; expected `tls` or `raw_buffer`"),
        )),
    }
}

/// The message of a transport socket.
enum SocketKind<'a> {
    Raw,
    Packed(&'a proto::protobuf::Any),
}

fn socket_kind(socket: &TransportSocket) -> Result<SocketKind<'_>> {
    fields!(socket => TransportSocket {
        used: config_type;
        ignored: name;
    });
    let Some(transport_socket::ConfigType::TypedConfig(packed)) = &socket.config_type else {
        return Err(FieldProblem::new(
            "typed_config",
            "expected a message, found nothing",
        ));
    };
    let is_raw = proto::unpack::<RawBuffer>(packed).is_ok();
    Ok(if is_raw {
        SocketKind::Raw
    } else {
        SocketKind::Packed(packed)
    })
}

fn unpacked<M: prost::Message + prost::Name + Default>(packed: &proto::protobuf::Any) -> Result<M> {
    proto::unpack(packed).map_err(|error| FieldProblem::new("typed_config", error.to_string()))
}

fn downstream(kind: SocketKind<'_>, handshake_timeout: Duration) -> Result<Option<DownstreamTls>> {
    let SocketKind::Packed(packed) = kind else {
        return Ok(None);
    };
    let message: &DownstreamTlsContext = &unpacked(packed)?;
    let read = || {
        fields!(message => DownstreamTlsContext {
            refused: require_sni ocsp_staple_policy full_scan_certs_on_sni_mismatch session_ticket_keys_type;
            used: common_tls_context require_client_certificate;
            ignored: disable_stateful_session_resumption session_timeout prefer_client_ciphers;
        });
        let common = common(message.common_tls_context.as_ref())?;
        let Some(certificate) = common.certificate else {
            let text = "expected the server's certificate, found nothing";
            return Err(FieldProblem::new(CERTIFICATES, text));
        };
        let required = is_true(message.require_client_certificate.as_ref());
        let client = match (common.trust, required) {
            (None, false) => ClientCertificates::None,
            (None, true) => {
                let text = "expected roots, because a client certificate is required";
                return Err(FieldProblem::new("validation_context", text));
            }
            (Some(trust), _) if !trust.names.is_empty() => {
                return Err(FieldProblem::unsupported("match_typed_subject_alt_names"));
            }
            (Some(trust), false) => ClientCertificates::Optional(trust.roots),
            (Some(trust), true) => ClientCertificates::Required(trust.roots),
        };
        Ok(DownstreamTls {
            certificate,
            client,
            alpn: common.alpn,
            offered: Vec::new(),
            handshake_timeout,
        })
    };
    read()
        .map(Some)
        .map_err(|problem: FieldProblem| problem.within("typed_config"))
}

/// The transport of a cluster's connections.
///
/// The only supported matches are Istio's: TLS for hosts with the metadata `tlsMode: istio`, plain text for the others.
pub(super) fn cluster(message: &cluster::Cluster) -> Result<UpstreamTransport> {
    let matches = message.transport_socket_matches.as_slice();
    match (&message.transport_socket, matches) {
        (None, []) => Ok(UpstreamTransport::Plaintext),
        (Some(socket), []) => {
            let tls = upstream(socket).map_err(|problem| problem.within("transport_socket"))?;
            Ok(tls.map_or(UpstreamTransport::Plaintext, UpstreamTransport::Tls))
        }
        (None, [mesh, rest]) if is_mesh(mesh) && is_rest(rest) => {
            let within = |problem: FieldProblem, index: usize| {
                problem.within(&format!(
                    "transport_socket_matches[{index}].transport_socket"
                ))
            };
            let tls = of_match(mesh).map_err(|problem| within(problem, 0))?;
            let raw = of_match(rest).map_err(|problem| within(problem, 1))?;
            match (tls, raw) {
                (Some(tls), None) => Ok(UpstreamTransport::MeshOnly(tls)),
                _ => Err(FieldProblem::new(MATCHES, MATCHES_EXPECTED)),
            }
        }
        (Some(_), _) => Err(FieldProblem::unsupported(MATCHES)),
        (None, _) => Err(FieldProblem::new(MATCHES, MATCHES_EXPECTED)),
    }
}

const MATCHES: &str = "transport_socket_matches";
const MATCHES_EXPECTED: &str = "not supported yet: expected TLS for `tlsMode: istio`, and then \
                                a raw buffer for all others";
const CERTIFICATES: &str = "tls_certificate_sds_secret_configs";

fn is_mesh(of: &TransportSocketMatch) -> bool {
    let Some(Struct { fields }) = &of.r#match else {
        return false;
    };
    let mode = fields.get(TLS_MODE).and_then(|value| value.kind.as_ref());
    fields.len() == 1 && matches!(mode, Some(Kind::StringValue(mode)) if mode == MESH_TLS)
}

fn is_rest(of: &TransportSocketMatch) -> bool {
    of.r#match.as_ref().is_none_or(unset)
}

fn of_match(of: &TransportSocketMatch) -> Result<Option<Arc<UpstreamTls>>> {
    of.transport_socket.as_ref().map_or(Ok(None), upstream)
}

fn upstream(socket: &TransportSocket) -> Result<Option<Arc<UpstreamTls>>> {
    let SocketKind::Packed(packed) = socket_kind(socket)? else {
        return Ok(None);
    };
    let message: &UpstreamTlsContext = &unpacked(packed)?;
    let read = || {
        fields!(message => UpstreamTlsContext {
            refused: auto_host_sni auto_sni_san_validation allow_renegotiation;
            used: common_tls_context sni;
            ignored: max_session_keys enforce_rsa_key_usage;
        });
        let common = common(message.common_tls_context.as_ref())?;
        Ok(Arc::new(UpstreamTls {
            sni: Some(message.sni.as_str())
                .filter(|sni| !sni.is_empty())
                .map(Arc::from),
            certificate: common.certificate,
            trust: common
                .trust
                .map_or(UpstreamTrust::Anyone, |trust| UpstreamTrust::Roots {
                    roots: trust.roots,
                    names: trust.names,
                }),
            alpn: common.alpn,
        }))
    };
    read()
        .map(Some)
        .map_err(|problem: FieldProblem| problem.within("typed_config"))
}

/// The settings that servers and clients share.
struct Common {
    certificate: Option<Arc<str>>,
    trust: Option<Trust>,
    alpn: Vec<Box<[u8]>>,
}

/// The peer certificates that are accepted.
struct Trust {
    roots: Arc<str>,
    names: Vec<Box<str>>,
}

fn common(message: Option<&CommonTlsContext>) -> Result<Common> {
    let empty = CommonTlsContext::default();
    let message = message.unwrap_or(&empty);
    let read = || {
        fields!(message => CommonTlsContext {
            refused: tls_certificates tls_certificate_provider_instance custom_tls_certificate_selector
                tls_certificate_certificate_provider tls_certificate_certificate_provider_instance
                custom_handshaker key_log;
            used: tls_params tls_certificate_sds_secret_configs alpn_protocols validation_context_type;
        });
        let certificate = match message.tls_certificate_sds_secret_configs.as_slice() {
            [] => None,
            [one] => Some(secret(one).map_err(|problem| problem.within(CERTIFICATES))?),
            _ => {
                return Err(FieldProblem::new(
                    CERTIFICATES,
                    "not supported yet: more than one",
                ));
            }
        };
        if let Some(params) = &message.tls_params {
            check_versions(params).map_err(|problem| problem.within("tls_params"))?;
        }
        Ok(Common {
            certificate,
            trust: trust(message.validation_context_type.as_ref())?,
            alpn: protocols(&message.alpn_protocols),
        })
    };
    read().map_err(|problem: FieldProblem| problem.within("common_tls_context"))
}

/// Compiles the name of a secret, which the bootstrap has unless `ads` serves it.
fn secret(message: &SdsSecretConfig) -> Result<Arc<str>> {
    fields!(message => SdsSecretConfig {
        used: name sds_config;
    });
    named("name", &message.name)?;
    if message.sds_config.is_some() {
        from_ads("sds_config", message.sds_config.as_ref())?;
    }
    Ok(Arc::from(message.name.as_str()))
}

fn trust(written: Option<&ValidationContextType>) -> Result<Option<Trust>> {
    match written {
        None => Ok(None),
        Some(ValidationContextType::ValidationContextSdsSecretConfig(roots)) => {
            let roots = secret(roots)
                .map_err(|problem| problem.within("validation_context_sds_secret_config"))?;
            let names = Vec::new();
            Ok(Some(Trust { roots, names }))
        }
        Some(ValidationContextType::CombinedValidationContext(combined)) => {
            combined_trust(combined)
                .map(Some)
                .map_err(|problem| problem.within("combined_validation_context"))
        }
        Some(ValidationContextType::ValidationContext(inline)) if unset(inline) => Ok(None),
        Some(_) => {
            let text = "not supported yet: expected roots of an SDS secret";
            Err(FieldProblem::new("validation_context_type", text))
        }
    }
}

fn combined_trust(combined: &CombinedCertificateValidationContext) -> Result<Trust> {
    fields!(combined => CombinedCertificateValidationContext {
        refused: validation_context_certificate_provider validation_context_certificate_provider_instance;
        used: default_validation_context validation_context_sds_secret_config;
    });
    let roots = combined.validation_context_sds_secret_config.as_ref();
    let empty = SdsSecretConfig::default();
    let roots = secret(roots.unwrap_or(&empty))
        .map_err(|problem| problem.within("validation_context_sds_secret_config"))?;
    let names = match &combined.default_validation_context {
        None => Vec::new(),
        Some(context) => {
            names(context).map_err(|problem| problem.within("default_validation_context"))?
        }
    };
    Ok(Trust { roots, names })
}

fn names(context: &CertificateValidationContext) -> Result<Vec<Box<str>>> {
    fields!(context => CertificateValidationContext {
        refused: trusted_ca ca_certificate_provider_instance system_root_certs watched_directory
            verify_certificate_spki verify_certificate_hash match_subject_alt_names
            require_signed_certificate_timestamp crl allow_expired_certificate trust_chain_verification
            custom_validator_config only_verify_leaf_cert_crl max_verify_depth;
        used: match_typed_subject_alt_names;
        ignored: suppress_client_ca_list;
    });
    let matchers = context.match_typed_subject_alt_names.iter().enumerate();
    let mut names: Vec<Box<str>> = Vec::new();
    for (index, matcher) in matchers {
        let name = name(matcher).map_err(|problem| {
            problem.within(&format!("match_typed_subject_alt_names[{index}]"))
        })?;
        // Istio writes each name once for URIs and once for DNS names.
        if !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
    }
    Ok(names)
}

fn name(written: &SubjectAltNameMatcher) -> Result<&str> {
    fields!(written => SubjectAltNameMatcher {
        refused: oid;
        used: san_type matcher;
    });
    match enumerated("san_type", written.san_type)? {
        SanType::Uri | SanType::Dns => {}
        other => {
            let text = format!(
                "not supported yet: {}; expected URI or DNS",
                other.as_str_name()
            );
            return Err(FieldProblem::new("san_type", text));
        }
    }
    match &written.matcher {
        Some(StringMatcher {
            match_pattern: Some(MatchPattern::Exact(name)),
            ignore_case: false,
        }) if !name.is_empty() => Ok(name),
        _ => Err(FieldProblem::new(
            "matcher",
            "not supported yet: expected `exact`",
        )),
    }
}

/// Checks the versions of TLS, which are 1.2 and 1.3.
fn check_versions(written: &TlsParameters) -> Result<()> {
    fields!(written => TlsParameters {
        refused: cipher_suites ecdh_curves signature_algorithms compliance_policies;
        used: tls_minimum_protocol_version tls_maximum_protocol_version;
    });
    let version = |field, number, known: TlsProtocol| match enumerated(field, number)? {
        TlsProtocol::TlsAuto => Ok(()),
        other if other == known => Ok(()),
        other => {
            let (other, known) = (other.as_str_name(), known.as_str_name());
            let text = format!("not supported yet: {other}; expected {known}");
            Err(FieldProblem::new(field, text))
        }
    };
    version(
        "tls_minimum_protocol_version",
        written.tls_minimum_protocol_version,
        TlsProtocol::TlSv12,
    )?;
    version(
        "tls_maximum_protocol_version",
        written.tls_maximum_protocol_version,
        TlsProtocol::TlSv13,
    )
}

fn protocols(names: &[String]) -> Vec<Box<[u8]>> {
    names.iter().map(|name| name.as_bytes().into()).collect()
}
