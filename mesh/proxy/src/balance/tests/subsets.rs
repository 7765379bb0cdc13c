//! Subsets and their fallbacks.

use shakedown_xds::table::{Label, Labels, Selector, SelectorFallback, Subsets};

use super::*;

fn label(text: &str) -> Label {
    Label::Text(text.into())
}

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pair = |(name, value): &(&str, &str)| (Arc::from(*name), label(value));
    pairs.iter().map(pair).collect()
}

const NOBODY: [usize; 0] = [];

pub(super) fn with_subsets(fallback: Fallback, own: Option<SelectorFallback>) -> Bench {
    let mut hosts = hosts(&[1, 1, 1]);
    hosts[0].labels = labels(&[("version", "v1"), ("stage", "prod")]);
    hosts[1].labels = labels(&[("version", "v2"), ("stage", "prod")]);
    hosts[2].labels = labels(&[("version", "v2")]);
    let mut bench = Bench::new(LbPolicy::ROUND_ROBIN, hosts);
    bench.options.subsets = Some(Arc::new(Subsets {
        selectors: vec![
            Selector {
                keys: vec!["version".into()],
                fallback: own,
            },
            Selector {
                keys: vec!["stage".into(), "version".into()],
                fallback: None,
            },
        ],
        fallback,
        default_subset: labels(&[("version", "v1")]),
    }));
    bench.built()
}

fn of_subset(bench: &mut Bench, wanted: &[(&str, &str)]) -> Vec<usize> {
    let wanted = labels(wanted);
    let request = Request {
        labels: Some(&wanted),
        ..Request::default()
    };
    let mut seen: Vec<usize> = (0..6).filter_map(|_| bench.pick_for(request)).collect();
    seen.sort_unstable();
    seen.dedup();
    seen
}

#[test]
fn a_subset_has_the_hosts_with_its_labels() {
    let mut bench = with_subsets(Fallback::None, None);
    assert_eq!(of_subset(&mut bench, &[("version", "v2")]), [1, 2]);
    assert_eq!(
        of_subset(&mut bench, &[("version", "v2"), ("stage", "prod")]),
        [1]
    );
    assert_eq!(of_subset(&mut bench, &[("version", "v3")]), NOBODY);
    assert_eq!(
        of_subset(&mut bench, &[("stage", "prod")]),
        NOBODY,
        "no selector has that name alone"
    );
    assert_eq!(of_subset(&mut bench, &[]), NOBODY);
}

#[test]
fn what_is_in_no_subset_falls_back_as_is_said() {
    let mut any = with_subsets(Fallback::Any, None);
    assert_eq!(of_subset(&mut any, &[("version", "v3")]), [0, 1, 2]);
    assert_eq!(of_subset(&mut any, &[]), [0, 1, 2]);
    let mut default = with_subsets(Fallback::Default, None);
    assert_eq!(of_subset(&mut default, &[("version", "v3")]), [0]);
    let own = SelectorFallback::To(Fallback::Any);
    let mut own = with_subsets(Fallback::None, Some(own));
    assert_eq!(of_subset(&mut own, &[("version", "v3")]), [0, 1, 2]);
    assert_eq!(
        of_subset(&mut own, &[("version", "v3"), ("stage", "prod")]),
        NOBODY
    );
}

#[test]
fn an_empty_subset_may_fall_back_to_a_subset_with_fewer_labels() {
    let mut bench = with_subsets(Fallback::None, Some(SelectorFallback::To(Fallback::Any)));
    let subsets = bench.options.subsets.as_mut().unwrap();
    Arc::make_mut(subsets).selectors[1].fallback =
        Some(SelectorFallback::Keys(vec!["version".into()]));
    bench.build();
    let wanted = [("version", "v2"), ("stage", "test")];
    assert_eq!(
        of_subset(&mut bench, &wanted),
        [1, 2],
        "of the version alone"
    );
    let nobody = [("version", "v3"), ("stage", "test")];
    assert_eq!(
        of_subset(&mut bench, &nobody),
        [0, 1, 2],
        "and then as the selector of the version says"
    );
}
