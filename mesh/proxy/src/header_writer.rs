//! Header values that differ between requests. They are slices of one block that is reused once all of them are
//! dropped, so that a value needs no allocation of its own.

use std::cell::RefCell;

use bytes::BytesMut;
use http::HeaderValue;
use shakedown_types::RequestId;

use crate::hex::hex;

/// The size of a block, in bytes. A live value keeps its whole block allocated.
const BLOCK: usize = 4096;
/// The most digits of a `u64`.
const DIGITS_MAX: usize = 20;

/// The header value writer of one proxy.
#[derive(Debug)]
pub(crate) struct HeaderWriter(RefCell<BytesMut>);

impl Default for HeaderWriter {
    fn default() -> HeaderWriter {
        HeaderWriter(RefCell::new(BytesMut::with_capacity(BLOCK)))
    }
}

impl HeaderWriter {
    /// A number in decimal.
    pub(crate) fn number(&self, value: u64) -> HeaderValue {
        if let Some(known) = small(value) {
            return known;
        }
        let mut text = [0; DIGITS_MAX];
        let (mut at, mut left) = (DIGITS_MAX, value);
        while left > 0 {
            at -= 1;
            text[at] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        self.write(&text[at..])
    }

    /// A request id as a hyphenated UUID.
    pub(crate) fn request_id(&self, id: RequestId) -> HeaderValue {
        let mut digits = [0; 32];
        hex(id.0, &mut digits);
        let mut digits = digits.into_iter();
        let mut text = [b'-'; 36];
        for (at, byte) in text.iter_mut().enumerate() {
            if !matches!(at, 8 | 13 | 18 | 23) {
                *byte = digits.next().expect("32 of 36 are digits");
            }
        }
        self.write(&text)
    }

    fn write(&self, text: &[u8]) -> HeaderValue {
        let mut block = self.0.borrow_mut();
        block.extend_from_slice(text);
        HeaderValue::from_maybe_shared(block.split().freeze())
            .expect("digits, letters and hyphens make a header value")
    }
}

/// The static value of a one-digit number, because nearly every request needs one.
pub(crate) fn small(value: u64) -> Option<HeaderValue> {
    const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let digit = DIGITS.get(usize::try_from(value).ok()?)?;
    Some(HeaderValue::from_static(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        let writer = HeaderWriter::default();
        let written = [0, 9, 10, 15_000, u64::MAX].map(|value| writer.number(value));
        let plain = ["0", "9", "10", "15000", "18446744073709551615"];
        assert_eq!(written, plain.map(HeaderValue::from_static));
    }

    #[test]
    fn a_value_stays_as_it_was_written_when_its_block_is_full() {
        let writer = HeaderWriter::default();
        let first = writer.number(1234);
        let later: Vec<_> = (0..1000).map(|value| writer.number(5000 + value)).collect();
        assert_eq!(first, "1234");
        assert_eq!(later[999], "5999");
    }
}
