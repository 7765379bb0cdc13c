use proptest::prelude::*;

use super::*;

fn one(text: &str) -> Node {
    parse("f", text).unwrap().remove(0)
}

fn errors(text: &str) -> String {
    parse("f", text).unwrap_err().to_string()
}

#[test]
fn every_value_and_key_knows_its_place() {
    let node = one("# comment\na: 1\nb:\n  - x\n  - {c: \"ü\", d: e}\n");
    assert_eq!(node.place.to_string(), "f:2:1");
    let entry = &node.as_map().unwrap()["b"];
    assert_eq!(entry.key.to_string(), "f:3:1");
    assert_eq!(entry.node.place.to_string(), "f:4:3");
    let items = entry.node.as_list().unwrap();
    assert_eq!(items[1].place.to_string(), "f:5:5");
    assert_eq!(items[1].get("d").unwrap().place.to_string(), "f:5:17");
}

#[test]
fn a_flow_pair_without_braces_is_a_map_at_its_key() {
    let node = one("{POST /charge: [work: exp(4ms), call: b]}");
    let steps = node.get("POST /charge").unwrap().as_list().unwrap();
    assert_eq!(steps[1].get("call").unwrap().as_str(), Some("b"));
    assert_eq!(steps[1].place.to_string(), "f:1:33");
}

#[test]
fn unsupported_yaml_features_are_all_rejected_with_their_positions() {
    assert_eq!(
        errors("a: &x 1\nb: *x\nc: !t 2\na: 3\nd:\n  <<: {e: f}\n? [g]\n: h\n"),
        "\
f:1:4: anchors (`&name`) are not accepted: write the value where it is used
f:2:4: aliases (`*name`) are not accepted: write the value again, or quote the `*`
f:3:4: tags (`!name`) are not accepted: quote the value to make it a string
f:4:1: duplicate key `a`; the first is at 1:1
f:6:3: merge keys (`<<`) are not accepted: write the keys here
f:7:3: a key must be a scalar, not a list or a map"
    );
}

#[test]
fn a_star_alone_is_told_to_be_quoted() {
    let found = errors("hosts: [*]\n");
    assert!(
        found.starts_with("f:1:9: YAML syntax") && found.contains("begins with `*`: `\"*\"`"),
        "{found}"
    );
}

#[test]
fn an_empty_file_is_an_error() {
    for text in ["", "\n\n", "# nothing\n", "---\n", "---\n...\n"] {
        assert_eq!(
            errors(text),
            "f:1:1: empty: expected a YAML document",
            "{text:?}"
        );
    }
}

#[test]
fn a_file_of_several_documents_gives_those_with_content() {
    let documents = parse("f", "---\na: 1\n---\n---\n# c\n---\nb: 2\n").unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].place.line, 7);
}

#[test]
fn nesting_past_the_bound_is_an_error_and_not_an_overflow() {
    for text in [
        "[".repeat(5000),
        "{a: ".repeat(5000),
        "- ".repeat(5000),
        "? ".repeat(5000),
        "[".repeat(65) + &"]".repeat(65),
    ] {
        let found = errors(&text);
        assert!(
            found.contains("nested too deeply: at most 64 levels"),
            "{found}"
        );
    }
    assert!(parse("f", &("[".repeat(64) + &"]".repeat(64))).is_ok());
}

#[test]
fn bytes_that_are_not_utf8_are_named_with_their_place() {
    let found = parse_bytes("f", b"a: 1\nb\xc3\xbc: \xff\n")
        .unwrap_err()
        .to_string();
    assert_eq!(found, "f:2:5: not UTF-8: byte 0xff; save the file as UTF-8");
}

#[test]
fn a_byte_order_mark_and_line_ends_of_windows_are_taken() {
    let node = one("\u{feff}a: 1\r\nb: 2\r\n");
    assert_eq!(node.to_yaml_string(), "a: 1\nb: 2\n");
    assert_eq!(node.get("b").unwrap().place.to_string(), "f:2:4");
}

#[test]
fn a_syntax_error_has_its_place() {
    let found = errors("a: [1, 2\nb: 3\n");
    assert!(
        found.starts_with("f:2:") && found.contains("YAML syntax"),
        "{found}"
    );
}

#[test]
fn a_file_past_the_bound_is_not_read() {
    assert!(errors(&" ".repeat(MAX_BYTES + 1)).starts_with("f: too large"));
}

#[test]
fn numbers_and_strings_stay_apart_in_json_and_yaml() {
    let node = one(
        "{a: 1.10, b: \"1.10\", c: null, d: \"null\", e: 5ms, f: \"*\", g: [], h: -3, \"1\": x, i: \"a\\nb\"}",
    );
    assert_eq!(
        node.to_json().to_string(),
        r#"{"1":"x","a":1.1,"b":"1.10","c":null,"d":"null","e":"5ms","f":"*","g":[],"h":-3,"i":"a\nb"}"#
    );
    assert_eq!(
        node.to_yaml_string(),
        "a: 1.10\nb: \"1.10\"\nc: null\nd: \"null\"\ne: 5ms\nf: \"*\"\ng: []\nh: -3\n\"1\": x\ni: \"a\\nb\"\n"
    );
}

#[test]
fn a_number_that_begins_with_a_point_is_written_as_one() {
    for text in ["-.5", ".5", "-.inf"] {
        assert_eq!(
            one(&format!("a: {text}")).to_yaml_string(),
            format!("a: {text}\n")
        );
    }
}

fn tree() -> impl Strategy<Value = Node> {
    let place = || Location::whole("p");
    let text = prop_oneof![
        "[ -~]{0,12}",
        "\\PC{0,6}",
        "[a-z0-9.:#*&-]{0,6}",
        any::<String>()
    ];
    let leaf = prop_oneof![
        Just(Node::null(place())),
        any::<bool>().prop_map(move |value| Node::new(Value::Bool(value), place())),
        text.clone()
            .prop_map(move |text| Node::string(text, place())),
        any::<i32>().prop_map(move |number| Node::plain(number.to_string(), place())),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(move |items| Node::list(items, place())),
            prop::collection::vec((text.clone(), inner), 0..5)
                .prop_map(move |entries| Node::map(entries, place())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(node in tree()) {
        let text = node.to_yaml_string();
        let back = parse("f", &text);
        if node.is_null() {
            prop_assert!(back.is_err());
        } else {
            let back = back.map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(back.len(), 1);
            prop_assert_eq!(back[0].to_json(), node.to_json(), "{}", text);
            prop_assert_eq!(back[0].to_yaml_string(), text);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof![
        any::<String>(),
        "[\\[\\]{}:,?*&!|>'\"%@`#\\- \n\ta1]{0,60}",
    ]) {
        let _ = parse("f", &text);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = parse_bytes("f", &bytes);
    }
}

/// Parses a text in the Kubernetes dialect.
fn wide(text: &str) -> Node {
    parse_kubernetes("f", text.as_bytes()).unwrap().remove(0)
}

fn wide_errors(text: &str) -> String {
    parse_kubernetes("f", text.as_bytes())
        .unwrap_err()
        .to_string()
}

#[test]
fn lines_within_brackets_may_stand_at_any_column() {
    let text = "\
spec:
  hosts: [
    reviews, # a comment with ]
  'it''s ]'
  ]
  http:
  - {match: [{uri: {prefix: /a}}],
route: [
x
]}
  text: |
    [not a list
    end
  last: {a: b}
";
    for node in [one(text), wide(text)] {
        assert_eq!(
            node.to_json().to_string(),
            r#"{"spec":{"hosts":["reviews","it's ]"],"http":[{"match":[{"uri":{"prefix":"/a"}}],"route":["x"]}],"last":{"a":"b"},"text":"[not a list\nend\n"}}"#
        );
        let hosts = node.find(&["spec", "hosts"]).unwrap().as_list().unwrap();
        assert_eq!(hosts[0].place.to_string(), "f:3:5");
        assert_eq!(hosts[1].place.to_string(), "f:4:3");
    }
}

#[test]
fn brackets_that_are_text_are_not_taken_for_lists() {
    for text in [
        "a: b [c\nd: [\n]\n",
        "a: |\n  [\n\n  x\nd: [\n]\n",
        "- - 'a'\n  - >-\n    {\n- d: [\n]\n",
        "\"k [\": 'v {'\nd: [\n]\n",
        "a: b\n  [c\nd: e\n",
    ] {
        let node = one(text);
        let indented = text.replace("[\n]", "[\n      ]");
        assert_eq!(node.to_json(), one(&indented).to_json(), "{text}");
    }
}

#[test]
fn brackets_after_lone_carriage_returns_are_no_panic() {
    // Found by fuzzing.
    let text = "a: 1b\n\r\" c\": [|, &y =\",1, ]\r\nb c\": [|, &y 1\r\n\"=\",2, ]\r\nd:\r - 2d:\r - 2~\n# ey z#nP\r\n\
                \"b c\": [|, &y =\",2, ] :\rb\"\nc [|\x07 &y 1\rrd\r\n";
    assert!(errors(text).contains("YAML syntax"));
    assert!(wide_errors(text).contains("YAML syntax"));
}

#[test]
fn a_missing_bracket_is_still_an_error_with_its_place() {
    assert!(errors("a: [\n  b\nc: d\n").contains("YAML syntax"));
    assert!(errors("a: [b\n}\n").contains("YAML syntax"));
}

#[test]
fn aliases_and_merge_keys_are_what_kubectl_makes_of_them() {
    let node = wide(
        "base: &base {a: 1, b: &b [x]}\nother: &other {a: 2, c: 3}\nby: {<<: *base, a: 9, d: *b}\n\
         two: {<<: [*base, *other]}\nlate: {a: 0, <<: *other}\n*b-key : 1\n"
            .replace("*b-key : 1\n", "")
            .as_str(),
    );
    let json = |key| node.get(key).unwrap().to_json().to_string();
    assert_eq!(json("by"), r#"{"a":9,"b":["x"],"d":["x"]}"#);
    assert_eq!(json("two"), r#"{"a":1,"b":["x"],"c":3}"#);
    assert_eq!(json("late"), r#"{"a":2,"c":3}"#);
    // The place of a copy is that of its anchor.
    let copied = node.find(&["by", "d"]).unwrap();
    assert_eq!(copied.place.line, 1);
}

#[test]
fn tags_of_the_core_schema_and_older_booleans_are_taken() {
    assert_eq!(
        wide("{a: !!str 80, b: !!int 80, c: yes, d: \"yes\", e: Off}")
            .to_json()
            .to_string(),
        r#"{"a":"80","b":80,"c":true,"d":"yes","e":false}"#
    );
    assert!(wide_errors("a: !mine 1").contains("tags (`!name`) are not accepted"));
}

#[test]
fn aliases_that_multiply_a_file_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let last = level - 1;
        let copies = vec![format!("*a{last}"); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{copies}]\n"));
    }
    assert!(wide_errors(&text).contains("aliases expand to too much data"));
    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(1 << 20),
        vec!["*a"; 20].join(", ")
    );
    assert!(wide_errors(&long).contains("aliases expand to too much data"));
    assert!(wide_errors("a: &a [*a]").contains("inside the value that it refers to"));
    let deep = format!(
        "a: &a {}{}\nb: {}*a{}\n",
        "[".repeat(40),
        "]".repeat(40),
        "[".repeat(40),
        "]".repeat(40)
    );
    assert!(wide_errors(&deep).contains("nested too deeply"));
    assert!(wide_errors("a: {<<: x}").contains("invalid `<<`: expected a map"));
}

proptest! {
    #[test]
    fn no_text_makes_the_wide_parser_panic(text in prop_oneof![
        any::<String>(),
        "[\\[\\]{}:,?*&!|>'\"%@`#\\- \n\ta1<]{0,60}",
        "(&a |\\*a|<<: |a: |- |\\[|\\]|\\{|\\}|,|\n|\n  |x|'|\\||#){0,30}",
    ]) {
        let _ = parse_kubernetes("f", text.as_bytes());
    }
}
