//! Envoy's response flags. Source: Envoy, "access log format", `%RESPONSE_FLAGS%`.

use std::fmt;

use bitflags::{Flags as _, bitflags};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

bitflags! {
    /// A set of Envoy's response flags. The order of the bits is that of Envoy's `CoreResponseFlag`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
    pub struct ResponseFlags: u32 {
        /// Local health check failed.
        const LH = 1 << 0;
        /// No healthy upstream.
        const UH = 1 << 1;
        /// Upstream request timeout.
        const UT = 1 << 2;
        /// Reset by the proxy itself.
        const LR = 1 << 3;
        /// Upstream remote reset.
        const UR = 1 << 4;
        /// Upstream connection failure.
        const UF = 1 << 5;
        /// Upstream connection termination.
        const UC = 1 << 6;
        /// Upstream overflow (circuit breaking).
        const UO = 1 << 7;
        /// No route.
        const NR = 1 << 8;
        /// Delay injected.
        const DI = 1 << 9;
        /// Fault injected.
        const FI = 1 << 10;
        /// Rate limited locally.
        const RL = 1 << 11;
        /// Denied by an external authorization service.
        const UAEX = 1 << 12;
        /// Downstream connection termination.
        const DC = 1 << 13;
        /// Upstream retry limit exceeded.
        const URX = 1 << 14;
        /// Downstream protocol error.
        const DPE = 1 << 15;
        /// No cluster found.
        const NC = 1 << 16;
        /// Upstream protocol error.
        const UPE = 1 << 17;
        /// Stream idle timeout.
        const SI = 1 << 18;
        /// DNS resolution failed.
        const DF = 1 << 19;
        /// A request header of Envoy's own was invalid.
        const IH = 1 << 20;
        /// Upstream reached its maximum stream duration.
        const UMSDR = 1 << 21;
        /// The connection or request exceeded its maximum duration.
        const DT = 1 << 22;
        /// Shed by the overload manager.
        const OM = 1 << 23;
        /// Dropped by the drop policy of the cluster's endpoints.
        const DO = 1 << 24;
    }
}

/// The flags that Envoy prints before all others. Envoy prints flags in the order in which they are set: filters run
/// first, and exhausted retries are detected before the cause of the last failure.
const PRINTED_FIRST: ResponseFlags = ResponseFlags::DI
    .union(ResponseFlags::FI)
    .union(ResponseFlags::RL)
    .union(ResponseFlags::UAEX)
    .union(ResponseFlags::URX);

impl ResponseFlags {
    /// The names of all flags, by bit.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        ResponseFlags::FLAGS.iter().map(bitflags::Flag::name)
    }
}

impl fmt::Display for ResponseFlags {
    /// Comma separated, `-` for none, as in Envoy's access log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let first = self.intersection(PRINTED_FIRST);
        let others = self.difference(PRINTED_FIRST);
        for (at, (name, _)) in first.iter_names().chain(others.iter_names()).enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl Serialize for ResponseFlags {
    /// Written as a number because the Journal contains one set per request and attempt.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.bits())
    }
}

impl<'de> Deserialize<'de> for ResponseFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ResponseFlags, D::Error> {
        let bits = u32::deserialize(deserializer)?;
        ResponseFlags::from_bits(bits).ok_or_else(|| {
            D::Error::invalid_value(
                Unexpected::Unsigned(bits.into()),
                &"a set of response flags",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_printed_in_envoys_order() {
        assert_eq!(
            ResponseFlags::all().to_string(),
            "DI,FI,RL,UAEX,URX,LH,UH,UT,LR,UR,UF,UC,UO,NR,DC,DPE,NC,UPE,SI,DF,IH,UMSDR,DT,OM,DO"
        );
        let set = ResponseFlags::UF | ResponseFlags::URX;
        assert_eq!(set.to_string(), "URX,UF");
        assert_eq!(ResponseFlags::empty().to_string(), "-");
    }

    #[test]
    fn a_name_leads_to_its_bit() {
        for (bit, name) in ResponseFlags::names().enumerate() {
            let flag = ResponseFlags::from_name(name).unwrap();
            assert_eq!((flag.bits(), flag.to_string().as_str()), (1 << bit, name));
        }
        assert_eq!(ResponseFlags::from_name("uf"), None);
    }

    #[test]
    fn a_set_is_serialised_as_a_number() {
        let set = ResponseFlags::UF | ResponseFlags::DO;
        assert_eq!(serde_json::to_string(&set).unwrap(), "16777248");
        assert_eq!(
            postcard::to_stdvec(&set).unwrap(),
            postcard::to_stdvec(&set.bits()).unwrap()
        );
        assert_eq!(
            serde_json::from_str::<ResponseFlags>("16777248").unwrap(),
            set
        );
        let error = serde_json::from_str::<ResponseFlags>("33554432").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid value: integer `33554432`, expected a set of response flags"
        );
    }
}
