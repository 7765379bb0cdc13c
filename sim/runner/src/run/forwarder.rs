//! Passes the records of a run to its sink, and reports progress.

use std::sync::Arc;

use shakedown_results::{Event, Participants, Record};

use crate::journal::Journal;

/// Time in the run between two reports of progress.
const PROGRESS_NS: i64 = 50_000_000;

/// Receives every record of a run in order of time, with the participants at that time, including added pods.
pub type JournalSink<'a> = dyn FnMut(&Participants, &Record) + Send + 'a;

/// Passes records to the sink.
pub(super) struct RecordForwarder<'a, 'b> {
    /// Includes the pods that have been added so far.
    participants: Participants,
    journal: Arc<Journal>,
    sink: &'a mut JournalSink<'b>,
    progress: Option<Box<dyn FnMut(i64) + Send>>,
    records: Vec<Record>,
    reported_ns: i64,
    /// Time of the last record.
    pub(super) last_ns: i64,
}

impl<'a, 'b> RecordForwarder<'a, 'b> {
    pub(super) fn new(
        participants: Arc<Participants>,
        journal: Arc<Journal>,
        sink: &'a mut JournalSink<'b>,
        progress: Option<Box<dyn FnMut(i64) + Send>>,
    ) -> RecordForwarder<'a, 'b> {
        RecordForwarder {
            participants: (*participants).clone(),
            journal,
            sink,
            progress,
            records: Vec::new(),
            reported_ns: i64::MIN,
            last_ns: 0,
        }
    }

    pub(super) fn pass_on(&mut self) {
        self.journal.take(&mut self.records);
        let Some(last) = self.records.last() else {
            return;
        };
        let now_ns = last.at_ns;
        self.last_ns = now_ns;
        for record in self.records.drain(..) {
            if let Event::PodAdded { pod } = &record.event {
                self.participants.pods.push(pod.clone());
            }
            (self.sink)(&self.participants, &record);
        }
        if now_ns >= self.reported_ns.saturating_add(PROGRESS_NS) {
            self.reported_ns = now_ns;
            if let Some(progress) = &mut self.progress {
                progress(now_ns);
            }
        }
    }
}
