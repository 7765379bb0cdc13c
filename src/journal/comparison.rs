//! Compares a run with a journal.

use std::collections::VecDeque;

use shakedown_results::{Digest, Record};

use super::{JournalError, JournalFooter, JournalLine, JournalReader};

/// The number of equal records that a divergence shows before the first difference.
const CONTEXT: usize = 5;

/// Compares a run with a journal, record by record.
pub struct Comparison {
    reader: JournalReader,
    recent: VecDeque<Record>,
    compared: u64,
    end: Option<RecordedEnd>,
}

enum RecordedEnd {
    Diverged(Box<Divergence>),
    Unreadable(JournalError),
}

/// The first record in which a run differs from its journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The index of the record, from 0.
    pub index: u64,
    /// The equal records just before it, at most 5.
    pub before: Vec<Record>,
    /// The journal's record; `None` if the journal ended.
    pub journal: Option<Record>,
    /// The run's record; `None` if the run ended.
    pub run: Option<Record>,
}

impl Comparison {
    /// Compares with the rest of a journal, from the reader's position.
    pub fn new(reader: JournalReader) -> Comparison {
        Comparison {
            reader,
            recent: VecDeque::with_capacity(CONTEXT),
            compared: 0,
            end: None,
        }
    }

    /// Compares the run's next record.
    pub fn record(&mut self, record: &Record) {
        if self.end.is_some() {
            return;
        }
        match self.reader.next_line() {
            Ok(JournalLine::Record(journal)) if journal == *record => {
                if self.recent.len() == CONTEXT {
                    self.recent.pop_front();
                }
                self.recent.push_back(journal);
                self.compared += 1;
            }
            Ok(JournalLine::Record(journal)) => self.diverge(Some(journal), Some(record.clone())),
            Ok(JournalLine::Footer(_)) => self.diverge(None, Some(record.clone())),
            Err(error) => self.end = Some(RecordedEnd::Unreadable(error)),
        }
    }

    /// Returns the number of records if all were equal, or the first difference. `digest` is the digest of the run.
    ///
    /// # Errors
    /// Fails if the journal cannot be read to its end, or if its footer does not match the records, the header or the
    /// run.
    pub fn finish(mut self, digest: &Digest) -> Result<Result<u64, Box<Divergence>>, JournalError> {
        if self.end.is_none() {
            match self.reader.next_line()? {
                JournalLine::Record(journal) => self.diverge(Some(journal), None),
                JournalLine::Footer(footer) => self.check_footer(&footer, digest)?,
            }
        }
        match self.end {
            None => Ok(Ok(self.compared)),
            Some(RecordedEnd::Diverged(divergence)) => Ok(Err(divergence)),
            Some(RecordedEnd::Unreadable(error)) => Err(error),
        }
    }

    fn check_footer(
        &mut self,
        footer: &JournalFooter,
        digest: &Digest,
    ) -> Result<(), JournalError> {
        let line = self.reader.line();
        let wrong = |line, what| Err(JournalError::Contradiction { line, what });
        if footer.records != self.compared {
            let (counts, are) = (footer.records, self.compared);
            return wrong(
                line,
                format!("the footer counts {counts} records, but the journal contains {are}"),
            );
        }
        if footer.header != *self.reader.checksum() {
            let what = format!("the header does not match its checksum in line {line}");
            return wrong(1, what);
        }
        if footer.digest != *digest {
            let what = format!(
                "the footer contains the digest {}, but the run has {digest}",
                footer.digest
            );
            return wrong(line, what);
        }
        self.reader.expect_end()
    }

    fn diverge(&mut self, journal: Option<Record>, run: Option<Record>) {
        let before = self.recent.iter().cloned().collect();
        let divergence = Divergence {
            index: self.compared,
            before,
            journal,
            run,
        };
        self.end = Some(RecordedEnd::Diverged(Box::new(divergence)));
    }
}

impl Divergence {
    /// Describes the difference as text: context, `-` for the journal's record, `+` for the run's.
    pub fn describe(&self) -> String {
        let mut text = format!(
            "the run differs from the journal at record {}\n",
            self.index
        );
        for record in &self.before {
            text.push_str(&format!("    {}\n", one_line(record)));
        }
        let side = |record: &Option<Record>| record.as_ref().map_or("(end)".to_owned(), one_line);
        text.push_str(&format!("  - {}\n", side(&self.journal)));
        text.push_str(&format!("  + {}\n", side(&self.run)));
        text
    }
}

fn one_line(record: &Record) -> String {
    serde_json::to_string(record).expect("records serialize to JSON")
}
