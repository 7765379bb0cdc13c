//! Links: how packets get from host to host. One per ordered pair of hosts, made at its first packet.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand_core::Rng as _;
use shakedown_env::{Rng, Time, stream_seed};

use super::fault::Faults;
use crate::HostId;
use crate::host::Host;

/// Bytes of Ethernet, IP and TCP headers that a packet costs beside its payload.
const HEADERS: u128 = 66;

/// One way from one host to another.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// How long a packet travels.
    pub latency: Latency,
    /// Packets lost, in parts per million.
    pub loss_ppm: u32,
    /// Bytes per second, shared by all connections of the pair; `None` is unlimited.
    pub bandwidth: Option<u64>,
}

/// How long packets travel.
#[derive(Clone)]
pub enum Latency {
    /// All the same.
    Constant(Duration),
    /// Drawn for each packet. Packets of one direction of a connection never overtake each other all the same.
    Drawn(Arc<dyn Fn(&mut Rng) -> Duration + Send + Sync>),
}

impl Latency {
    /// One packet's; the random stream is asked for only when it is needed.
    pub(crate) fn draw<'a>(&self, rng: impl FnOnce() -> &'a mut Rng) -> Duration {
        match self {
            Latency::Constant(span) => *span,
            Latency::Drawn(draw) => draw(rng()),
        }
    }
}

impl Default for Latency {
    fn default() -> Latency {
        Latency::Constant(Duration::ZERO)
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Latency::Constant(span) => f.debug_tuple("Constant").field(span).finish(),
            Latency::Drawn(_) => f.write_str("Drawn"),
        }
    }
}

type Rule = Box<dyn Fn(HostId, HostId) -> Link + Send>;

/// All links of a run.
pub(crate) struct Links {
    seed: u64,
    rule: Option<Rule>,
    by_pair: BTreeMap<(HostId, HostId), LinkIndex>,
    links: Vec<LinkState>,
    pub(crate) faults: Faults,
    /// Packets sent, lost ones included.
    pub(crate) packets: u64,
}

/// A link's place in [`Links`]; stays for the whole run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkIndex(u32);

struct LinkState {
    from: HostId,
    to: HostId,
    /// What the rule said of it, until there is another rule.
    link: Option<Link>,
    streams: Streams,
    /// When the wire is free again, where bandwidth is limited.
    free_at: Time,
}

/// A link's random streams, made when first drawn from. Latency, loss and faults draw from one each, so that none shifts
/// another.
pub(crate) struct Streams {
    seed: u64,
    /// `from>to`.
    name: String,
    latency: Option<Box<Rng>>,
    loss: Option<Box<Rng>>,
    fault: Option<Box<Rng>>,
}

impl Links {
    pub(crate) fn new(seed: u64) -> Links {
        Links {
            seed,
            rule: None,
            by_pair: BTreeMap::new(),
            links: Vec::new(),
            faults: Faults::default(),
            packets: 0,
        }
    }

    /// Puts another rule in force and gives the old one back, to be dropped with no lock held.
    pub(crate) fn set_rule(&mut self, rule: Rule) -> (Option<Rule>, Vec<Link>) {
        let known = self
            .links
            .iter_mut()
            .filter_map(|state| state.link.take())
            .collect();
        (self.rule.replace(rule), known)
    }

    /// The link of a pair, made when there is none.
    pub(crate) fn between(&mut self, from: &Host, to: &Host) -> LinkIndex {
        let pair = (from.cell.id, to.cell.id);
        if let Some(index) = self.by_pair.get(&pair) {
            return *index;
        }
        let index = LinkIndex(
            u32::try_from(self.links.len()).expect("links are fewer than four thousand million"),
        );
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

    /// Puts a packet of so many bytes on the wire now: when it arrives, or `None` when it is lost.
    pub(crate) fn carry(&mut self, now: Time, index: LinkIndex, bytes: usize) -> Option<Time> {
        let state = &mut self.links[index.0 as usize];
        if state.from == state.to {
            return Some(now);
        }
        self.packets += 1;
        let rule = &self.rule;
        let link = state.link.get_or_insert_with(|| {
            rule.as_ref()
                .map_or_else(Link::default, |r| r(state.from, state.to))
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

/// Whether a chance of so many parts per million comes true.
pub(crate) fn hits(ppm: u32, rng: &mut Rng) -> bool {
    // A 64-bit draw scaled to a million: the bias is below one in 10^13.
    let draw = (u128::from(rng.next_u64()) * 1_000_000) >> 64;
    draw < u128::from(ppm)
}
