//! A journal on disk: one JSON value a line. The header says what was run, then come the records in order, then a line
//! that closes it. It is enough to run the same again ([`Header`] carries the whole scenario) and compare event by event.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use shakedown_results::{Cast, Digest, Record};

/// How many records before the first difference a divergence shows.
const CONTEXT: usize = 5;

/// The first line of a journal: what was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Package and journal version that wrote it.
    pub version: String,
    /// The scenario's name.
    pub scenario: String,
    /// The variant.
    pub variant: String,
    /// The `--set` edits.
    pub set: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The world that it ran in: `native`, `turmoil`, or `real`, which no other run is like.
    pub engine: String,
    /// The whole scenario, written out.
    pub expanded: String,
    /// Who took part.
    pub cast: Cast,
}

/// The last line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Footer {
    /// How many records stand before it.
    pub records: u64,
    /// The digest of the run.
    pub digest: Digest,
}

/// A journal that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be read or written.
    #[error("read the journal")]
    Io(#[from] io::Error),
    /// A line is not what stands at that place of a journal.
    #[error("line {line} is not {wanted} of a journal: {source}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What should stand there.
        wanted: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// It is empty, or ends before its closing line.
    #[error("the journal is cut off after line {line}")]
    CutOff {
        /// The last line there is.
        line: u64,
    },
}

/// Writes a journal as the run goes.
pub struct Writer<W: Write> {
    out: W,
    records: u64,
    failed: Option<io::Error>,
}

impl<W: Write> Writer<W> {
    /// Begins a journal.
    ///
    /// # Errors
    /// The header could not be written.
    pub fn begin(mut out: W, header: &Header) -> io::Result<Writer<W>> {
        write_line(&mut out, header)?;
        Ok(Writer {
            out,
            records: 0,
            failed: None,
        })
    }

    /// Adds a record. A failure is kept for [`end`](Self::end): a run is not stopped for its journal.
    pub fn record(&mut self, record: &Record) {
        if self.failed.is_none() {
            self.failed = write_line(&mut self.out, record).err();
            self.records += 1;
        }
    }

    /// Leaves the journal without its last line: the run was cut short.
    ///
    /// # Errors
    /// Something could not be written, now or before.
    pub fn leave(mut self) -> io::Result<()> {
        match self.failed {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }

    /// Closes the journal.
    ///
    /// # Errors
    /// Something could not be written, now or before.
    pub fn end(mut self, digest: &Digest) -> io::Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        write_line(
            &mut self.out,
            &Footer {
                records: self.records,
                digest: digest.clone(),
            },
        )?;
        self.out.flush()
    }
}

/// Reads a journal back, a line at a time.
pub struct Reader<R: BufRead> {
    input: R,
    header: Header,
    line: u64,
    text: String,
}

/// A line of a journal after its first.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A fact of the run.
    Record(Record),
    /// The end.
    Footer(Footer),
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// It is no journal.
    pub fn open(mut input: R) -> Result<Reader<R>, JournalError> {
        let mut text = String::new();
        if input.read_line(&mut text)? == 0 {
            return Err(JournalError::CutOff { line: 0 });
        }
        let header = serde_json::from_str(&text).map_err(|source| JournalError::Line {
            line: 1,
            wanted: "the header",
            source,
        })?;
        Ok(Reader {
            input,
            header,
            line: 1,
            text,
        })
    }

    /// What was run.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next line.
    ///
    /// # Errors
    /// The journal is cut off, or the line is none of a journal.
    pub fn next_line(&mut self) -> Result<Line, JournalError> {
        self.text.clear();
        if self.input.read_line(&mut self.text)? == 0 {
            return Err(JournalError::CutOff { line: self.line });
        }
        self.line += 1;
        if let Ok(footer) = serde_json::from_str(&self.text) {
            return Ok(Line::Footer(footer));
        }
        serde_json::from_str(&self.text)
            .map(Line::Record)
            .map_err(|source| JournalError::Line {
                line: self.line,
                wanted: "a record",
                source,
            })
    }
}

/// Holds a run against a journal, record by record.
pub struct Comparison<R: BufRead> {
    reader: Reader<R>,
    recent: VecDeque<Record>,
    compared: u64,
    end: Option<Ending>,
}

enum Ending {
    Diverged(Box<Divergence>),
    Unreadable(JournalError),
}

/// The first record in which a run differs from its journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// Its number, from 0.
    pub index: u64,
    /// The equal records just before it.
    pub before: Vec<Record>,
    /// What the journal has; `None`: it ended.
    pub journal: Option<Record>,
    /// What the run had; `None`: it ended.
    pub run: Option<Record>,
}

impl<R: BufRead> Comparison<R> {
    /// Compares with the rest of a journal.
    pub fn new(reader: Reader<R>) -> Comparison<R> {
        Comparison {
            reader,
            recent: VecDeque::with_capacity(CONTEXT),
            compared: 0,
            end: None,
        }
    }

    /// Takes in the run's next record.
    pub fn record(&mut self, record: &Record) {
        if self.end.is_some() {
            return;
        }
        match self.reader.next_line() {
            Ok(Line::Record(journal)) if journal == *record => {
                if self.recent.len() == CONTEXT {
                    self.recent.pop_front();
                }
                self.recent.push_back(journal);
                self.compared += 1;
            }
            Ok(Line::Record(journal)) => self.diverge(Some(journal), Some(record.clone())),
            Ok(Line::Footer(_)) => self.diverge(None, Some(record.clone())),
            Err(error) => self.end = Some(Ending::Unreadable(error)),
        }
    }

    /// The verdict: how many records were equal, or the first that was not.
    ///
    /// # Errors
    /// The journal could not be read to its end.
    pub fn finish(mut self) -> Result<Result<u64, Box<Divergence>>, JournalError> {
        if self.end.is_none()
            && let Line::Record(journal) = self.reader.next_line()?
        {
            self.diverge(Some(journal), None);
        }
        match self.end {
            None => Ok(Ok(self.compared)),
            Some(Ending::Diverged(divergence)) => Ok(Err(divergence)),
            Some(Ending::Unreadable(error)) => Err(error),
        }
    }

    fn diverge(&mut self, journal: Option<Record>, run: Option<Record>) {
        let before = self.recent.iter().cloned().collect();
        let divergence = Divergence {
            index: self.compared,
            before,
            journal,
            run,
        };
        self.end = Some(Ending::Diverged(Box::new(divergence)));
    }
}

impl Divergence {
    /// The difference in lines that a person reads: context, `-` what the journal has, `+` what the run had.
    pub fn describe(&self) -> String {
        let mut text = format!(
            "the run differs from the journal at record {}\n",
            self.index
        );
        for record in &self.before {
            text.push_str(&format!("    {}\n", one_line(record)));
        }
        let side =
            |record: &Option<Record>| record.as_ref().map_or("(the end)".to_owned(), one_line);
        text.push_str(&format!("  - {}\n", side(&self.journal)));
        text.push_str(&format!("  + {}\n", side(&self.run)));
        text
    }
}

fn one_line(record: &Record) -> String {
    serde_json::to_string(record).expect("a record is plain data")
}

fn write_line<W: Write>(out: &mut W, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests;
