use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;

fn host(name: &str) -> VirtualHost {
    VirtualHost {
        name: Arc::from(name),
        routes: Vec::new(),
        include_attempt_count: false,
        include_attempt_count_in_response: false,
    }
}

fn table(domains: &[&str], ignore_port: bool) -> RouteTable {
    let hosts = domains
        .iter()
        .map(|domain| (host(domain), vec![(*domain).to_owned()]))
        .collect();
    RouteTable::new("t", hosts, ignore_port).unwrap()
}

fn found<'a>(table: &'a RouteTable, authority: &str) -> &'a str {
    table.find_host(authority).map_or("", |host| &host.name)
}

#[test]
fn exact_host_wins_then_longest_suffix_then_longest_prefix_then_wildcard() {
    let table = table(&["*", "a.*", "a.b.*", "*.com", "*.b.com", "a.b.com"], false);
    assert_eq!(found(&table, "a.b.com"), "a.b.com");
    assert_eq!(found(&table, "x.b.com"), "*.b.com");
    assert_eq!(found(&table, "a.x.com"), "*.com");
    assert_eq!(found(&table, "a.b.org"), "a.b.*");
    assert_eq!(found(&table, "a.org"), "a.*");
    assert_eq!(found(&table, "x.org"), "*");
}

#[test]
fn a_wildcard_stands_for_one_character_at_least() {
    let table = table(&["*.com", "a.*"], false);
    assert_eq!(found(&table, ".com"), "");
    assert_eq!(found(&table, "a."), "");
    assert_eq!(found(&table, "x.com"), "*.com");
}

#[test]
fn case_is_ignored_and_a_port_only_when_told() {
    let strict = table(&["Reviews:9080", "reviews"], false);
    assert_eq!(found(&strict, "REVIEWS:9080"), "Reviews:9080");
    assert_eq!(found(&strict, "reviews"), "reviews");
    assert_eq!(found(&strict, "reviews:1"), "");
    let loose = table(&["reviews", "[::1]"], true);
    assert_eq!(found(&loose, "reviews:1"), "reviews");
    assert_eq!(found(&loose, "[::1]:80"), "[::1]");
}

#[test]
fn an_authority_of_many_bytes_a_letter_is_looked_up_without_panic() {
    let table = table(&["*ü.com", "é*"], false);
    for authority in ["ö", "€€€€", "é", "ééé", "xü.com", ""] {
        let _ = table.find_host(authority);
    }
    assert_eq!(found(&table, "xü.com"), "*ü.com");
}

#[test]
fn a_domain_that_stands_twice_is_refused() {
    for pair in [["a", "A"], ["*", "*"], ["*.a", "*.a"], ["a*", "a*"]] {
        let hosts = pair
            .iter()
            .map(|domain| (host(domain), vec![(*domain).to_owned()]))
            .collect();
        assert_eq!(RouteTable::new("t", hosts, false).unwrap_err(), pair[1]);
    }
}

fn view<'a>(path: &'a str, headers: &'a HeaderMap) -> RequestView<'a> {
    RequestView {
        method: "GET",
        path,
        authority: "a",
        scheme: "http",
        headers,
    }
}

fn exact(text: &str) -> StringMatcher {
    StringMatcher::Exact(text.into())
}

#[test]
fn each_string_matcher_takes_what_its_name_says() {
    let text = |text: &str| text.into();
    for (matcher, yes, no) in [
        (exact("ab"), ["ab", "ab"], ["abc", "AB"]),
        (
            StringMatcher::ExactIgnoringCase(text("aB")),
            ["AB", "ab"],
            ["abc", "a"],
        ),
        (
            StringMatcher::Prefix(text("/od10")),
            ["/od10", "/od100"],
            ["/od1", "x/od10"],
        ),
        (
            StringMatcher::PrefixIgnoringCase(text("Ab")),
            ["aBc", "ab"],
            ["a", "xab"],
        ),
        (
            StringMatcher::Suffix(text("bc")),
            ["abc", "bc"],
            ["bcd", "c"],
        ),
        (
            StringMatcher::SuffixIgnoringCase(text("BC")),
            ["abc", "bC"],
            ["bcd", "c"],
        ),
        (
            StringMatcher::Contains(text("b")),
            ["abc", "b"],
            ["ac", "B"],
        ),
        (
            StringMatcher::ContainsIgnoringCase(text("bb")),
            ["aBBc", "bb"],
            ["ac", "b"],
        ),
        (
            StringMatcher::regex("a|bc").unwrap(),
            ["a", "bc"],
            ["abc", "ab"],
        ),
    ] {
        assert!(
            yes.iter().all(|text| matcher.matches(text.as_bytes())),
            "{matcher:?}"
        );
        assert!(
            no.iter().all(|text| !matcher.matches(text.as_bytes())),
            "{matcher:?}"
        );
    }
}

#[test]
fn an_expression_cannot_break_out_of_its_anchors() {
    assert!(StringMatcher::regex("a)|(b").is_err());
}

#[test]
fn a_path_is_matched_without_its_query() {
    let path = PathMatcher::String(exact("/a"));
    assert!(path.matches("/a?x=/b") && path.matches("/a#f"));
    assert!(!path.matches("/a/"));
}

#[test]
fn a_separated_prefix_ends_at_a_slash() {
    let below = PathMatcher::Below("/a".into(), false);
    assert!(below.matches("/a") && below.matches("/a/b") && below.matches("/a?q"));
    assert!(!below.matches("/ab") && !below.matches("/A") && !below.matches("/"));
    assert!(PathMatcher::Below("/a".into(), true).matches("/A/b"));
}

fn header(value: ValueMatcher, invert: bool, missing_is_empty: bool) -> HeaderMatcher {
    HeaderMatcher {
        name: HeaderKey::named("x-a").unwrap(),
        value,
        invert,
        missing_is_empty,
    }
}

#[test]
fn a_missing_header_matches_only_by_presence_or_if_treated_as_empty() {
    let none = HeaderMap::new();
    let missing = view("/", &none);
    assert!(!header(ValueMatcher::String(exact("x")), false, false).matches(&missing));
    assert!(!header(ValueMatcher::String(exact("x")), true, false).matches(&missing));
    assert!(header(ValueMatcher::String(exact("x")), true, true).matches(&missing));
    assert!(!header(ValueMatcher::Present(true), false, false).matches(&missing));
    assert!(header(ValueMatcher::Present(true), true, false).matches(&missing));
    assert!(header(ValueMatcher::Present(false), false, false).matches(&missing));
}

#[test]
fn each_value_of_a_header_is_looked_at_alone() {
    let mut headers = HeaderMap::new();
    headers.append("x-a", HeaderValue::from_static("1"));
    headers.append("x-a", HeaderValue::from_static("2"));
    let is = |text: &str, invert: bool| {
        header(ValueMatcher::String(exact(text)), invert, false).matches(&view("/", &headers))
    };
    assert!(is("1", false) && is("2", false) && !is("1,2", false));
    assert!(!is("2", true) && is("3", true));
}

#[test]
fn a_range_takes_its_first_number_and_not_its_last() {
    let takes = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-a", HeaderValue::from_static(value));
        header(ValueMatcher::Range(1, 5), false, false).matches(&view("/", &headers))
    };
    assert!(takes("1") && takes("4"));
    assert!(!takes("5") && !takes("0") && !takes("4x") && !takes(""));
}

#[test]
fn a_pseudo_header_is_read_from_the_request_line() {
    let none = HeaderMap::new();
    for (name, value) in [
        (":method", "GET"),
        (":path", "/p?q"),
        (":authority", "a"),
        ("Host", "a"),
        (":scheme", "http"),
    ] {
        let name = HeaderKey::named(name).unwrap();
        let value = ValueMatcher::String(exact(value));
        let matcher = HeaderMatcher {
            name,
            value,
            invert: false,
            missing_is_empty: false,
        };
        assert!(matcher.matches(&view("/p?q", &none)), "{matcher:?}");
    }
}

#[test]
fn the_first_value_of_a_parameter_counts() {
    let query = |value| QueryMatcher {
        name: "q".into(),
        value,
    };
    let one = query(ValueMatcher::String(exact("1")));
    assert!(one.matches("/?q=1&q=2") && one.matches("/?a=b&q=1#f"));
    assert!(
        !one.matches("/?q=2&q=1")
            && !one.matches("/q=1")
            && !one.matches("/?qq=1")
            && !one.matches("/?q=1x")
    );
    let there = query(ValueMatcher::Present(true));
    assert!(there.matches("/?q") && there.matches("/?q=") && !there.matches("/?x=q"));
}

#[test]
fn a_way_without_weight_is_none() {
    let target = |weight| WeightedCluster::new("c", weight);
    assert!(RouteAction::new(vec![]).is_none());
    assert!(RouteAction::new(vec![target(0), target(0)]).is_none());
}

proptest! {
    #[test]
    fn a_share_is_picked_in_proportion_to_its_weight(weights in prop::collection::vec(0_u32..20, 1..6)) {
        let total: u32 = weights.iter().sum();
        prop_assume!(total > 0);
        let targets = weights.iter().enumerate();
        let targets = targets.map(|(index, weight)| WeightedCluster::new(&index.to_string(), *weight));
        let action = RouteAction::new(targets.collect()).unwrap();
        for (index, weight) in weights.iter().enumerate() {
            let name = index.to_string();
            let seven_rounds_on = u64::from(total) * 7..u64::from(total) * 8;
            let picked = seven_rounds_on.filter(|random| **action.pick(*random) == *name).count();
            prop_assert_eq!(picked, *weight as usize);
        }
    }

    #[test]
    fn no_authority_makes_the_lookup_panic(authority in any::<String>(), ignore_port: bool) {
        let _ = table(&["*.a.b", "é.*", "x", "*"], ignore_port).find_host(&authority);
    }
}
