//! The grammar rule `condition`: `ok`, `latency > 1s`, `via b/v2`.

use shakedown_types::GrpcStatus;

use super::super::cursor::SyntaxError;
use super::super::{Word, WrittenCondition, WrittenTest};
use super::Parser;

impl Parser<'_> {
    pub(super) fn condition(&mut self) -> Result<WrittenCondition, SyntaxError> {
        let at = self.cursor.next_at();
        let not = self.cursor.keyword("not");
        let word = self
            .cursor
            .name("a condition, such as `ok`, `latency > 1s` or `via b/v2`")?;
        let test = match word {
            "ok" => WrittenTest::Word(Word::Ok),
            "timeout" => WrittenTest::Word(Word::Timeout),
            "dropped" => WrittenTest::Word(Word::Dropped),
            "retried" => WrittenTest::Word(Word::Retried),
            "hedged" => WrittenTest::Word(Word::Hedged),
            "plaintext" => WrittenTest::Word(Word::Plaintext),
            "status" => self.status()?,
            "flag" => {
                self.cursor.expect("==")?;
                WrittenTest::Flag(
                    self.cursor
                        .name("a response flag, such as `UO`")?
                        .to_owned(),
                )
            }
            "via" => WrittenTest::Via(self.participant()?),
            "from" => {
                if self.cursor.keyword("zone") {
                    let at = self.cursor.next_at();
                    WrittenTest::FromZone(self.cursor.name("a zone")?.to_owned(), at)
                } else {
                    WrittenTest::From(self.participant()?)
                }
            }
            measure => {
                let Some(op) = self.op() else {
                    return Err(SyntaxError::new(
                        at,
                        format!("unknown condition `{measure}`: {}", condition_hint(measure)),
                    ));
                };
                let nanos = self.cursor.duration()?;
                let nanos = i64::try_from(nanos).expect("a duration fits into 63 bits");
                WrittenTest::Measure(measure.to_owned(), op, nanos)
            }
        };
        Ok(WrittenCondition { at, not, test })
    }

    fn status(&mut self) -> Result<WrittenTest, SyntaxError> {
        self.cursor.expect("==")?;
        let at = self.cursor.next_at();
        let text = self.cursor.run(&[')']);
        let wrong = || {
            SyntaxError::new(
                at,
                format!(
                    "invalid status `{text}`: expected a status such as `503`, `5xx`, or a gRPC status such as `UNAVAILABLE`"
                ),
            )
        };
        if let Some(status) = GrpcStatus::from_name(text) {
            return Ok(WrittenTest::Grpc(status));
        }
        if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().map_err(|_| wrong())?;
            return if (1..=5).contains(&class) {
                Ok(WrittenTest::Status(class * 100, class * 100 + 99))
            } else {
                Err(wrong())
            };
        }
        let code: u16 = text.parse().map_err(|_| wrong())?;
        if (100..=599).contains(&code) {
            Ok(WrittenTest::Status(code, code))
        } else {
            Err(wrong())
        }
    }
}

fn condition_hint(word: &str) -> String {
    const CONDITIONS: [&str; 15] = [
        "ok",
        "timeout",
        "dropped",
        "retried",
        "hedged",
        "plaintext",
        "latency",
        "uncorrected",
        "send-lag",
        "queue-wait",
        "service-time",
        "status",
        "flag",
        "via",
        "from",
    ];
    shakedown_yaml::suggest::hint(word, CONDITIONS)
}
