//! Errors in fields, and their paths, which are built from the innermost field outwards.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::proto::core::address::Address;
use crate::proto::core::config_source::ConfigSourceSpecifier;
use crate::proto::core::{self, socket_address};
use crate::proto::{ResourceKind, protobuf};

/// The reason why a resource cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name}: {path}: {problem}")]
pub struct CompileError {
    pub kind: ResourceKind,
    pub name: String,
    /// The field, as in `virtual_hosts[0].routes[2].route.timeout`.
    pub path: String,
    /// The reason, and the values that would be accepted.
    pub problem: String,
}

pub(super) type Result<T> = std::result::Result<T, FieldProblem>;

/// An error in a field.
#[derive(Debug)]
pub(super) struct FieldProblem {
    path: String,
    text: String,
}

impl FieldProblem {
    pub(super) fn new(field: &str, text: impl Into<String>) -> Self {
        FieldProblem {
            path: field.into(),
            text: text.into(),
        }
    }

    /// An error for a field that is set but not supported.
    pub(super) fn unsupported(field: &str) -> Self {
        FieldProblem::new(field, "not supported yet: must not be set")
    }

    /// Returns the same error as seen from the message that contains `field`.
    pub(super) fn within(mut self, field: &str) -> Self {
        let dot = if self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{field}{dot}{}", self.path);
        self
    }

    pub(super) fn in_resource(self, kind: ResourceKind, name: &str) -> CompileError {
        CompileError {
            kind,
            name: name.into(),
            path: self.path,
            problem: self.text,
        }
    }
}

/// Returns true if the field has its default value.
pub(super) fn unset<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}

/// Destructures a message and refuses the fields that are set and would change behaviour, but are not supported. The
/// `used` fields are read by the surrounding code. The `ignored` fields have no externally visible effect, or none
/// unless a refused field is also set.
///
/// All fields are listed, so that a field added by a newer `envoy-types` fails to compile until it has been
/// classified.
macro_rules! fields {
    ($message:expr => $($ty:ident)::+ {
        $(refused: $($refused:ident)*;)?
        used: $($used:ident)*;
        $(ignored: $($ignored:ident)*;)?
    }) => {{
        #[allow(deprecated, reason = "control planes still send deprecated fields")]
        let $($ty)::+ { $($($refused,)*)? $($used: _,)* $($($ignored: _,)*)? } = $message;
        $($(if !crate::compile::problem::unset($refused) {
            return Err(crate::compile::problem::FieldProblem::unsupported(stringify!($refused)));
        })*)?
    }};
}
pub(super) use fields;

/// Refuses fields that are set.
macro_rules! refuse {
    ($message:expr; $($field:ident)*) => {
        $(if !crate::compile::problem::unset(&$message.$field) {
            return Err(crate::compile::problem::FieldProblem::unsupported(stringify!($field)));
        })*
    };
}
pub(super) use refuse;

pub(super) fn named(field: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        Err(FieldProblem::new(field, "expected a name, found nothing"))
    } else {
        Ok(())
    }
}

/// Returns true if a flag is set and true.
pub(super) fn is_true(flag: Option<&protobuf::BoolValue>) -> bool {
    flag.is_some_and(|flag| flag.value)
}

/// Converts an enum number. Unknown numbers are refused, because protobuf enums are open and newer control planes may
/// use more values.
pub(super) fn enumerated<E: TryFrom<i32>>(field: &str, number: i32) -> Result<E> {
    E::try_from(number).map_err(|_| FieldProblem::new(field, format!("unknown number {number}")))
}

/// Converts a duration, which must not be negative. `None` if unset.
pub(super) fn duration(
    field: &str,
    value: Option<&protobuf::Duration>,
) -> Result<Option<Duration>> {
    let Some(value) = value else { return Ok(None) };
    let seconds = u64::try_from(value.seconds);
    let nanos = u32::try_from(value.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000);
    match (seconds, nanos) {
        (Ok(seconds), Some(nanos)) => Ok(Some(Duration::new(seconds, nanos))),
        _ => Err(FieldProblem::new(field, "expected a duration of 0 or more")),
    }
}

/// Converts a TCP address with its port.
pub(super) fn address(field: &str, address: Option<&core::Address>) -> Result<SocketAddr> {
    socket(address).map_err(|problem| problem.within(field))
}

fn socket(address: Option<&core::Address>) -> Result<SocketAddr> {
    let Some(Address::SocketAddress(socket)) = address.and_then(|address| address.address.as_ref())
    else {
        return Err(FieldProblem::new(
            "socket_address",
            "expected an address and a port",
        ));
    };
    fields!(socket => core::SocketAddress {
        refused: protocol resolver_name ipv4_compat network_namespace_filepath;
        used: address port_specifier;
    });
    let ip: IpAddr = socket.address.parse().map_err(|_| {
        FieldProblem::new(
            "address",
            format!("expected an IP address, found `{}`", socket.address),
        )
    })?;
    match socket.port_specifier {
        Some(socket_address::PortSpecifier::PortValue(port)) => match u16::try_from(port) {
            Ok(port) if port > 0 => Ok(SocketAddr::new(ip, port)),
            _ => Err(FieldProblem::new(
                "port_value",
                format!("expected a port from 1 to 65535, found {port}"),
            )),
        },
        Some(socket_address::PortSpecifier::NamedPort(_)) => {
            Err(FieldProblem::unsupported("named_port"))
        }
        None => Err(FieldProblem::new(
            "port_value",
            "expected a port from 1 to 65535, found nothing",
        )),
    }
}

/// Refuses config sources other than ADS.
pub(super) fn from_ads(field: &str, source: Option<&core::ConfigSource>) -> Result<()> {
    if let Some(source) = source {
        // `initial_fetch_timeout`: the proxy always waits for Envoy's default.
        fields!(source => core::ConfigSource {
            used: config_source_specifier;
            ignored: authorities initial_fetch_timeout resource_api_version;
        });
    }
    match source.and_then(|source| source.config_source_specifier.as_ref()) {
        Some(ConfigSourceSpecifier::Ads(_)) => Ok(()),
        _ => Err(FieldProblem::new(
            field,
            "expected `ads`: no other source is supported yet",
        )),
    }
}
