//! Load shedding by queue time: limits the requests at the app, queues the others, and refuses those that have waited
//! too long before the app works on them.
//!
//! A queue that was empty within the last `interval` is a burst, in which a request may wait for `interval`. Otherwise
//! it is a standing queue: a request may wait only for `target`, and the newest is served first, because the callers of
//! the oldest are about to give up. A plain state machine with the time as a parameter, which identifies requests by
//! tickets.
//! Source: "Fail at Scale", ACM Queue 13(8), 2015: controlled delay and adaptive LIFO.

use std::collections::VecDeque;
use std::time::Duration;

use shakedown_env::Time;
use shakedown_xds::table::Shed as Settings;

/// The id of a queued request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShedTicket(u64);

/// The decision about an arriving request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShedAdmission {
    /// The request continues at once, and must end with [`ShedQueue::finished`].
    Run,
    /// The request waits until [`ShedQueue::next`] returns its ticket.
    Wait(ShedTicket),
    /// The queue is full, so the request is refused.
    Refuse,
}

/// The decision about a queued request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShedTurn {
    /// The request continues, and must end with [`ShedQueue::finished`].
    Run(ShedTicket),
    /// The request waited too long and is refused.
    Refuse(ShedTicket),
}

/// The queue before one app.
#[derive(Debug)]
pub struct ShedQueue {
    settings: Settings,
    running: u32,
    /// The queued requests, the oldest first.
    waiting: VecDeque<(ShedTicket, Time)>,
    last_ticket: u64,
    /// The last time at which the queue was empty.
    empty_at: Time,
}

impl ShedQueue {
    /// Creates an empty queue.
    pub fn new(settings: Settings, now: Time) -> ShedQueue {
        ShedQueue {
            settings,
            running: 0,
            waiting: VecDeque::new(),
            last_ticket: 0,
            empty_at: now,
        }
    }

    /// The number of queued requests.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The request that has waited longest.
    pub fn oldest(&self) -> Option<ShedTicket> {
        self.waiting.front().map(|(ticket, _)| *ticket)
    }

    /// Decides about an arriving request.
    pub fn arrive(&mut self, now: Time) -> ShedAdmission {
        self.note_empty(now);
        if self.running < self.settings.concurrency && self.waiting.is_empty() {
            self.running += 1;
            return ShedAdmission::Run;
        }
        if self.waiting.len() >= self.settings.queue_max as usize {
            return ShedAdmission::Refuse;
        }
        self.last_ticket += 1;
        let ticket = ShedTicket(self.last_ticket);
        self.waiting.push_back((ticket, now));
        ShedAdmission::Wait(ticket)
    }

    /// Records the end of a running request. [`ShedQueue::next`] must be called afterwards.
    pub fn finished(&mut self) {
        self.running -= 1;
    }

    /// Removes a queued request whose caller gave up. Returns true if it was still queued.
    pub fn leave(&mut self, ticket: ShedTicket) -> bool {
        match self.waiting.iter().position(|(known, _)| *known == ticket) {
            Some(index) => self.waiting.remove(index).is_some(),
            None => false,
        }
    }

    /// Returns the next decision about a queued request. Must be called until it returns `None`, after a request has
    /// ended and at [`ShedQueue::wake_at`].
    pub fn next(&mut self, now: Time) -> Option<ShedTurn> {
        self.note_empty(now);
        let (oldest, since) = *self.waiting.front()?;
        if now.since(since) > self.patience(now) {
            self.waiting.pop_front();
            return Some(ShedTurn::Refuse(oldest));
        }
        if self.running >= self.settings.concurrency {
            return None;
        }
        let next = if self.stands(now) {
            self.waiting.pop_back()
        } else {
            self.waiting.pop_front()
        };
        self.running += 1;
        next.map(|(ticket, _)| ShedTurn::Run(ticket))
    }

    /// The time at which the oldest request will have waited too long, unless a request ends before.
    pub fn wake_at(&self, now: Time) -> Option<Time> {
        let (_, since) = self.waiting.front()?;
        let patient = *since + self.patience(now) + Duration::from_nanos(1);
        // The queue may become a standing queue before that, which shortens the allowed wait.
        let stands = self.empty_at + self.settings.interval + Duration::from_nanos(1);
        Some(if stands > now {
            patient.min(stands)
        } else {
            patient
        })
    }

    fn note_empty(&mut self, now: Time) {
        if self.waiting.is_empty() {
            self.empty_at = now;
        }
    }

    /// Returns true if the queue is a standing queue: it has not been empty for an interval.
    fn stands(&self, now: Time) -> bool {
        now.since(self.empty_at) > self.settings.interval
    }

    fn patience(&self, now: Time) -> Duration {
        if self.stands(now) {
            self.settings.target
        } else {
            self.settings.interval
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    fn one_at_a_time() -> ShedQueue {
        let settings = Settings {
            concurrency: 1,
            queue_max: 50,
            ..Settings::default()
        };
        ShedQueue::new(settings, at(0))
    }

    fn wait(shed: &mut ShedQueue, ms: u64) -> ShedTicket {
        match shed.arrive(at(ms)) {
            ShedAdmission::Wait(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_burst_is_served_in_order() {
        let mut shed = one_at_a_time();
        assert_eq!(shed.arrive(at(0)), ShedAdmission::Run);
        let (first, second) = (wait(&mut shed, 1), wait(&mut shed, 2));
        assert_eq!(shed.next(at(3)), None);
        shed.finished();
        assert_eq!(shed.next(at(4)), Some(ShedTurn::Run(first)));
        assert_eq!(shed.next(at(4)), None);
        shed.finished();
        assert_eq!(shed.next(at(90)), Some(ShedTurn::Run(second)));
    }

    #[test]
    fn one_that_waited_longer_than_the_interval_is_refused_in_a_burst() {
        let mut shed = one_at_a_time();
        shed.arrive(at(0));
        let first = wait(&mut shed, 0);
        assert_eq!(shed.next(at(100)), None);
        assert_eq!(shed.next(at(101)), Some(ShedTurn::Refuse(first)));
    }

    #[test]
    fn a_standing_queue_serves_the_newest_and_refuses_after_the_target() {
        let mut shed = one_at_a_time();
        shed.arrive(at(0));
        let old = wait(&mut shed, 50);
        let young = wait(&mut shed, 148);
        let youngest = wait(&mut shed, 149);
        shed.finished();
        assert_eq!(shed.next(at(151)), Some(ShedTurn::Refuse(old)));
        assert_eq!(shed.next(at(151)), Some(ShedTurn::Run(youngest)));
        assert_eq!(shed.next(at(153)), None);
        assert_eq!(shed.next(at(154)), Some(ShedTurn::Refuse(young)));
    }

    #[test]
    fn a_newcomer_does_not_pass_those_who_wait() {
        let mut shed = one_at_a_time();
        shed.arrive(at(0));
        let first = wait(&mut shed, 1);
        shed.finished();
        let second = wait(&mut shed, 2);
        assert_eq!(shed.next(at(2)), Some(ShedTurn::Run(first)));
        shed.finished();
        assert_eq!(shed.next(at(3)), Some(ShedTurn::Run(second)));
    }

    #[test]
    fn a_later_arrival_is_reevaluated_when_a_standing_queue_forms() {
        let mut shed = one_at_a_time();
        shed.arrive(at(0));
        let first = wait(&mut shed, 10);
        let second = wait(&mut shed, 60);
        assert!(shed.leave(first));
        // The request might wait until 160 ms, but the queue was last empty at 10 ms, so after 110 ms the allowed wait
        // is short.
        let due = at(110) + Duration::from_nanos(1);
        assert_eq!(shed.wake_at(at(70)), Some(due));
        assert_eq!(shed.next(at(110)), None);
        assert_eq!(shed.next(due), Some(ShedTurn::Refuse(second)));
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let mut shed = one_at_a_time();
        shed.arrive(at(0));
        (0..50).for_each(|_| {
            wait(&mut shed, 0);
        });
        assert_eq!(shed.arrive(at(0)), ShedAdmission::Refuse);
    }

    #[test]
    fn one_whose_caller_gave_up_leaves() {
        let mut shed = one_at_a_time();
        shed.arrive(at(0));
        let first = wait(&mut shed, 0);
        assert!(shed.leave(first));
        assert!(!shed.leave(first));
        shed.finished();
        assert_eq!(shed.next(at(1)), None);
        assert_eq!(shed.arrive(at(1)), ShedAdmission::Run);
    }

    #[test]
    fn the_time_to_look_again_is_when_the_next_refusal_is_due() {
        let mut shed = one_at_a_time();
        shed.arrive(at(0));
        let first = wait(&mut shed, 10);
        let due = shed.wake_at(at(10)).unwrap();
        assert_eq!(shed.next(due), Some(ShedTurn::Refuse(first)));
        assert_eq!(shed.wake_at(due), None);
    }

    proptest! {
        #[test]
        fn it_never_runs_more_than_its_concurrency_and_loses_nobody(steps in prop::collection::vec((0_u8..4, 0_u64..40), 1..300)) {
            let settings = Settings { concurrency: 3, queue_max: 10, ..Settings::default() };
            let mut shed = ShedQueue::new(settings, at(0));
            let (mut now, mut running) = (0, 0_u32);
            let mut waiting: Vec<ShedTicket> = Vec::new();
            for (step, span) in steps {
                now += span;
                match step {
                    0 | 1 => match shed.arrive(at(now)) {
                        ShedAdmission::Run => running += 1,
                        ShedAdmission::Wait(ticket) => waiting.push(ticket),
                        ShedAdmission::Refuse => prop_assert_eq!(waiting.len(), 10),
                    },
                    2 if running > 0 => {
                        running -= 1;
                        shed.finished();
                    }
                    3 if !waiting.is_empty() => prop_assert!(shed.leave(waiting.remove(0))),
                    _ => {}
                }
                while let Some(turn) = shed.next(at(now)) {
                    let (ShedTurn::Run(ticket) | ShedTurn::Refuse(ticket)) = turn;
                    running += u32::from(matches!(turn, ShedTurn::Run(_)));
                    let index = waiting.iter().position(|known| *known == ticket);
                    prop_assert!(index.is_some());
                    waiting.remove(index.unwrap());
                }
                prop_assert!(running <= 3);
                prop_assert_eq!(shed.waiting(), waiting.len());
            }
        }
    }
}
