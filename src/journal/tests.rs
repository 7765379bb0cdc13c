use std::io::{BufReader, Cursor, Read};

use shakedown_results::{Digester, Event, Participants, PodId, Record};

use super::*;

fn header() -> JournalHeader {
    JournalHeader {
        version: crate::version(),
        scenario: "s".into(),
        variant: "base".into(),
        set: Vec::new(),
        seed: 1,
        engine: shakedown_results::Engine::Native,
        expanded: "scenario: s\n".into(),
        participants: Participants::default(),
    }
}

fn records(count: u32) -> Vec<Record> {
    (0..count)
        .map(|n| Record {
            at_ns: i64::from(n),
            event: Event::Ready { pod: PodId(n) },
        })
        .collect()
}

fn digest(records: &[Record]) -> Digest {
    let mut digester = Digester::new("", "", 1, &Participants::default());
    records.iter().for_each(|record| digester.record(record));
    digester.finish()
}

fn written_as(format: Format, records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = JournalWriter::begin(&mut bytes, format, &header()).unwrap();
    records.iter().for_each(|record| writer.record(record));
    writer.end(&digest(records)).unwrap();
    bytes
}

fn written(records: &[Record]) -> Vec<u8> {
    written_as(Format::Plain, records)
}

fn open(journal: &[u8]) -> Result<JournalReader, JournalError> {
    JournalReader::open(Cursor::new(journal.to_vec()))
}

fn compare(journal: &[u8], run: &[Record]) -> Result<Result<u64, Box<Divergence>>, JournalError> {
    let mut comparison = Comparison::new(open(journal)?);
    run.iter().for_each(|record| comparison.record(record));
    comparison.finish(&digest(run))
}

#[test]
fn what_was_written_is_read_back() {
    for format in [Format::Plain, Format::Zstd] {
        let mut reader = open(&written_as(format, &records(3))).unwrap();
        assert_eq!(*reader.header(), header());
        for record in records(3) {
            assert_eq!(reader.next_line().unwrap(), JournalLine::Record(record));
        }
        assert!(
            matches!(reader.next_line().unwrap(), JournalLine::Footer(footer) if footer.records == 3)
        );
        reader.expect_end().unwrap();
    }
}

#[test]
fn a_compressed_journal_is_a_tenth_of_the_size_and_compares_equal() {
    let run = records(9_000);
    let (plain, small) = (written(&run), written_as(Format::Zstd, &run));
    assert!(small.len() * 10 < plain.len(), "{} bytes", small.len());
    assert_eq!(compare(&small, &run).unwrap(), Ok(9_000));
    assert!(matches!(
        compare(&small[..small.len() / 2], &run),
        Err(JournalError::Io { .. })
    ));
}

#[test]
fn an_equal_run_is_equal() {
    assert_eq!(compare(&written(&records(9)), &records(9)).unwrap(), Ok(9));
}

/// Asserts that comparing a journal fails or finds a difference.
#[track_caller]
fn noticed(journal: &[u8], run: &[Record], change: &str) {
    let compared = compare(journal, run);
    assert!(!matches!(compared, Ok(Ok(_))), "{change}: {compared:?}");
}

#[test]
fn every_changed_missing_or_added_byte_is_noticed() {
    let run = records(4);
    let journal = written(&run);
    for at in 0..journal.len() {
        for flip in [1, 0x10, 0x20, 0x80] {
            let mut changed = journal.clone();
            changed[at] ^= flip;
            noticed(&changed, &run, &format!("byte {at} ^ {flip}"));
        }
        let mut missing = journal.clone();
        missing.remove(at);
        noticed(&missing, &run, &format!("byte {at} removed"));
        for byte in [b' ', b'0', b'\n'] {
            let mut added = journal.clone();
            added.insert(at, byte);
            noticed(&added, &run, &format!("{byte} added at {at}"));
        }
        noticed(&journal[..at], &run, &format!("cut off at {at}"));
    }
    noticed(&[&journal[..], b"\n"].concat(), &run, "a line end added");
}

/// Returns the message that a changed journal of four records leads to.
fn message(change: impl Fn(&mut Vec<String>)) -> String {
    let text = String::from_utf8(written(&records(4))).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let journal = lines.join("\n") + "\n";
    match compare(journal.as_bytes(), &records(4)) {
        Ok(Ok(count)) => format!("{count} equal"),
        Ok(Err(divergence)) => divergence.describe(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_kind_of_change_is_refused_with_its_line() {
    assert_eq!(message(|_| {}), "4 equal");
    let replaced = |line: usize, from: &'static str, to: &'static str| {
        message(move |lines| {
            assert!(lines[line].contains(from));
            lines[line] = lines[line].replacen(from, to, 1);
        })
    };
    for (message, words) in [
        (
            replaced(0, "\"seed\":1", "\"seed\":2"),
            "line 1: the header does not match its checksum in line 6",
        ),
        (
            replaced(0, "base", "fragile"),
            "line 1: the header does not match its checksum",
        ),
        (
            replaced(0, "{", "{\"more\":1,"),
            "line 1: expected a header: unknown field",
        ),
        (
            replaced(2, "{", "{\"more\":1,"),
            "line 3: not in the exact form that a journal is written in",
        ),
        (
            replaced(2, "\"at_ns\":1", "\"at_ns\": 1"),
            "line 3: not in the exact form",
        ),
        (
            replaced(2, "\"ready\"", "\"raedy\""),
            "line 3: expected a record: unknown variant",
        ),
        (
            replaced(5, "\"records\":4", "\"records\":5"),
            "line 6: the footer counts 5 records",
        ),
        (
            replaced(5, "}", ",\"more\":1}"),
            "line 6: expected a footer",
        ),
        (
            message(|lines| lines.push(lines[1].clone())),
            "line 7: unexpected data after the footer in line 6",
        ),
        (message(|lines| drop(lines.pop())), "truncated after line 5"),
        (
            message(|lines| lines.swap(1, 2)),
            "differs from the journal at record 0",
        ),
        (
            message(|lines| drop(lines.remove(4))),
            "differs from the journal at record 3",
        ),
    ] {
        assert!(message.contains(words), "`{message}` has no `{words}`");
    }
    let other = digest(&records(3)).to_string();
    let message = message(|lines| {
        let digest = digest(&records(4)).to_string();
        lines[5] = lines[5].replace(&digest, &other);
    });
    assert!(
        message.contains("line 6: the footer contains the digest"),
        "{message}"
    );
}

#[test]
fn a_line_without_an_end_is_refused_before_it_fills_memory() {
    let zeros = BufReader::new(std::io::repeat(0));
    assert!(matches!(
        JournalReader::open(zeros),
        Err(JournalError::TooLong {
            line: 1,
            bytes_max: HEADER_BYTES_MAX
        })
    ));
    let bytes = written(&records(1));
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let endless = Cursor::new(bytes[..second].to_vec()).chain(std::io::repeat(b' '));
    let mut reader = JournalReader::open(BufReader::new(endless)).unwrap();
    assert!(matches!(
        reader.next_line(),
        Err(JournalError::TooLong { line: 2, .. })
    ));
}

#[test]
fn the_first_difference_comes_with_what_went_before() {
    let mut run = records(9);
    run[7].at_ns = 70;
    let divergence = compare(&written(&records(9)), &run).unwrap().unwrap_err();
    assert_eq!((divergence.index, divergence.before.len()), (7, 5));
    assert_eq!(divergence.journal, Some(records(9)[7].clone()));
    assert_eq!(divergence.run, Some(run[7].clone()));
}

#[test]
fn a_run_that_is_longer_or_shorter_differs_at_the_end() {
    let longer = compare(&written(&records(4)), &records(5))
        .unwrap()
        .unwrap_err();
    assert_eq!((longer.index, longer.journal), (4, None));
    let shorter = compare(&written(&records(4)), &records(3))
        .unwrap()
        .unwrap_err();
    assert_eq!((shorter.index, shorter.run), (3, None));
}

#[test]
fn a_journal_without_a_header_is_an_error_and_no_difference() {
    assert!(matches!(open(b""), Err(JournalError::CutOff { line: 0 })));
    assert!(matches!(
        open(b"{}\n"),
        Err(JournalError::Line { line: 1, .. })
    ));
}

#[test]
fn a_journal_of_another_version_is_refused_by_its_version() {
    let text = String::from_utf8(written_as(Format::Plain, &[])).unwrap();
    let own = crate::version();
    let other = text.replacen(&own, "0.1.0+journal.7", 1);
    // Version 7 has another key in place of `participants`.
    let old = other.replacen("\"participants\"", "\"cast\"", 1);
    assert_ne!(old, other);
    for text in [other, old] {
        let error = JournalReader::open(Cursor::new(text.into_bytes())).err();
        assert_eq!(
            error.map(|error| error.to_string()),
            Some(format!(
                "cannot replay a journal of version 0.1.0+journal.7 with version {own}, \
                 because its events may have another meaning"
            ))
        );
    }
}
