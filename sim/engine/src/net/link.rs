//! Links: the paths of packets between hosts. Each ordered pair of hosts has one, created for its first
//! packet.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use shakedown_env::{Rng, Time, stream_seed};

use super::fault::Faults;
use crate::HostId;
use crate::host::SimHost;

/// Bytes of the Ethernet, IP and TCP headers of a packet.
const HEADERS: u128 = 66;

/// A one-way link between two hosts.
#[derive(Clone, Debug, Default)]
pub struct SimLink {
    /// Travel time of a packet.
    pub latency: LinkLatency,
    /// Share of lost packets, in parts per million.
    pub loss_ppm: u32,
    /// Bytes per second, shared by all connections of the pair; `None` is unlimited.
    pub bandwidth: Option<u64>,
}

/// Travel time of packets.
#[derive(Clone)]
pub enum LinkLatency {
    /// The same for all packets.
    Constant(Duration),
    /// Drawn for each packet. Packets in the same direction of a connection still never overtake each other.
    Drawn(Arc<dyn Fn(&mut Rng) -> Duration + Send + Sync>),
}

impl LinkLatency {
    /// Draws the latency of one packet. Calls `rng` only if it is needed.
    pub(crate) fn draw<'a>(&self, rng: impl FnOnce() -> &'a mut Rng) -> Duration {
        match self {
            LinkLatency::Constant(span) => *span,
            LinkLatency::Drawn(draw) => draw(rng()),
        }
    }
}

impl Default for LinkLatency {
    fn default() -> LinkLatency {
        LinkLatency::Constant(Duration::ZERO)
    }
}

impl fmt::Debug for LinkLatency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkLatency::Constant(span) => f.debug_tuple("Constant").field(span).finish(),
            LinkLatency::Drawn(_) => f.write_str("Drawn"),
        }
    }
}

type LatencyRule = Box<dyn Fn(HostId, HostId) -> SimLink + Send>;

pub(crate) struct LinkTable {
    seed: u64,
    rule: Option<LatencyRule>,
    by_pair: BTreeMap<(HostId, HostId), LinkIndex>,
    links: Vec<LinkState>,
    pub(crate) faults: Faults,
    /// Number of packets sent, including lost ones.
    pub(crate) packets: u64,
}

/// Index of a link in [`LinkTable`], valid for the whole run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkIndex(u32);

struct LinkState {
    from: HostId,
    to: HostId,
    /// Cached result of the rule; cleared when the rule changes.
    link: Option<SimLink>,
    streams: Streams,
    /// Time at which the link can send again, if bandwidth is limited.
    free_at: Time,
}

/// Random streams of a link, created at the first draw. Latency, loss and faults have one each, so that draws
/// of one do not shift those of another.
pub(crate) struct Streams {
    seed: u64,
    /// Label of the streams: `from>to`.
    name: String,
    latency: Option<Box<Rng>>,
    loss: Option<Box<Rng>>,
    fault: Option<Box<Rng>>,
}

impl LinkTable {
    pub(crate) fn new(seed: u64) -> LinkTable {
        LinkTable {
            seed,
            rule: None,
            by_pair: BTreeMap::new(),
            links: Vec::new(),
            faults: Faults::default(),
            packets: 0,
        }
    }

    /// Replaces the rule. Returns the old rule and its links, which must be dropped without the lock.
    pub(crate) fn set_rule(&mut self, rule: LatencyRule) -> (Option<LatencyRule>, Vec<SimLink>) {
        let known = self
            .links
            .iter_mut()
            .filter_map(|state| state.link.take())
            .collect();
        (self.rule.replace(rule), known)
    }

    /// Returns the link of a pair, creating it if necessary.
    pub(crate) fn between(&mut self, from: &SimHost, to: &SimHost) -> LinkIndex {
        let pair = (from.cell.id, to.cell.id);
        if let Some(index) = self.by_pair.get(&pair) {
            return *index;
        }
        let index =
            LinkIndex(u32::try_from(self.links.len()).expect("a run has fewer than 2^32 links"));
        let name = format!("{}>{}", from.cell.name, to.cell.name);
        let streams = Streams {
            seed: self.seed,
            name,
            latency: None,
            loss: None,
            fault: None,
        };
        self.links.push(LinkState {
            from: pair.0,
            to: pair.1,
            link: None,
            streams,
            free_at: Time::ZERO,
        });
        self.by_pair.insert(pair, index);
        index
    }

    /// Sends a packet of `bytes` bytes now. Returns its time of arrival, or `None` if it is lost.
    pub(crate) fn carry(&mut self, now: Time, index: LinkIndex, bytes: usize) -> Option<Time> {
        let state = &mut self.links[index.0 as usize];
        if state.from == state.to {
            return Some(now);
        }
        self.packets += 1;
        let rule = &self.rule;
        let link = state.link.get_or_insert_with(|| {
            rule.as_ref()
                .map_or_else(SimLink::default, |r| r(state.from, state.to))
        });
        let added = if self.faults.is_empty() {
            Duration::ZERO
        } else {
            self.faults
                .befall(state.from, state.to, &mut state.streams)?
        };
        if link.loss_ppm > 0 && hits(link.loss_ppm, state.streams.loss()) {
            return None;
        }
        let mut sent = now;
        if let Some(rate) = link.bandwidth {
            let nanos = (bytes as u128 + HEADERS) * 1_000_000_000 / u128::from(rate.max(1));
            sent = state.free_at.max(now)
                + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            state.free_at = sent;
        }
        Some(sent + link.latency.draw(|| state.streams.latency()) + added)
    }
}

impl Streams {
    fn latency(&mut self) -> &mut Rng {
        self.latency
            .get_or_insert_with(|| Box::new(stream_seed(self.seed, "link", &self.name)))
    }

    fn loss(&mut self) -> &mut Rng {
        self.loss
            .get_or_insert_with(|| Box::new(stream_seed(self.seed, "link-loss", &self.name)))
    }

    pub(crate) fn fault(&mut self) -> &mut Rng {
        self.fault
            .get_or_insert_with(|| Box::new(stream_seed(self.seed, "link-fault", &self.name)))
    }
}

/// Draws true with a probability in parts per million.
pub(crate) fn hits(ppm: u32, rng: &mut Rng) -> bool {
    rng.random_range(0..1_000_000) < ppm
}
