//! The id of a request, in `x-request-id`.

use std::fmt;

/// An `x-request-id`: a UUID as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u128);

/// The value of each byte as a hexadecimal digit; 255 if it is not one.
static DIGITS: [u8; 256] = {
    let mut table = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        let text = b"0123456789abcdef"[digit as usize];
        table[text as usize] = digit;
        table[text.to_ascii_uppercase() as usize] = digit;
        digit += 1;
    }
    table
};

impl RequestId {
    /// Parses the hyphenated form, in either case. Returns `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<RequestId> {
        // Every proxy parses the id of every request, so digits are looked up in a table and checked once at the end.
        let text: &[u8; 36] = text.try_into().ok()?;
        if [8, 13, 18, 23].iter().any(|at: &usize| text[*at] != b'-') {
            return None;
        }
        let (mut value, mut seen) = (0u128, 0u8);
        for (from, to) in [(0, 8), (9, 13), (14, 18), (19, 23), (24, 36)] {
            let mut group = 0u64;
            for byte in &text[from..to] {
                let digit = DIGITS[usize::from(*byte)];
                seen |= digit;
                group = (group << 4) | u64::from(digit & 0xf);
            }
            value = (value << (4 * (to - from))) | u128::from(group);
        }
        (seen < 16).then_some(RequestId(value))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            v >> 96,
            (v >> 80) & 0xffff,
            (v >> 64) & 0xffff,
            (v >> 48) & 0xffff,
            v & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_parses_its_own_format_and_rejects_other_text() {
        let id = RequestId(0x6f1b_7e5c_37d6_4b2a_9a3e_0d9a_6b1c_2d3e);
        let text = "6f1b7e5c-37d6-4b2a-9a3e-0d9a6b1c2d3e";
        assert_eq!(id.to_string(), text);
        let read = |text: &str| RequestId::parse(text.as_bytes());
        assert_eq!(read(text), Some(id));
        assert_eq!(read(&text.to_ascii_uppercase()), Some(id));
        for other in [
            "6f1b7e5c-37d6-4b2a-9a3e-0d9a6b1c2d3",
            "6f1b7e5c-37d6-4b2a-9a3e-0d9a6b1c2d3g",
            "6f1b7e5c037d6-4b2a-9a3e-0d9a6b1c2d3e",
            "-f1b7e5c-37d6-4b2a-9a3e-0d9a6b1c2d3e",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
