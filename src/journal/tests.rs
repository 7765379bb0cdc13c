use shakedown_results::{Cast, Digester, Event, PodId, Record};

use super::*;

fn header() -> Header {
    Header {
        version: crate::version(),
        scenario: "s".into(),
        variant: "base".into(),
        set: Vec::new(),
        seed: 1,
        engine: "native".into(),
        expanded: "scenario: s\n".into(),
        cast: Cast::default(),
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

fn written(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(&mut bytes, &header()).unwrap();
    records.iter().for_each(|record| writer.record(record));
    writer
        .end(&Digester::new("", "", 1, &Cast::default()).finish())
        .unwrap();
    bytes
}

fn compare(journal: &[u8], run: &[Record]) -> Result<Result<u64, Box<Divergence>>, JournalError> {
    let mut comparison = Comparison::new(Reader::open(journal).unwrap());
    run.iter().for_each(|record| comparison.record(record));
    comparison.finish()
}

#[test]
fn what_was_written_is_read_back() {
    let bytes = written(&records(3));
    let mut reader = Reader::open(bytes.as_slice()).unwrap();
    assert_eq!(*reader.header(), header());
    for record in records(3) {
        assert_eq!(reader.next_line().unwrap(), Line::Record(record));
    }
    assert!(matches!(reader.next_line().unwrap(), Line::Footer(footer) if footer.records == 3));
}

#[test]
fn an_equal_run_is_equal() {
    assert_eq!(compare(&written(&records(9)), &records(9)).unwrap(), Ok(9));
}

#[test]
fn the_first_difference_comes_with_what_went_before() {
    let mut run = records(9);
    run[7].at_ns = 70;
    let divergence = compare(&written(&records(9)), &run).unwrap().unwrap_err();
    assert_eq!((divergence.index, divergence.before.len()), (7, CONTEXT));
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
fn a_journal_that_is_cut_off_is_an_error_and_no_difference() {
    let bytes = written(&records(4));
    let end = bytes.len()
        - 2
        - bytes
            .iter()
            .rev()
            .skip(2)
            .position(|byte| *byte == b'\n')
            .unwrap();
    let error = compare(&bytes[..end], &records(4)).unwrap_err();
    assert!(matches!(error, JournalError::CutOff { line: 5 }), "{error}");
    assert!(matches!(
        Reader::open(&b""[..]),
        Err(JournalError::CutOff { line: 0 })
    ));
    assert!(matches!(
        Reader::open(&b"{}\n"[..]),
        Err(JournalError::Line { line: 1, .. })
    ));
}
