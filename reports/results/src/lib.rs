//! The types shared by all other crates: the Journal of a run, its participants, latency histograms, the
//! digest, and the results document.
//!
//! Plain data: no clock, no I/O, no runtime. All numbers are integers. Times are signed nanoseconds from 0 s,
//! the moment when every proxy has its first configuration.

#![warn(missing_docs)]

mod digest;
mod document;
mod histogram;
mod journal;
mod measured;
mod outcome;
mod participants;
pub mod series;

pub use digest::{Digest, Digester};
pub use document::schema;
pub use document::{
    Asked, AskedHost, Bytes, CheckResult, Connections, Document, Edge, EjectionOverflow, Engine,
    EventRow, FailureCount, Generator, LOAD_ROWS_MAX, Latency, Load, Mode, NotModelled, RealLoad,
    SCHEMA, Second, Service, StatusCount, Throughput, Verdict,
};
pub use histogram::{Histogram, HistogramError};
pub use journal::{Event, Fate, JOURNAL_VERSION, Record, Root};
pub use measured::{Measured, MeasuredUnit, Number};
pub use outcome::{Answer, Outcome};
pub use participants::{
    Participant, ParticipantId, ParticipantKind, Participants, PlannedFault, Pod, PodId,
};
pub use series::Series;
