//! The grammar rule `window`: `during ITEM`, `after 90s`, `within 30s of ITEM.start`.

use super::super::cursor::SyntaxError;
use super::super::{ChaosEdge, WindowKind, WrittenBase, WrittenPoint, WrittenWindow};
use super::Parser;

impl Parser<'_> {
    pub(super) fn window(&mut self) -> Result<Option<WrittenWindow>, SyntaxError> {
        let at = self.cursor.next_at();
        let kind = if self.cursor.keyword("during") {
            let from = self.point()?;
            if self.cursor.symbol("..") {
                WindowKind::During(from, self.point()?)
            } else if matches!(from.base, WrittenBase::Name(_, None)) && from.offset_ns == 0 {
                WindowKind::DuringItem(from)
            } else {
                return Err(self.cursor.unexpected("`..` and the end of the window"));
            }
        } else if self.cursor.keyword("after") {
            WindowKind::After(self.point()?)
        } else if self.cursor.keyword("before") {
            WindowKind::Before(self.point()?)
        } else if self.cursor.keyword("within") {
            let length = self.cursor.duration()?;
            if self.cursor.keyword("of") {
                WindowKind::WithinOf(length, self.point()?)
            } else if self.cursor.keyword("after") {
                WindowKind::WithinAfter(length, self.point()?)
            } else {
                WindowKind::Within(length)
            }
        } else {
            return Ok(None);
        };
        Ok(Some(WrittenWindow { at, kind }))
    }

    fn point(&mut self) -> Result<WrittenPoint, SyntaxError> {
        let at = self.cursor.next_at();
        let base = if self.cursor.at_number() {
            WrittenBase::Time(self.cursor.duration()?)
        } else {
            let name = self
                .cursor
                .name("a point in time: `90s`, `end`, or a chaos item")?
                .to_owned();
            if name == "end" {
                WrittenBase::End
            } else {
                WrittenBase::Name(name, self.edge()?)
            }
        };
        let mut offset_ns = 0;
        for (symbol, sign) in [("+", 1), ("-", -1)] {
            if self.cursor.symbol(symbol) {
                let nanos =
                    i64::try_from(self.cursor.duration()?).expect("a duration fits into 63 bits");
                offset_ns = sign * nanos;
                break;
            }
        }
        Ok(WrittenPoint {
            at,
            base,
            offset_ns,
        })
    }

    fn edge(&mut self) -> Result<Option<ChaosEdge>, SyntaxError> {
        let rest = self.cursor.rest();
        if !rest.starts_with('.') || rest.starts_with("..") {
            return Ok(None);
        }
        self.cursor.expect(".")?;
        let before = self.cursor.at();
        match self.cursor.word() {
            Some("start") => Ok(Some(ChaosEdge::Start)),
            Some("end") => Ok(Some(ChaosEdge::End)),
            _ => {
                self.cursor.go(before);
                Err(self.cursor.unexpected("`start` or `end`"))
            }
        }
    }
}
