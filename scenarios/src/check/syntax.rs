//! The grammar of `expect`: parses a line of text to a tree with offsets. Names and units are not resolved here.

mod cursor;
mod parse;

pub(crate) use cursor::SyntaxError;
pub(crate) use parse::parse;

use shakedown_types::GrpcStatus;

use super::{Arithmetic, Op, Seeds, Temporal};
use crate::value::{Quantity, Share};

/// A check as written. Offsets (`at`, `end`) are bytes into its text.
#[derive(Clone, Debug)]
pub(crate) struct WrittenCheck {
    pub(crate) temporal: Option<(Temporal, usize)>,
    pub(crate) left: Expr,
    pub(crate) relation: WrittenRelation,
    pub(crate) right: Expr,
    pub(crate) per: Option<(u64, usize)>,
    pub(crate) window: Option<WrittenWindow>,
    pub(crate) seeds: Option<(Seeds, usize)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum WrittenRelation {
    Compare(Op),
    Near(Share),
}

#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) at: usize,
    pub(crate) end: usize,
    pub(crate) kind: ExprKind,
}

#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    Quantity(Quantity),
    State(String),
    Metric(Box<WrittenMetric>),
    Binary(Arithmetic, Box<Expr>, Box<Expr>),
}

#[derive(Clone, Debug)]
pub(crate) struct WrittenMetric {
    pub(crate) measure: Option<String>,
    pub(crate) name: String,
    pub(crate) first: WrittenParticipant,
    pub(crate) second: Option<WrittenParticipant>,
    pub(crate) conditions: Vec<WrittenCondition>,
    pub(crate) window: Option<WrittenWindow>,
}

#[derive(Clone, Debug)]
pub(crate) struct WrittenParticipant {
    pub(crate) at: usize,
    /// `None` for `*`.
    pub(crate) name: Option<String>,
    pub(crate) entry: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) replica: Option<u32>,
    pub(crate) endpoint: Option<(String, String)>,
    pub(crate) zone: Option<(String, usize)>,
}

#[derive(Clone, Debug)]
pub(crate) struct WrittenCondition {
    pub(crate) at: usize,
    pub(crate) not: bool,
    pub(crate) test: WrittenTest,
}

#[derive(Clone, Debug)]
pub(crate) enum WrittenTest {
    Word(Word),
    Measure(String, Op, i64),
    Status(u16, u16),
    Grpc(GrpcStatus),
    Flag(String),
    Via(WrittenParticipant),
    From(WrittenParticipant),
    FromZone(String, usize),
}

/// A condition that consists of a single word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Ok,
    Timeout,
    Dropped,
    Retried,
    Hedged,
    Plaintext,
}

#[derive(Clone, Debug)]
pub(crate) struct WrittenWindow {
    pub(crate) at: usize,
    pub(crate) kind: WindowKind,
}

#[derive(Clone, Debug)]
pub(crate) enum WindowKind {
    During(WrittenPoint, WrittenPoint),
    DuringItem(WrittenPoint),
    After(WrittenPoint),
    Before(WrittenPoint),
    Within(u64),
    WithinOf(u64, WrittenPoint),
    WithinAfter(u64, WrittenPoint),
}

#[derive(Clone, Debug)]
pub(crate) struct WrittenPoint {
    pub(crate) at: usize,
    pub(crate) base: WrittenBase,
    pub(crate) offset_ns: i64,
}

#[derive(Clone, Debug)]
pub(crate) enum WrittenBase {
    Time(u64),
    End,
    Name(String, Option<ChaosEdge>),
}

/// `.start` or `.end` of a chaos item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChaosEdge {
    Start,
    End,
}

#[cfg(test)]
mod tests;
