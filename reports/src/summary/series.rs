//! Values over the time of a run, in bins: latencies, retries, queues, ready pods; and the steps of canaries
//! and weights.
//!
//! Memory is bounded: if a run outgrows its bins, they are merged in pairs.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_results::series::{BINS_MAX, Canary, CanaryStep, Counts, Heat, Weights, bucket};
use shakedown_results::{
    Event, ParticipantId, ParticipantKind, Participants, Pod, PodId, Record, Series,
};

use super::outage::{OutageFold, PodName};

const MS: i64 = 1_000_000;
/// Maximum number of bins for the time of the load.
const BINS_OF_LOAD: i64 = 240;
/// Maximum number of rows per kind.
const ROWS_MAX: usize = 64;
/// Maximum number of steps of a canary or a weight.
const STEPS_MAX: usize = 1_000;

#[derive(Clone, Debug)]
pub(super) struct SeriesFold {
    bin_ns: i64,
    /// The last non-empty bin.
    last: usize,
    heat: BTreeMap<ParticipantId, Vec<Vec<u64>>>,
    retries: BTreeMap<(ParticipantId, ParticipantId), Vec<u64>>,
    hedges: BTreeMap<(ParticipantId, ParticipantId), Vec<u64>>,
    /// By pod id: number of attempts there, and number of queued ones among them.
    pods: Vec<(u32, u32)>,
    queued: BTreeMap<ParticipantId, SteppedValue>,
    in_hand: BTreeMap<ParticipantId, SteppedValue>,
    is_ready: BTreeSet<PodId>,
    ready: BTreeMap<(ParticipantId, u16), SteppedValue>,
    weights: BTreeMap<(ParticipantId, u16), Vec<(i64, u32)>>,
    canaries: BTreeMap<ParticipantId, Vec<CanaryStep>>,
    outage: OutageFold,
    /// Names of pods that were ejected.
    names: BTreeMap<PodId, PodName>,
    last_ns: i64,
}

/// A value that is constant until it changes, and its extreme in each bin.
#[derive(Clone, Debug)]
struct SteppedValue {
    now: u64,
    /// Selects the value that represents a bin.
    extreme: fn(u64, u64) -> u64,
    bins: Vec<u64>,
    changed: bool,
}

impl SteppedValue {
    fn new(extreme: fn(u64, u64) -> u64) -> SteppedValue {
        SteppedValue {
            now: 0,
            extreme,
            bins: Vec::new(),
            changed: false,
        }
    }

    fn set(&mut self, bin: usize, to: u64) {
        self.extend(bin);
        self.bins[bin] = (self.extreme)(self.bins[bin], to);
        self.now = to;
    }

    /// Fills bins without changes with the current value.
    fn extend(&mut self, bin: usize) {
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, self.now);
        }
    }
}

impl SeriesFold {
    pub(super) fn new(participants: &Participants) -> SeriesFold {
        let loads = participants
            .iter()
            .filter(|(_, participant)| participant.kind == ParticipantKind::Load);
        let heat = loads.map(|(id, _)| (id, Vec::new()));
        SeriesFold {
            bin_ns: bin_ns(participants.duration_ns),
            last: 0,
            heat: heat.collect(),
            retries: BTreeMap::new(),
            hedges: BTreeMap::new(),
            pods: vec![(0, 0); participants.pods.len()],
            queued: BTreeMap::new(),
            in_hand: BTreeMap::new(),
            is_ready: BTreeSet::new(),
            ready: BTreeMap::new(),
            weights: BTreeMap::new(),
            canaries: BTreeMap::new(),
            outage: OutageFold::new(participants),
            names: BTreeMap::new(),
            last_ns: participants.duration_ns,
        }
    }

    /// Adds the latency of a load's request that ended.
    pub(super) fn ended(&mut self, load: ParticipantId, at_ns: i64, latency_ns: i64) {
        let bin = self.bin(at_ns);
        let bins = self.heat.entry(load).or_default();
        if bins.len() <= bin {
            bins.resize(bin + 1, Vec::new());
        }
        add(&mut bins[bin], bucket(latency_ns), 1);
    }

    /// Adds retries that ended.
    pub(super) fn retried(&mut self, pair: (ParticipantId, ParticipantId), at_ns: i64, times: u64) {
        let bin = self.bin(at_ns);
        add(self.retries.entry(pair).or_default(), bin, times);
    }

    /// Adds hedged attempts that ended.
    pub(super) fn hedged(&mut self, pair: (ParticipantId, ParticipantId), at_ns: i64, times: u64) {
        let bin = self.bin(at_ns);
        add(self.hedges.entry(pair).or_default(), bin, times);
    }

    /// Counts an attempt that reached an app.
    pub(super) fn arrived(
        &mut self,
        participants: &Participants,
        at_ns: i64,
        pod: PodId,
        queued: bool,
    ) {
        self.shift(participants, at_ns, pod, 1, i64::from(queued));
    }

    /// Counts a request in progress that entered the queue.
    pub(super) fn queued(&mut self, participants: &Participants, at_ns: i64, pod: PodId) {
        self.shift(participants, at_ns, pod, 0, 1);
    }

    /// Counts a request that left the queue.
    pub(super) fn dequeued(&mut self, participants: &Participants, at_ns: i64, pod: PodId) {
        self.shift(participants, at_ns, pod, 0, -1);
    }

    /// Counts an attempt that an app finished.
    pub(super) fn served(&mut self, participants: &Participants, at_ns: i64, pod: PodId) {
        self.shift(participants, at_ns, pod, -1, 0);
    }

    /// Adds an event other than those of requests.
    pub(super) fn event(&mut self, participants: &Participants, record: &Record) {
        let at_ns = record.at_ns;
        self.last_ns = self.last_ns.max(at_ns);
        if let Event::Ejected { pod, .. } = &record.event {
            self.names.entry(*pod).or_insert_with(|| {
                let known = &participants.pods[pod.0 as usize];
                PodName {
                    name: participants.pod_name(*pod),
                    order: (known.participant, known.version, known.replica),
                }
            });
        }
        self.outage.record(participants, record);
        match &record.event {
            Event::Ready { pod } => self.is_ready(participants, at_ns, *pod, true),
            Event::Crashed { pod } | Event::Stopped { pod } => {
                self.is_ready(participants, at_ns, *pod, false);
            }
            Event::Weight {
                service,
                version,
                ppm,
            } => {
                let steps = self.weights.entry((*service, *version)).or_default();
                if steps.len() < STEPS_MAX && steps.last().is_none_or(|last| last.1 != *ppm) {
                    steps.push((at_ns, *ppm));
                }
            }
            Event::Canary {
                service,
                phase,
                weight_ppm,
                version,
                reason,
            } => {
                let steps = self.canaries.entry(*service).or_default();
                if steps.len() < STEPS_MAX {
                    steps.push(CanaryStep {
                        at_ns,
                        phase: phase.name().to_owned(),
                        version: version
                            .map_or(String::new(), |at| version_name(participants, *service, at)),
                        weight_ppm: *weight_ppm,
                        reason: reason.clone(),
                    });
                }
            }
            _ => {}
        }
    }

    pub(super) fn finish(mut self, participants: &[(String, Vec<String>)]) -> Series {
        let last = self.last;
        let name = |id: ParticipantId| participants[usize::from(id.0)].0.clone();
        let version = |id: ParticipantId, at: u16| {
            let versions = &participants[usize::from(id.0)].1;
            versions.get(usize::from(at)).cloned().unwrap_or_default()
        };
        for level in self.levels() {
            level.extend(last);
        }
        let heat = self.heat.into_iter().map(|(load, mut bins)| {
            bins.resize(last + 1, Vec::new());
            Heat {
                load: name(load),
                bins: bins.into_iter().map(sparse).collect(),
            }
        });
        let by_edge = |edges: BTreeMap<(ParticipantId, ParticipantId), Vec<u64>>| {
            let rows = edges.into_iter().map(|((from, to), mut bins)| {
                bins.resize(last + 1, 0);
                let name = format!("{} -> {}", name(from), name(to));
                Counts { name, bins }
            });
            most(rows.collect(), |row| row.bins.iter().sum())
        };
        let highest = |levels: BTreeMap<ParticipantId, SteppedValue>| {
            let rows = levels.into_iter().map(|(service, level)| Counts {
                name: name(service),
                bins: level.bins,
            });
            most(rows.collect(), |row| {
                row.bins.iter().copied().max().unwrap_or(0)
            })
        };
        let ready = self.ready.into_iter().filter(|(_, level)| level.changed);
        let ready = ready.map(|((service, at), level)| Counts {
            name: format!("{}/{}", name(service), version(service, at)),
            bins: level.bins,
        });
        // Weights that never change are left out.
        let moved = self
            .weights
            .into_iter()
            .filter(|(_, steps)| steps.len() > 1 || steps.iter().any(|step| step.0 > 0));
        let weights = moved.map(|((service, at), steps)| Weights {
            service: name(service),
            version: version(service, at),
            steps,
        });
        let canaries = self.canaries.into_iter().map(|(service, steps)| Canary {
            service: name(service),
            steps,
        });
        let (ejected, breakers) = self.outage.finish(&self.names, name, self.last_ns);
        Series {
            bin_ns: self.bin_ns,
            heat: heat.collect(),
            retries: by_edge(self.retries),
            hedges: by_edge(self.hedges),
            queued: highest(self.queued),
            in_hand: highest(self.in_hand),
            ready: ready.take(ROWS_MAX).collect(),
            weights: weights.take(ROWS_MAX).collect(),
            canaries: canaries.take(ROWS_MAX).collect(),
            ejected,
            breakers,
        }
    }

    fn shift(
        &mut self,
        participants: &Participants,
        at_ns: i64,
        pod: PodId,
        present: i64,
        waiting: i64,
    ) {
        let id = pod.0 as usize;
        if self.pods.len() <= id {
            self.pods.resize(id + 1, (0, 0));
        }
        let (before_present, before) = self.pods[id];
        let present = before_present.saturating_add_signed(i32::try_from(present).unwrap_or(0));
        let waiting = before.saturating_add_signed(i32::try_from(waiting).unwrap_or(0));
        // If no request is in progress, none waits. Otherwise one request may wait several times, in parallel
        // steps.
        let waiting = if present == 0 { 0 } else { waiting };
        self.pods[id] = (present, waiting);
        let participant = participants.participant_of(pod);
        let bin = self.bin(at_ns);
        if waiting != before {
            moved(&mut self.queued, participant, bin, (before, waiting));
        }
        let limits = participants.get(participant);
        if present != before_present && limits.workers.is_none() && limits.cores.is_some() {
            moved(
                &mut self.in_hand,
                participant,
                bin,
                (before_present, present),
            );
        }
    }

    fn levels(&mut self) -> impl Iterator<Item = &mut SteppedValue> {
        let of_services = self.queued.values_mut().chain(self.in_hand.values_mut());
        of_services.chain(self.ready.values_mut())
    }

    fn is_ready(&mut self, participants: &Participants, at_ns: i64, id: PodId, ready: bool) {
        let Pod {
            participant,
            version,
            ..
        } = participants.pods[id.0 as usize];
        if participants.get(participant).kind != ParticipantKind::Service {
            return;
        }
        let changes = if ready {
            self.is_ready.insert(id)
        } else {
            self.is_ready.remove(&id)
        };
        if !changes {
            return;
        }
        let bin = self.bin(at_ns);
        let level = self
            .ready
            .entry((participant, version))
            .or_insert_with(|| SteppedValue::new(u64::min));
        let to = if ready {
            level.now + 1
        } else {
            level.now.saturating_sub(1)
        };
        if at_ns > 0 {
            level.changed = true;
            level.set(bin, to);
        } else {
            level.now = to;
        }
    }

    /// Returns the bin of an instant. Merges bins until it is in range.
    fn bin(&mut self, at_ns: i64) -> usize {
        loop {
            let bin = usize::try_from(at_ns.max(0) / self.bin_ns).expect("bins are not negative");
            if bin < BINS_MAX {
                self.last = self.last.max(bin);
                return bin;
            }
            self.join();
        }
    }

    fn join(&mut self) {
        self.bin_ns *= 2;
        self.last /= 2;
        for bins in self.heat.values_mut() {
            *bins = bins.chunks(2).map(merged).collect();
        }
        for bins in self.retries.values_mut().chain(self.hedges.values_mut()) {
            *bins = bins.chunks(2).map(|pair| pair.iter().sum()).collect();
        }
        for level in self.levels() {
            let extreme = level.extreme;
            let pick = |pair: &[u64]| pair.iter().copied().reduce(extreme).unwrap_or(0);
            level.bins = level.bins.chunks(2).map(pick).collect();
        }
    }
}

/// Updates a service's value after the part of one of its pods has changed.
fn moved(
    levels: &mut BTreeMap<ParticipantId, SteppedValue>,
    participant: ParticipantId,
    bin: usize,
    (before, now): (u32, u32),
) {
    let level = levels
        .entry(participant)
        .or_insert_with(|| SteppedValue::new(u64::max));
    let to = (level.now + u64::from(now)).saturating_sub(u64::from(before));
    level.set(bin, to);
}

/// Returns a round bin width, at least 50 ms, that divides the time of the load into at most [`BINS_OF_LOAD`]
/// bins.
fn bin_ns(duration_ns: i64) -> i64 {
    let round = [50, 100, 200, 250, 500, 1_000, 2_000, 2_500, 5_000, 10_000];
    let longer = [15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000];
    let steps = round.into_iter().chain(longer).map(|ms: i64| ms * MS);
    let fits = |step: &i64| duration_ns.div_euclid(*step) <= BINS_OF_LOAD;
    steps.clone().find(fits).unwrap_or(3_600_000 * MS)
}

fn add(counts: &mut Vec<u64>, at: usize, n: u64) {
    if counts.len() <= at {
        counts.resize(at + 1, 0);
    }
    counts[at] += n;
}

fn merged(pair: &[Vec<u64>]) -> Vec<u64> {
    let mut all = pair[0].clone();
    for (at, n) in pair.get(1).into_iter().flatten().enumerate() {
        add(&mut all, at, *n);
    }
    all
}

/// Returns the index of the first non-zero bucket, followed by the counts from there on; empty if all are
/// zero.
fn sparse(counts: Vec<u64>) -> Vec<u64> {
    let Some(first) = counts.iter().position(|n| *n > 0) else {
        return Vec::new();
    };
    let mut out = vec![first as u64];
    out.extend(&counts[first..]);
    out
}

/// Returns the rows with the highest weights, in their original order.
fn most(rows: Vec<Counts>, weight: impl Fn(&Counts) -> u64) -> Vec<Counts> {
    let mut weights: Vec<u64> = rows.iter().map(&weight).collect();
    weights.sort_unstable_by(|a, b| b.cmp(a));
    let least = weights.get(ROWS_MAX).map_or(0, |n| n + 1).max(1);
    rows.into_iter()
        .filter(|row| weight(row) >= least)
        .take(ROWS_MAX)
        .collect()
}

fn version_name(participants: &Participants, service: ParticipantId, version: u16) -> String {
    let participant = participants.get(service);
    let name = participant.versions.get(usize::from(version));
    name.cloned().unwrap_or_default()
}
