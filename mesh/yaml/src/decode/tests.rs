use indexmap::IndexMap;
use serde::Deserialize;

use super::*;
use crate::diagnostic::Location;
use crate::tree::parse;

fn errors<T: DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
    decode::<T>(&parse("f", text).unwrap()[0])
        .unwrap_err()
        .to_string()
}

fn good<T: DeserializeOwned>(text: &str) -> T {
    decode(&parse("f", text).unwrap()[0]).unwrap()
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
struct Service {
    workers: Option<u16>,
    name: String,
    #[serde(default)]
    labels: IndexMap<String, String>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Step {
    Work(Seconds),
    Call(Call),
    Reset,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename = "call*", rename_all = "kebab-case")]
struct Call {
    to: String,
    times: Option<u32>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(default)]
struct Defaulted {
    count: u8,
}

impl Default for Defaulted {
    fn default() -> Self {
        Defaulted { count: 7 }
    }
}

#[derive(Debug, PartialEq)]
struct Seconds(u32);

impl std::str::FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text
            .strip_suffix('s')
            .ok_or(format!("`{text}` has no unit: write `{text}s`"))?;
        digits
            .parse()
            .map(Seconds)
            .map_err(|_| format!("`{text}` is no time"))
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[test]
fn a_good_document_is_read_with_its_short_forms() {
    let read: Service =
        good("name: a\nworkers: 4\nsteps: [work: 5s, call: db, call: {to: db, times: 2}, reset]\n");
    assert_eq!(read.workers, Some(4));
    assert_eq!(
        read.steps,
        [
            Step::Work(Seconds(5)),
            Step::Call(Call {
                to: "db".into(),
                times: None
            }),
            Step::Call(Call {
                to: "db".into(),
                times: Some(2)
            }),
            Step::Reset,
        ]
    );
}

#[test]
fn all_errors_are_found_in_one_reading_and_in_order() {
    let text = "\
name: 1.10
worker: 4
workers: many
labels: {version: 1, tier: gold}
steps:
  - work: 5
  - cal: db
  - call: {to: db, tims: 2}
  - call: {times: 2}
  - {work: 1s, call: db}
  - reset: 3
  - work
";
    assert_eq!(
        errors::<Service>(text),
        "\
f:1:7: names must be strings: write `\"1.10\"`
f:2:1: unknown key `worker`: did you mean `workers`?
f:3:10: expected a whole number, found `many`
f:4:19: names must be strings: write `\"1\"`
f:6:11: `5` has no unit: write `5s`
f:7:5: unknown `cal`: did you mean `call`?
f:8:20: unknown key `tims`: did you mean `times`?
f:9:11: `to` is missing
f:10:5: expected a map with one key of `work`, `call` or `reset`, found 2: `work`, `call`
f:11:12: `reset` does not accept a value, found `3`
f:12:5: `work` needs a value: write `work: ...`"
    );
}

#[test]
fn a_required_key_that_is_in_error_is_not_missing_too() {
    assert_eq!(
        errors::<Vec<Service>>("- {name: 5}\n- {name: []}\n"),
        "f:1:10: names must be strings: write `\"5\"`\nf:2:10: expected a string, found a list"
    );
}

#[test]
fn a_missing_required_key_is_reported_even_if_another_key_is_invalid() {
    assert_eq!(
        errors::<Service>("workers: -1\n"),
        "f:1:1: `name` is missing\nf:1:10: expected a whole number from 0 to 65535, found `-1`"
    );
}

#[test]
fn a_required_key_that_is_misspelt_is_told_once() {
    assert_eq!(
        errors::<Service>("nam: a\nworkers: 1\n"),
        "f:1:1: unknown key `nam`: did you mean `name`?"
    );
}

#[test]
fn a_type_mismatch_is_told_in_plain_words() {
    assert_eq!(
        errors::<Service>("name: a\nsteps: {a: 1}\nlabels: [x]\n"),
        "f:2:8: expected a list, found a map\nf:3:9: expected a map, found a list"
    );
    assert_eq!(
        errors::<Service>("[]"),
        "f:1:1: expected a map, found a list"
    );
    assert_eq!(
        errors::<Vec<bool>>("[yes, true]"),
        "f:1:2: expected `true` or `false`, found `yes`"
    );
    assert_eq!(
        errors::<(u8, u8)>("[1]"),
        "f:1:1: expected a list of 2 items, found 1"
    );
}

#[test]
fn a_quoted_number_is_a_string_and_a_plain_one_a_number() {
    assert_eq!(good::<String>("\"1.10\""), "1.10");
    assert_eq!(good::<u8>("7"), 7);
    assert_eq!(
        errors::<u8>("\"7\""),
        "f:1:1: expected a whole number, found `7`"
    );
    assert_eq!(
        errors::<String>("true"),
        "f:1:1: names must be strings: write `\"true\"`"
    );
    assert_eq!(
        errors::<IndexMap<String, u8>>("{1.10: 1, \"2\": 2}"),
        "f:1:2: names must be strings: write `\"1.10\"`"
    );
    assert_eq!(good::<IndexMap<u16, u8>>("{200: 1}")[&200], 1);
}

#[test]
fn a_spanned_value_and_key_keep_their_places() {
    let read: IndexMap<Spanned<String>, Spanned<u8>> = good("a: 1\nbb:  2\n");
    let (key, value) = read.get_index(1).unwrap();
    assert_eq!(
        (key.place.to_string(), value.place.to_string()),
        ("f:2:1".into(), "f:2:6".into())
    );
    assert_eq!(read["a"].value, 1);
}

#[test]
fn a_raw_part_is_kept_as_it_stands() {
    let read: IndexMap<String, Raw> = good("a: {b: [1, x]}\n");
    assert_eq!(read["a"].0.to_yaml_string(), "b:\n  - 1\n  - x\n");
    assert_eq!(read["a"].0.place.to_string(), "f:1:4");
}

#[test]
fn a_key_that_comes_later_is_refused_as_such() {
    let decoder = Decoder::new()
        .word("field")
        .prefix("Thing x: ")
        .unsupported(&[
            ("Service", &[("queue", "nothing waits")]),
            ("Step", &[("hang", "nothing hangs")]),
        ]);
    let node = &parse("f", "name: a\nqueue: 3\nworkrs: 1\nsteps: [hang]").unwrap()[0];
    assert_eq!(
        decoder.decode::<Service>(node).unwrap_err().to_string(),
        "f:2:1: Thing x: not supported yet: `queue`\nf:3:1: Thing x: unknown field `workrs`: did you mean `workers`?\n\
         f:4:9: Thing x: not supported yet: `hang`"
    );
}

#[test]
fn what_is_in_error_is_left_out_of_a_partial_value() {
    let node = &parse("f", "name: a\nsteps: [work: 5, reset]").unwrap()[0];
    let read = Decoder::new().decode_partial::<Service>(node);
    assert_eq!(read.value.unwrap().steps, [Step::Reset]);
    assert_eq!(read.errors.len(), 1);
}

#[test]
fn what_is_not_modelled_is_passed_over_with_its_place_and_effect() {
    let decoder = Decoder::new().unsupported(&[
        ("Service", &[("queue", "nothing waits")]),
        ("Step", &[("hang", "nothing hangs")]),
    ]);
    let node = &parse("f", "name: a\nqueue: 3\nsteps: [hang, reset]").unwrap()[0];
    let read = decoder.decode_partial::<Service>(node);
    assert_eq!(read.value.unwrap().steps, [Step::Reset]);
    assert!(read.errors.is_empty(), "{}", read.errors);
    let passed: Vec<String> = read
        .passed
        .iter()
        .map(|passed| format!("{} {}: {}", passed.place, passed.key, passed.effect))
        .collect();
    assert_eq!(
        passed,
        ["f:2:1 queue: nothing waits", "f:3:9 hang: nothing hangs"]
    );
}

#[test]
fn a_missing_key_is_reported_with_its_example() {
    let decoder = Decoder::new().examples(&[("Service", &[("name", "name: api")])]);
    let node = &parse("f", "workers: 1").unwrap()[0];
    assert_eq!(
        decoder.decode::<Service>(node).unwrap_err().to_string(),
        "f:1:1: `name` is missing: write `name: api`"
    );
}

#[test]
fn an_unknown_variant_is_reported_with_its_word() {
    let decoder = Decoder::new()
        .choice("step")
        .unsupported(&[("Step", &[("hang", "")])]);
    let node = &parse("f", "name: a\nsteps: [rset, hnag]").unwrap()[0];
    assert_eq!(
        decoder.decode::<Service>(node).unwrap_err().to_string(),
        "f:2:9: unknown step `rset`: did you mean `reset`?\nf:2:15: unknown step `hnag`: did you mean `hang`?"
    );
}

#[test]
fn null_is_read_as_absence_on_request() {
    let decoder = Decoder::new().null_is_absent();
    let of = |text: &str| decoder.decode::<Defaulted>(&parse("f", text).unwrap()[0]);
    assert_eq!(of("count: ~").unwrap(), Defaulted { count: 7 });
    let null = Node::null(Location::new("f", 1, 1));
    assert_eq!(decoder.decode::<Defaulted>(&null).unwrap().count, 7);
    let strict = decode::<Defaulted>(&parse("f", "count: ~").unwrap()[0]);
    assert_eq!(
        strict.unwrap_err().to_string(),
        "f:1:8: expected a whole number, found nothing"
    );
}

#[test]
fn the_keys_of_several_structs_are_those_of_one_map() {
    let (first, second) = (StructKeys::new::<Defaulted>(), StructKeys::new::<Service>());
    assert_eq!((first.name, first.keys), ("Defaulted", &["count"][..]));
    let node = &parse("f", "count: 1\nname: a\ncuont: 2").unwrap()[0];
    let message = "f:3:1: unknown key `cuont`: did you mean `count`?";
    let keys = Decoder::new().check_keys(node, first, &[second]);
    assert_eq!(keys.errors.to_string(), message);
    let beside = Decoder::new().beside(second).decode::<Defaulted>(node);
    assert_eq!(beside.unwrap_err().to_string(), message);
    let ignoring = Decoder::new().ignore_unknown_keys();
    assert_eq!(ignoring.decode::<Defaulted>(node).unwrap().count, 1);
}

#[test]
fn errors_stop_at_a_hundred() {
    let text = "- x\n".repeat(500);
    assert_eq!(
        decode::<Vec<u8>>(&parse("f", &text).unwrap()[0])
            .unwrap_err()
            .len(),
        MAX_ERRORS
    );
}

#[test]
fn null_and_absence_are_none() {
    assert_eq!(good::<Service>("name: a\nworkers: ~").workers, None);
    assert_eq!(good::<Vec<Option<u8>>>("[null, 3]"), [None, Some(3)]);
}

proptest::proptest! {
    /// Decoding any tree as any of these types returns a value or an error.
    #[test]
    fn no_document_makes_the_decoder_panic(text in "[\\[\\]{}:,\\- \n a-e1\"]{0,80}|(name|steps|work|call|to|: |\n|\n  |- |[a-z0-9]|\\[|\\]|\\{|\\}|,){0,30}") {
        for node in parse("f", &text).unwrap_or_default() {
            let _ = decode::<Service>(&node);
            let _ = decode::<Vec<Step>>(&node);
            let _ = decode::<IndexMap<Spanned<String>, Raw>>(&node);
        }
    }
}
