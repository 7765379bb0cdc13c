//! Service versions: their served attempts, queueing times and utilisation of workers or cores.

use shakedown_results::{
    Answer, Fate, Histogram, Latency, Participant, ParticipantId, Participants, Pod, Service,
};

/// All versions of all services, in the order of participants.
#[derive(Clone, Debug)]
pub(super) struct Services {
    warm_up_ns: i64,
    duration_ns: i64,
    folds: Vec<ServiceFold>,
}

#[derive(Clone, Debug)]
struct ServiceFold {
    participant: ParticipantId,
    at: u16,
    name: String,
    version: String,
    limit: Limit,
    served: u64,
    errors: u64,
    queue_wait: Histogram,
    /// Worker or core time in use between warm-up and duration, ns.
    busy_ns: u128,
    /// Total lifetime of the replicas between warm-up and duration, ns.
    replica_ns: u128,
}

/// The resource of a replica whose utilisation is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Workers(u32),
    Cores(u32),
    None,
}

impl Services {
    pub(super) fn new<'a>(
        services: impl Iterator<Item = (ParticipantId, &'a Participant)>,
        participants: &Participants,
    ) -> Services {
        let mut folds = Vec::new();
        for (id, service) in services {
            for (at, version) in (0u16..).zip(&service.versions) {
                folds.push(ServiceFold::new(id, at, service, version));
            }
        }
        let (warm_up_ns, duration_ns) = (participants.warm_up_ns, participants.duration_ns);
        let mut services = Services {
            warm_up_ns,
            duration_ns,
            folds,
        };
        for pod in &participants.pods {
            services.added(pod, i64::MIN);
        }
        services
    }

    /// Adds a replica that exists from `at_ns` on.
    pub(super) fn added(&mut self, pod: &Pod, at_ns: i64) {
        let in_window = self.in_window(at_ns, self.duration_ns);
        if let Some(fold) = self.fold(pod) {
            fold.replica_ns += in_window;
        }
    }

    /// Ends the lifetime of a replica at `at_ns`.
    pub(super) fn stopped(&mut self, pod: &Pod, at_ns: i64) {
        let in_window = self.in_window(at_ns, self.duration_ns);
        if let Some(fold) = self.fold(pod) {
            fold.replica_ns = fold.replica_ns.saturating_sub(in_window);
        }
    }

    /// Adds an attempt that an app finished.
    pub(super) fn served(
        &mut self,
        pod: &Pod,
        at_ns: i64,
        arrived_ns: i64,
        queue_wait_ns: i64,
        answer: Answer,
        fate: Fate,
    ) {
        let held_ns = match fate {
            Fate::Refused | Fate::Shed => 0,
            Fate::Done | Fate::Abandoned | Fate::Crashed => {
                self.in_window(arrived_ns.saturating_add(queue_wait_ns), at_ns)
            }
        };
        let counts = arrived_ns >= self.warm_up_ns;
        let Some(fold) = self.fold(pod) else { return };
        if let Limit::Workers(_) = fold.limit {
            fold.busy_ns += held_ns;
        }
        if counts {
            fold.served += 1;
            fold.errors += u64::from(answer != Answer::Ok);
            fold.queue_wait.record(queue_wait_ns);
        }
    }

    /// Adds core time used between two instants.
    pub(super) fn worked(&mut self, pod: &Pod, since_ns: i64, at_ns: i64, core_ns: i64) {
        let (within, all) = (
            self.in_window(since_ns, at_ns),
            at_ns.saturating_sub(since_ns).max(1),
        );
        let Some(fold) = self.fold(pod) else { return };
        if let Limit::Cores(_) = fold.limit {
            // Distributed evenly over the interval, so only intervals across an end of the counted time are
            // estimated.
            fold.busy_ns +=
                u128::from(core_ns.max(0).unsigned_abs()) * within / u128::from(all.unsigned_abs());
        }
    }

    pub(super) fn finish(self) -> Vec<Service> {
        self.folds.into_iter().map(ServiceFold::finish).collect()
    }

    fn fold(&mut self, pod: &Pod) -> Option<&mut ServiceFold> {
        let of = |fold: &ServiceFold| (fold.participant, fold.at);
        let at = self
            .folds
            .binary_search_by_key(&(pod.participant, pod.version), of)
            .ok()?;
        Some(&mut self.folds[at])
    }

    /// Returns the part of an interval between warm-up and duration, ns.
    fn in_window(&self, from_ns: i64, to_ns: i64) -> u128 {
        let (from, to) = (from_ns.max(self.warm_up_ns), to_ns.min(self.duration_ns));
        u128::try_from(i128::from(to) - i128::from(from)).unwrap_or(0)
    }
}

impl ServiceFold {
    fn new(participant: ParticipantId, at: u16, of: &Participant, version: &str) -> ServiceFold {
        let limit = match (of.workers, of.cores) {
            (Some(workers), _) => Limit::Workers(workers),
            (None, Some(cores)) => Limit::Cores(cores),
            (None, None) => Limit::None,
        };
        ServiceFold {
            participant,
            at,
            name: of.name.clone(),
            version: version.to_owned(),
            limit,
            served: 0,
            errors: 0,
            queue_wait: Histogram::new(),
            busy_ns: 0,
            replica_ns: 0,
        }
    }

    fn finish(self) -> Service {
        let busy_ppm = match self.limit {
            Limit::Workers(n) | Limit::Cores(n) if n > 0 && self.replica_ns > 0 => {
                self.busy_ns * 1_000_000 / (self.replica_ns * u128::from(n))
            }
            _ => 0,
        };
        Service {
            name: self.name,
            version: self.version,
            served: self.served,
            errors: self.errors,
            queue_wait_ns: Latency::from_histogram(self.queue_wait),
            busy_ppm: u64::try_from(busy_ppm).unwrap_or(u64::MAX),
        }
    }
}
