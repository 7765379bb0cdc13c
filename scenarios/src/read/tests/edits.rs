//! Variants and `--set`.

use super::*;

#[test]
fn a_variant_edits_lists_by_name() {
    let text = small_scenario(
        "chaos:
  - {name: gone, at: 5s, for: 3s, do: crash, target: api}
  - {name: stop, at: 20s, for: 3s, do: pause, target: web}
variants:
  other:
    story: Another end.
    chaos: [{name: gone, do: nothing}, {name: stop, at: 30s, for: 1s, do: pause, target: api}]
    expect:
      - fine: null
      - new: count(users) > 0
    breaks: [new]
",
    );
    let edits = Edits {
        variant: Some("other".to_owned()),
        set: Vec::new(),
    };
    let scenario = load_text("f.yaml", &text, &edits).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (scenario.story.as_str(), scenario.variant.as_str()),
        ("Another end.", "other")
    );
    assert_eq!(scenario.breaks, Some(vec!["new".to_owned()]));
    assert_eq!(
        scenario
            .checks
            .iter()
            .map(|check| check.name.as_str())
            .collect::<Vec<_>>(),
        ["new"]
    );
    let [only] = &scenario.chaos[..] else {
        panic!("one item is left")
    };
    let FireTimes::At(at) = &only.when else {
        panic!("at")
    };
    assert_eq!(
        (only.name.as_str(), at.from.to_string().as_str()),
        ("stop", "30s")
    );
    assert!(
        !scenario.expanded.contains("variants"),
        "{}",
        scenario.expanded
    );
}

#[test]
fn set_edits_by_the_same_rule() {
    let edits = Edits {
        variant: None,
        set: vec![
            "load.users.rate=150/s".to_owned(),
            "load.users.arrivals=poisson".to_owned(),
        ],
    };
    let scenario =
        load_text("f.yaml", &small_scenario(""), &edits).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.loads[0].stages[0].from.to_string(), "150/s");
    assert_eq!(scenario.loads[0].arrivals, Arrivals::Poisson);
    assert!(scenario.expanded.contains("150/s"));
}

#[test]
fn an_edit_that_is_wrong_is_told_with_the_argument() {
    for (argument, message) in [
        (
            "load.users.rate",
            "--set load.users.rate: expected KEY=VALUE, as in `load.users.rate=150/s`",
        ),
        (
            "load.users.rate=fast",
            "--set load.users.rate=fast: invalid rate `fast`: a rate is written `200/s`, `90/m`, `1.5k/s`",
        ),
        (
            "load.users.rate=",
            "--set load.users.rate=: the value is missing: write `null` to remove a key",
        ),
    ] {
        let edits = Edits {
            variant: None,
            set: vec![argument.to_owned()],
        };
        let error = load_text("f.yaml", &small_scenario(""), &edits).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, LoadError::Wrong(_)));
        assert!(text.starts_with(message), "{text}");
    }
}

#[test]
fn an_unknown_variant_names_those_there_are() {
    let edits = Edits {
        variant: Some("fragil".to_owned()),
        set: Vec::new(),
    };
    let error = crate::load("header-routing", &edits)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "`scenarios/header-routing.yaml` has no variant `fragil`: did you mean `fragile`?"
    );
}
