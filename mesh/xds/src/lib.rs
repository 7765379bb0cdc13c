//! The configuration of a proxy: as it is received over xDS, and as it is executed.
//!
//! [`proto`] has Envoy's messages, [`mod@compile`] makes of them the immutable [`table`] that a proxy looks requests up in.
//! Nothing in here knows of Istio's documents. Pure: no input or output, and the same result for the same message.

pub mod compile;
pub mod proto;
pub mod table;
