use super::*;
use crate::{Event, PodId};

fn digest(
    version: &str,
    scenario: &str,
    seed: u64,
    participants: &Participants,
    records: &[Record],
) -> Digest {
    let mut digester = Digester::new(version, scenario, seed, participants);
    records.iter().for_each(|record| digester.record(record));
    digester.finish()
}

fn crashed(at_ns: i64, pod: u32) -> Record {
    Record {
        at_ns,
        event: Event::Crashed { pod: PodId(pod) },
    }
}

#[test]
fn equal_runs_have_equal_digests() {
    let run = || {
        digest(
            "1",
            "a",
            1,
            &Participants::default(),
            &[crashed(1, 1), crashed(2, 2)],
        )
    };
    assert_eq!(run(), run());
    assert_eq!(run().to_string().len(), 64);
}

#[test]
fn a_digest_feels_every_part_of_a_run() {
    let none = Participants::default();
    let longer = Participants {
        duration_ns: 1,
        ..Participants::default()
    };
    let base = [crashed(1, 1), crashed(2, 2)];
    let digests = [
        digest("1", "a", 1, &none, &base),
        digest("2", "a", 1, &none, &base),
        digest("1", "b", 1, &none, &base),
        digest("1", "a", 2, &none, &base),
        digest("1", "a", 1, &longer, &base),
        digest("1", "a", 1, &none, &[crashed(2, 2), crashed(1, 1)]),
        digest("1", "a", 1, &none, &[crashed(1, 1), crashed(3, 2)]),
        digest("1", "a", 1, &none, &[crashed(1, 1), crashed(2, 3)]),
        digest("1", "a", 1, &none, &base[..1]),
        digest(
            "1",
            "a",
            1,
            &none,
            &[
                Record {
                    at_ns: 1,
                    event: Event::Ready { pod: PodId(1) },
                },
                crashed(2, 2),
            ],
        ),
    ];
    for (i, a) in digests.iter().enumerate() {
        for (j, b) in digests.iter().enumerate().skip(i + 1) {
            assert_ne!(a, b, "{i} and {j}");
        }
    }
}

#[test]
fn text_cannot_move_over_a_border() {
    let participants = Participants::default();
    assert_ne!(
        digest("ab", "c", 1, &participants, &[]),
        digest("a", "bc", 1, &participants, &[])
    );
}
