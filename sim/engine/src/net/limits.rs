//! Bounds of the simulated TCP: timeouts, retransmissions, buffers.

use std::time::Duration;

/// The retransmission timeout's floor. Source: Linux, `TCP_RTO_MIN`.
pub(crate) const RTO_MIN: Duration = Duration::from_millis(200);
/// The retransmission timeout's ceiling. Source: Linux, `TCP_RTO_MAX`.
pub(crate) const RTO_MAX: Duration = Duration::from_secs(120);
/// The retransmission timeout before any measurement, and of a handshake's packets. Source: RFC 6298, 2.1.
pub(crate) const RTO_INITIAL: Duration = Duration::from_secs(1);
/// Failed retransmissions after which a connection times out. Source: Linux, `tcp_retries2`.
pub(crate) const RETRIES: u32 = 15;
/// Failed retransmissions of a SYN after which the attempt times out. Source: Linux, `tcp_syn_retries`.
pub(crate) const SYN_RETRIES: u32 = 6;
/// Failed retransmissions of a SYN/ACK after which the connection is dropped. Source: Linux, `tcp_synack_retries`.
pub(crate) const SYNACK_RETRIES: u32 = 5;
/// The time for which a closed end waits for its peer's FIN. Source: Linux, `tcp_fin_timeout`.
pub(crate) const FIN_TIMEOUT: Duration = Duration::from_secs(60);
/// The maximum number of bytes of an endpoint that wait to be sent or acknowledged.
pub(crate) const SEND_BUFFER: u64 = 256 * 1024;
/// The maximum number of bytes of an endpoint that wait to be read.
pub(crate) const RECEIVE_BUFFER: u64 = 256 * 1024;
/// The maximum size of a packet, in bytes. Source: Linux, `GSO_LEGACY_MAX_SIZE`.
pub(crate) const SEGMENT: usize = 64 * 1024;
