//! Compiles the settings of an `HttpConnectionManager` other than its routes and filters.

use std::net::IpAddr;

use super::problem::{FieldProblem, Result, duration, enumerated, fields, is_true};
use crate::proto::core::{CidrRange, HttpProtocolOptions};
use crate::proto::manager::HttpConnectionManager;
use crate::proto::manager::http_connection_manager::{
    self, ForwardClientCertDetails, InternalAddressConfig,
    PathWithEscapedSlashesAction as EscapedSlashes, SetCurrentClientCertDetails,
};
use crate::proto::protobuf::BoolValue;
use crate::proto::route::route_action::{MaxStreamDuration, UpgradeConfig};
use crate::table::{
    AddressRange, ClientAddressSource, ClientCertificateHeader, ForwardClientCert, Manager,
    StreamDuration, Upgrades,
};

pub(super) fn compile(message: &HttpConnectionManager) -> Result<Manager> {
    let max_stream_duration = match &message.common_http_protocol_options {
        None => None,
        Some(options) => {
            options_of(options).map_err(|problem| problem.within("common_http_protocol_options"))?
        }
    };
    let some = |field, value: Option<_>| {
        let span = duration(field, value)?;
        Ok(span.filter(|span| !span.is_zero()))
    };
    Ok(Manager {
        origin: origin(message)?,
        max_stream_duration,
        request_timeout: some("request_timeout", message.request_timeout.as_ref())?,
        request_headers_timeout: some(
            "request_headers_timeout",
            message.request_headers_timeout.as_ref(),
        )?,
        // Set by the router filter.
        suppress_envoy_headers: false,
        upgrades: upgrades(message)?,
        normalize_path: normalize_path(message)?,
        client_certificate_header: client_certificate_header(message)?,
    })
}

/// Compiles the treatment of `x-forwarded-client-cert`.
fn client_certificate_header(message: &HttpConnectionManager) -> Result<ClientCertificateHeader> {
    let written = message.set_current_client_cert_details.as_ref();
    let empty = SetCurrentClientCertDetails::default();
    let written = written.unwrap_or(&empty);
    let check = || {
        fields!(written => SetCurrentClientCertDetails {
            refused: cert chain issuer format;
            used: subject dns uri;
        });
        Ok(())
    };
    check().map_err(|problem: FieldProblem| problem.within("set_current_client_cert_details"))?;
    let mode = enumerated(
        "forward_client_cert_details",
        message.forward_client_cert_details,
    )?;
    Ok(ClientCertificateHeader {
        mode: match mode {
            ForwardClientCertDetails::Sanitize => ForwardClientCert::Sanitize,
            ForwardClientCertDetails::ForwardOnly => ForwardClientCert::ForwardOnly,
            ForwardClientCertDetails::AppendForward => ForwardClientCert::AppendForward,
            ForwardClientCertDetails::SanitizeSet => ForwardClientCert::SanitizeSet,
            ForwardClientCertDetails::AlwaysForwardOnly => ForwardClientCert::AlwaysForwardOnly,
        },
        subject: is_true(written.subject.as_ref()),
        dns: written.dns,
        uri: written.uri,
    })
}

fn options_of(options: &HttpProtocolOptions) -> Result<Option<std::time::Duration>> {
    fields!(options => HttpProtocolOptions {
        refused: idle_timeout max_connection_duration max_headers_count max_response_headers_kb
            headers_with_underscores_action max_requests_per_connection;
        used: max_stream_duration;
        ignored: max_connection_duration_jitter;
    });
    let span = duration("max_stream_duration", options.max_stream_duration.as_ref())?;
    Ok(span.filter(|span| !span.is_zero()))
}

/// Compiles `normalize_path`. Escaped slashes are kept, which is also Envoy's default.
fn normalize_path(message: &HttpConnectionManager) -> Result<bool> {
    let field = "path_with_escaped_slashes_action";
    match enumerated(field, message.path_with_escaped_slashes_action)? {
        EscapedSlashes::ImplementationSpecificDefault | EscapedSlashes::KeepUnchanged => {}
        other => {
            let text = format!(
                "not supported yet: {}; expected KEEP_UNCHANGED",
                other.as_str_name()
            );
            return Err(FieldProblem::new(field, text));
        }
    }
    Ok(is_true(message.normalize_path.as_ref()))
}

fn origin(message: &HttpConnectionManager) -> Result<ClientAddressSource> {
    let internal = match &message.internal_address_config {
        None => Vec::new(),
        Some(config) => {
            internal(config).map_err(|problem| problem.within("internal_address_config"))?
        }
    };
    Ok(ClientAddressSource {
        use_remote_address: is_true(message.use_remote_address.as_ref()),
        trusted_hops: message.xff_num_trusted_hops,
        skip_append: message.skip_xff_append,
        internal,
    })
}

fn internal(config: &InternalAddressConfig) -> Result<Vec<AddressRange>> {
    fields!(config => InternalAddressConfig {
        used: cidr_ranges;
        ignored: unix_sockets;
    });
    // Unix sockets are ignored: the proxy never listens on one.
    let ranges = config.cidr_ranges.iter().enumerate();
    let read = |(index, range): (usize, &CidrRange)| {
        network(range).map_err(|problem| problem.within(&format!("cidr_ranges[{index}]")))
    };
    ranges.map(read).collect()
}

fn network(range: &CidrRange) -> Result<AddressRange> {
    fields!(range => CidrRange {
        used: address_prefix prefix_len;
    });
    let address: IpAddr = range.address_prefix.parse().map_err(|_| {
        let text = format!("expected an IP address, found `{}`", range.address_prefix);
        FieldProblem::new("address_prefix", text)
    })?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    // An unset length means 0. Source: Envoy, `CidrRange`.
    let prefix = range.prefix_len.as_ref().map_or(0, |length| length.value);
    match u8::try_from(prefix) {
        Ok(prefix) if prefix <= most => Ok(AddressRange { address, prefix }),
        _ => {
            let text = format!("expected at most {most}, found {prefix}");
            Err(FieldProblem::new("prefix_len", text))
        }
    }
}

fn upgrades(message: &HttpConnectionManager) -> Result<Upgrades> {
    each_upgrade(&message.upgrade_configs, |written| {
        fields!(written => http_connection_manager::UpgradeConfig {
            refused: filters;
            used: upgrade_type enabled;
        });
        Ok((&written.upgrade_type, may_upgrade(written.enabled.as_ref())))
    })
}

/// Compiles a route's upgrade settings.
pub(super) fn upgrades_of_route(written: &[UpgradeConfig]) -> Result<Upgrades> {
    each_upgrade(written, |written| {
        fields!(written => UpgradeConfig {
            refused: connect_config;
            used: upgrade_type enabled;
        });
        Ok((&written.upgrade_type, may_upgrade(written.enabled.as_ref())))
    })
}

/// Compiles `upgrade_configs`. `read` returns the name of an upgrade, and true if it is enabled.
fn each_upgrade<M>(written: &[M], read: fn(&M) -> Result<(&str, bool)>) -> Result<Upgrades> {
    let mut upgrades = Upgrades::default();
    for (index, written) in written.iter().enumerate() {
        read(written)
            .and_then(|(name, may)| add(&mut upgrades, name, may))
            .map_err(|problem| problem.within(&format!("upgrade_configs[{index}]")))?;
    }
    Ok(upgrades)
}

fn may_upgrade(enabled: Option<&BoolValue>) -> bool {
    enabled.is_none_or(|enabled| enabled.value)
}

fn add(upgrades: &mut Upgrades, name: &str, may: bool) -> Result<()> {
    let field = "upgrade_type";
    if name.is_empty() {
        return Err(FieldProblem::new(field, "expected a name, found nothing"));
    }
    if name.eq_ignore_ascii_case("CONNECT") || name.eq_ignore_ascii_case("CONNECT-UDP") {
        let text = format!("not supported yet: `{name}`; expected `websocket` or another upgrade");
        return Err(FieldProblem::new(field, text));
    }
    if upgrades.allows(name).is_some() {
        let text = format!("duplicate `{name}`");
        return Err(FieldProblem::new(field, text));
    }
    upgrades.0.push((name.to_ascii_lowercase().into(), may));
    Ok(())
}

/// Compiles a route's limits for the duration of a request.
pub(super) fn stream_duration(message: &MaxStreamDuration) -> Result<StreamDuration> {
    fields!(message => MaxStreamDuration {
        used: max_stream_duration grpc_timeout_header_max grpc_timeout_header_offset;
    });
    Ok(StreamDuration {
        max: duration("max_stream_duration", message.max_stream_duration.as_ref())?,
        grpc_max: duration(
            "grpc_timeout_header_max",
            message.grpc_timeout_header_max.as_ref(),
        )?,
        grpc_offset: duration(
            "grpc_timeout_header_offset",
            message.grpc_timeout_header_offset.as_ref(),
        )?,
    })
}
