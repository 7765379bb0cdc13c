//! Resolves conditions on requests (`where ...`) and refuses those that do not apply to the subject.

use super::resolver::Resolver;
use super::subject::Is;
use crate::check::syntax::{Word, WrittenCondition, WrittenParticipant, WrittenTest};
use crate::check::{Condition, ParticipantSelector, RequestMeasure, Subject, Test, figures};

impl Resolver<'_> {
    pub(super) fn condition(
        &mut self,
        written: &WrittenCondition,
        is: Is,
        subject: &Subject,
    ) -> Option<Condition> {
        let test = match &written.test {
            WrittenTest::Word(word) => self.word(written.at, *word, is, subject)?,
            WrittenTest::Measure(name, op, nanos) => match figures::measure(name) {
                Ok(measure) if measures(measure, is) => Test::Measure(measure, *op, *nanos),
                Ok(_) => {
                    return self.refuse(written.at, format!("{} has no `{name}`", is.words()));
                }
                Err(message) => return self.refuse(written.at, message),
            },
            WrittenTest::Status(low, high) => Test::Status(*low, *high),
            WrittenTest::Grpc(status) => Test::Grpc(*status),
            WrittenTest::Flag(name) => match figures::flag(name) {
                Ok(_) if is == Is::Service && written.not => {
                    return self.refuse(
                        written.at,
                        "not supported yet: `not flag` of a service: its proxy records only requests that have one",
                    );
                }
                Ok(flag) => Test::Flag(flag),
                Err(message) => return self.refuse(written.at, message),
            },
            WrittenTest::Via(participant) => self.via(written.at, subject, participant)?,
            WrittenTest::From(participant) => Test::From(self.from(written, is, participant)?),
            WrittenTest::FromZone(name, at) => {
                if is == Is::Load {
                    return self.refuse(
                        written.at,
                        "requests of a load are always sent by the load: write `LOAD in zone Z`",
                    );
                }
                Test::From(ParticipantSelector {
                    zone: Some(self.zone(name, *at)?),
                    ..ParticipantSelector::default()
                })
            }
        };
        Some(Condition {
            not: written.not,
            test,
        })
    }

    fn word(&mut self, at: usize, word: Word, is: Is, subject: &Subject) -> Option<Test> {
        let (name, test) = match word {
            Word::Ok => return Some(Test::Ok),
            Word::Timeout => return Some(Test::Timeout),
            Word::Dropped if is == Is::Load => return Some(Test::Dropped),
            Word::Dropped => return self.refuse(at, "only a load drops requests"),
            Word::Retried => ("retried", Test::Retried),
            Word::Hedged => ("hedged", Test::Hedged),
            Word::Plaintext => ("plaintext", Test::Plaintext),
        };
        let attempts = matches!(subject, Subject::Edge { to, .. } if to.is_part());
        // A load's client records its own attempts.
        if attempts || (is == Is::Load && test == Test::Retried) {
            return Some(test);
        }
        let besides = match word {
            Word::Retried => " and of loads",
            _ => "",
        };
        let message =
            format!("not supported yet: `{name}`, except of attempts (`a -> b/v1`){besides}");
        self.refuse(at, message)
    }

    fn via(
        &mut self,
        at: usize,
        subject: &Subject,
        participant: &WrittenParticipant,
    ) -> Option<Test> {
        let via = self.participant(participant)?;
        match subject {
            Subject::Load(_) => {}
            // Each attempt records the part of the callee that it was sent to.
            Subject::Edge { to, .. } if via.is_part() && via.participant == to.participant => {
                if via.endpoint.is_some() || to.is_part() {
                    let message = "`via` of an edge must be a version, replica or zone of its callee: `web -> reviews where via reviews/v2`";
                    return self.refuse(at, message);
                }
                return Some(Test::To(via));
            }
            Subject::Edge { .. } => {
                let message = "not supported yet: `via` of an edge, except with a part of its callee: `web -> reviews where via reviews/v2`";
                return self.refuse(at, message);
            }
            _ => {
                return self.refuse(
                    at,
                    "not supported yet: `via`, except of requests of a load or of an edge",
                );
            }
        }
        let is_load = via.participant.is_some_and(|id| self.names.get(id).is_load);
        if is_load {
            return self.refuse(at, "`via` must be a service, not a load");
        }
        Some(Test::Via(via))
    }

    fn from(
        &mut self,
        written: &WrittenCondition,
        is: Is,
        participant: &WrittenParticipant,
    ) -> Option<ParticipantSelector> {
        let from = self.participant(participant)?;
        if is == Is::Load {
            return self.refuse(written.at, "requests of a load are always sent by the load");
        }
        if from.endpoint.is_some() || from.entry.is_some() {
            return self.refuse(
                written.at,
                "not supported yet: `from` an endpoint or an entry of a mix",
            );
        }
        Some(from)
    }
}

/// The kinds of subjects that have a measure.
pub(super) const fn measured(measure: RequestMeasure) -> &'static [Is] {
    match measure {
        RequestMeasure::Latency => &[Is::Load, Is::Edge, Is::Service],
        RequestMeasure::Uncorrected | RequestMeasure::SendLag => &[Is::Load],
        RequestMeasure::QueueWait | RequestMeasure::ServiceTime => &[Is::Service],
        RequestMeasure::PoolWait | RequestMeasure::ProxyTime => &[Is::Edge],
    }
}

fn measures(measure: RequestMeasure, is: Is) -> bool {
    measured(measure).contains(&is)
}
