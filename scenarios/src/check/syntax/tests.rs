use super::{ExprKind, WrittenRelation, parse};
use crate::check::{Op, Seeds, Temporal};

#[test]
fn every_check_of_the_stories_parses() {
    for text in [
        "success(users) >= 99.9%",
        "p99(users) < 100ms during sick",
        "recovers p99(users) < 50ms per 5s within 30s after sick",
        "canary(checkout) == rolled-back within 4m",
        "eventually weight(checkout/v2) > 0% during 1m..3m",
        "count(checkout/v2 during 5m..10m) == 0",
        "success(users before flush) >= 99.9%",
        "count(a -> b where plaintext) == 0",
        "count(legacy where plaintext) == count(legacy)",
        "p99(guests.hotels where ok during 3m..4m) < 200ms",
        "count(frontend -> search where flag == UO during 3m..4m) > 0",
        "share(users where latency > 900ms) ~= 63.4% within 1% over seeds",
        "ejected(api) == 1 within 3s of sick",
        "ejected.max(api) <= 1",
        "count(frontend -> currency POST /Convert during 20s..2m) >= 9 * count(users.index during 20s..2m)",
        "p99(users.index during slow-ads) <= 100ms + p99(users.index before slow-ads)",
        "queue-wait.p99.9(second) == 0s",
        "mean(users) - mean(server) == 0s",
        "always unsynced(*) <= 200 during 1m..10m",
        "success(in1) >= 99% in >= 95% of seeds",
        "share(stock in zone a where from zone a before cut) == 100%",
        "recovers rate(stock in zone a) >= 90/s per 5s within 1m after cut",
        "goodput(users after sick) >= 95% * goodput(users before sick)",
        "p99(users) <= 1.5 * p99(tests)",
        "count(users where not ok and status == 5xx and via b/v2) == 0 during sick.start..sick.end + 5s",
        "count(* -> b/1.10/3 where from a/v1) > 0 before end - 1m",
        "count(a->b) == 0",
        "(p99(users)+1) < 1",
    ] {
        if text == "(p99(users)+1) < 1" {
            assert_eq!(
                parse(text).unwrap_err().at,
                11,
                "blanks around + are asked for"
            );
            continue;
        }
        parse(text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
    }
}

#[test]
fn precedence_is_that_of_arithmetic() {
    let written = parse("1 + 2 * 3 < 10").unwrap();
    let ExprKind::Binary(crate::check::Arithmetic::Add, _, right) = written.left.kind else {
        panic!()
    };
    assert!(matches!(
        right.kind,
        ExprKind::Binary(crate::check::Arithmetic::Multiply, ..)
    ));
    assert!(matches!(
        written.relation,
        WrittenRelation::Compare(Op::Less)
    ));
}

#[test]
fn tails_are_read_in_any_order() {
    let written = parse("always p99(users) < 1s during 1s..5s per 1s in >= 99% of seeds").unwrap();
    assert!(matches!(written.temporal, Some((Temporal::Always, 0))));
    assert_eq!(written.per.unwrap().0, 1_000_000_000);
    assert!(matches!(
        written.seeds.unwrap().0,
        Seeds::In {
            op: Op::AtLeast,
            ..
        }
    ));
    assert!(written.window.is_some());
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    for (text, at, message) in [
        (
            "",
            0,
            "expected a metric, such as `p99(users)`, or a value with its unit, found the end of the check",
        ),
        (
            "p99(users)",
            10,
            "expected a comparison (`<`, `<=`, `>`, `>=`, `==`, `!=`, `~=`), found the end of the check",
        ),
        (
            "p99(users) = 5ms",
            11,
            "expected a comparison (`<`, `<=`, `>`, `>=`, `==`, `!=`, `~=`), found `=`",
        ),
        (
            "p99(users < 5ms",
            10,
            "expected `)`, `->`, `where` or a window (`during`, `after`, `before`, `within`), found `<`",
        ),
        (
            "p99(users) ~= 5ms",
            17,
            "expected `within` and a share (`~= 5ms within 1%`), found the end of the check",
        ),
        (
            "count(users where slow) == 0",
            18,
            "unknown condition `slow`: expected `ok`, `timeout`, `dropped`, `retried`, `hedged`, `plaintext`, `latency`, `uncorrected`, `send-lag`, `queue-wait`, `service-time`, `status`, `flag`, `via` or `from`",
        ),
        (
            "count(users where status == 999) == 0",
            28,
            "invalid status `999`: expected a status such as `503`, `5xx`, or a gRPC status such as `UNAVAILABLE`",
        ),
        (
            "p99(users) < 5ms during 3s",
            26,
            "expected `..` and the end of the window, found the end of the check",
        ),
        (
            "p99(users) < 5xs",
            13,
            "invalid duration `5xs`: a duration is written `5s`, `250ms`, `1m30s`",
        ),
        (
            "p99(users) < 5ms per 1s per 2s",
            24,
            "a check can have only one `per`",
        ),
        (
            "p99(users) < 5ms in >= 1% of seeds over seeds",
            35,
            "a check can have only one rule over seeds",
        ),
        (
            "p99(users) < 5ms in > 1% of seeds",
            22,
            "expected `>=` or `<=` and a share of seeds, found `1%`",
        ),
        (
            "count(users where status == 600) == 0",
            28,
            "invalid status `600`: expected a status such as `503`, `5xx`, or a gRPC status such as `UNAVAILABLE`",
        ),
    ] {
        let problem = parse(text).unwrap_err();
        assert_eq!(
            (problem.at, problem.message.as_str()),
            (at, message),
            "{text}"
        );
    }
}

#[test]
fn a_class_of_statuses_is_1xx_to_5xx() {
    for class in ["1xx", "5xx"] {
        let text = format!("count(users where status == {class}) == 0");
        parse(&text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
    }
    for class in ["0xx", "6xx"] {
        let text = format!("count(users where status == {class}) == 0");
        let message = parse(&text).unwrap_err().message;
        assert!(message.contains("invalid status"), "{message}");
    }
}

#[test]
fn parentheses_beside_each_other_do_not_nest() {
    let text = format!("{}(1) < 2", "(1) + ".repeat(40));
    parse(&text).unwrap_or_else(|problem| panic!("{problem:?}"));
}

#[test]
fn parentheses_are_bounded() {
    let text = format!("{}1{} < 2", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(
        parse(&text).unwrap_err().message,
        "parentheses may be nested at most 32 levels deep"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_check_like_text_makes_the_parser_panic(
        words in proptest::collection::vec("(count|p99\\.9|\\(|\\)|users|->|where|via|b/v2|==|~=|5ms|5%|during|\\.\\.|per|in|of|seeds|within|\\*|\\+| )", 0..24),
    ) {
        let _ = parse(&words.concat());
    }
}
