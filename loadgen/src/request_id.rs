//! Request ids that identify a request of a load. They have the form of a UUIDv4, so that every proxy accepts them.
//!
//! Causality follows `x-request-id`: every request with the id of a load's request descends from it.

use std::fmt::Write as _;

use http::HeaderValue;
use shakedown_results::{ParticipantId, Root};
use shakedown_types::RequestId;

/// The mark of an id from a load. A random UUID contains it by chance in 1 of 67 million cases.
const MARK: u128 = 0x35a_4ed0;
const MARK_BITS: u32 = 26;
/// Version 4 in bits 76 to 79, variant 10 in bits 62 and 63. Source: RFC 9562, section 5.4.
const VERSION: u128 = 4 << 76;
const VARIANT: u128 = 0b10 << 62;
const FIXED: u128 = (0xf << 76) | (0b11 << 62);

/// The id of a load's request.
///
/// From the top: bits 63 to 16 of its number, the version, bits 15 to 4, the variant, bits 3 to 0, load, entry, mark.
pub fn encode(root: Root) -> RequestId {
    let seq = u128::from(root.seq);
    let mut id = (seq >> 16) << 80;
    id |= VERSION | VARIANT;
    id |= ((seq >> 4) & 0xfff) << 64;
    id |= (seq & 0xf) << 58;
    id |= u128::from(root.load.0) << 42;
    id |= u128::from(root.entry) << MARK_BITS;
    RequestId(id | MARK)
}

/// Decodes the load's request of an id; `None` if the id is not from a load.
pub fn decode(id: RequestId) -> Option<Root> {
    let id = id.0;
    if id & FIXED != VERSION | VARIANT || low(id, MARK_BITS) != MARK {
        return None;
    }
    let seq = ((id >> 80) << 16) | (low(id >> 64, 12) << 4) | low(id >> 58, 4);
    Some(Root {
        load: ParticipantId(u16::try_from(low(id >> 42, 16)).ok()?),
        entry: u16::try_from(low(id >> MARK_BITS, 16)).ok()?,
        seq: u64::try_from(seq).ok()?,
    })
}

/// The id as the value of `x-request-id`.
pub fn header_value(id: RequestId) -> HeaderValue {
    let mut text = String::with_capacity(36);
    write!(text, "{id}").expect("writing into a string succeeds");
    HeaderValue::try_from(text).expect("hexadecimal digits and hyphens are valid in header values")
}

fn low(value: u128, bits: u32) -> u128 {
    value & ((1 << bits) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOTS: [Root; 4] = [
        Root {
            load: ParticipantId(0),
            entry: 0,
            seq: 0,
        },
        Root {
            load: ParticipantId(3),
            entry: 7,
            seq: 1_234_567,
        },
        Root {
            load: ParticipantId(u16::MAX),
            entry: u16::MAX,
            seq: u64::MAX,
        },
        Root {
            load: ParticipantId(1),
            entry: 0,
            seq: 0x0123_4567_89ab_cdef,
        },
    ];

    #[test]
    fn an_id_decodes_to_the_root_that_it_was_made_of() {
        for root in ROOTS {
            assert_eq!(decode(encode(root)), Some(root));
        }
    }

    #[test]
    fn an_id_survives_its_way_through_a_header() {
        for root in ROOTS {
            let value = header_value(encode(root));
            assert_eq!(
                RequestId::parse(value.as_bytes()).and_then(decode),
                Some(root)
            );
        }
    }

    #[test]
    fn an_id_is_a_version_4_uuid() {
        for root in ROOTS {
            let text = encode(root).to_string();
            assert_eq!(text.as_bytes()[14], b'4', "{text}");
            assert!(
                matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'),
                "{text}"
            );
        }
    }

    #[test]
    fn a_strangers_uuid_is_not_taken_for_one_of_ours() {
        for text in [
            "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert_eq!(
                decode(RequestId::parse(text.as_bytes()).expect("a UUID")),
                None
            );
        }
    }
}
