//! A cursor that reads tokens of a check from left to right.

use crate::value::{Quantity, Share, parse_duration};

/// A syntax error and its byte offset in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) at: usize,
    pub(crate) message: String,
}

impl SyntaxError {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError {
            at,
            message: message.into(),
        }
    }
}

/// A position in a text. Methods skip blanks before reading, unless they say otherwise.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// The rest of the text.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The offset of the next token.
    pub(super) fn next_at(&mut self) -> usize {
        self.skip_blanks();
        self.at
    }

    /// The end of the last token.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns true if a blank precedes the next token.
    pub(super) fn is_after_blank(&self) -> bool {
        self.text[..self.at].ends_with(char::is_whitespace)
    }

    /// Moves to an offset that was returned before.
    pub(super) fn go(&mut self, at: usize) {
        self.at = at;
    }

    pub(super) fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    pub(super) fn is_done(&mut self) -> bool {
        self.skip_blanks();
        self.rest().is_empty()
    }

    /// Consumes a symbol if it is next.
    pub(super) fn symbol(&mut self, symbol: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len();
        }
        found
    }

    /// Consumes a symbol that must be next.
    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), SyntaxError> {
        if self.symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{symbol}`")))
        }
    }

    /// Returns the next word without consuming it: letters, digits, `_`, and `-` between them.
    pub(super) fn peek_word(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        let bytes = self.rest().as_bytes();
        if !bytes.first()?.is_ascii_alphabetic() {
            return None;
        }
        let inside = |at: usize| {
            bytes
                .get(at)
                .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        };
        let mut end = 1;
        while inside(end)
            || (bytes.get(end) == Some(&b'-')
                && (inside(end + 1) || bytes.get(end + 1) == Some(&b'-')))
        {
            end += 1;
        }
        Some(&self.rest()[..end])
    }

    /// Consumes the next word.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let word = self.peek_word()?;
        self.at += word.len();
        Some(word)
    }

    /// Consumes the keyword if it is next.
    pub(super) fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek_word() == Some(keyword);
        if found {
            self.at += keyword.len();
        }
        found
    }

    /// Consumes a name that must be next.
    pub(super) fn name(&mut self, what: &str) -> Result<&'a str, SyntaxError> {
        match self.word() {
            Some(word) => Ok(word),
            None => Err(self.unexpected(what)),
        }
    }

    /// Consumes the text up to a blank or one of `stops`.
    pub(super) fn run(&mut self, stops: &[char]) -> &'a str {
        self.skip_blanks();
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || stops.contains(&c))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Consumes the next digits, without skipping blanks.
    pub(super) fn digits(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Returns true if the next token is a number.
    pub(super) fn at_number(&mut self) -> bool {
        self.skip_blanks();
        self.rest().starts_with(|c: char| c.is_ascii_digit())
    }

    pub(super) fn quantity(&mut self) -> Result<Quantity, SyntaxError> {
        let at = self.next_at();
        let text = self.number_text();
        Quantity::parse(text).map_err(|error| SyntaxError::new(at, error.to_string()))
    }

    /// Consumes a duration and returns nanoseconds.
    pub(super) fn duration(&mut self) -> Result<u64, SyntaxError> {
        let at = self.next_at();
        if !self.at_number() {
            return Err(self.unexpected("a duration, such as `5s`"));
        }
        let text = self.number_text();
        let parsed =
            parse_duration(text).map_err(|error| SyntaxError::new(at, error.to_string()))?;
        Ok(u64::try_from(parsed.as_nanos()).expect("a duration fits into 64 bits"))
    }

    pub(super) fn share(&mut self) -> Result<Share, SyntaxError> {
        let at = self.next_at();
        if !self.at_number() {
            return Err(self.unexpected("a share, such as `1%`"));
        }
        Share::parse(self.number_text()).map_err(|error| SyntaxError::new(at, error.to_string()))
    }

    /// Consumes the text of a number: digits, a point between digits, letters, `%`, and `/s`, `/m`, `/h`.
    fn number_text(&mut self) -> &'a str {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let mut end = 0;
        while let Some(byte) = bytes.get(end) {
            let next = bytes.get(end + 1);
            let goes_on = match byte {
                b'.' => next.is_some_and(u8::is_ascii_digit),
                b'/' => {
                    matches!(next, Some(b's' | b'm' | b'h'))
                        && !bytes
                            .get(end + 2)
                            .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'-')
                }
                b'%' => true,
                other => other.is_ascii_alphanumeric(),
            };
            if !goes_on {
                break;
            }
            end += 1;
        }
        self.at += end;
        &rest[..end]
    }

    /// An error about the next token.
    pub(super) fn unexpected(&mut self, wanted: &str) -> SyntaxError {
        let at = self.next_at();
        let rest = self.rest();
        if rest.is_empty() {
            return SyntaxError::new(at, format!("expected {wanted}, found the end of the check"));
        }
        let word = match self.peek_word() {
            Some(word) => word,
            None if self.at_number() => {
                let start = self.at;
                let text = self.number_text();
                self.at = start;
                text
            }
            None => {
                let end = rest.char_indices().nth(1).map_or(rest.len(), |(at, _)| at);
                &rest[..end]
            }
        };
        SyntaxError::new(at, format!("expected {wanted}, found `{word}`"))
    }
}
