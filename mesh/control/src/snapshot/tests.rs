//! Tests of the resources of a push, of changes, and of resources that only some proxies have.

use super::*;

/// A resource whose body is its version.
pub(crate) fn entry(kind: ResourceKind, name: &str, version: &str) -> Arc<ResourceVersion> {
    let body = Any {
        type_url: kind.url().to_owned(),
        value: version.as_bytes().to_vec(),
    };
    let endpoints = (kind == ResourceKind::Cluster).then_some(name);
    Arc::new(ResourceVersion::new(name, version, body, endpoints))
}

pub(crate) fn resources(list: &[(ResourceKind, &str, &str)]) -> Resources {
    let mut all = Resources::default();
    for (kind, name, version) in list {
        all.insert(*kind, entry(*kind, name, version));
    }
    all
}

fn names(changes: &ResourceChanges, kind: ResourceKind) -> Vec<&str> {
    changes.of_kind(kind).iter().map(|name| &**name).collect()
}

#[test]
fn a_push_knows_what_it_added_changed_and_removed() {
    use ResourceKind::{Cluster, Routes};
    let first =
        ConfigSnapshot::empty().next(1, resources(&[(Cluster, "a", "1"), (Cluster, "b", "1")]));
    let second = first.next(
        2,
        resources(&[(Cluster, "b", "2"), (Cluster, "c", "1"), (Routes, "r", "1")]),
    );
    let changes = second.changes().unwrap();
    assert_eq!(names(changes, Cluster), ["b", "c", "a"]);
    assert_eq!(names(changes, Routes), ["r"]);
}

#[test]
fn what_did_not_change_is_the_same_entry() {
    let first = ConfigSnapshot::empty().next(1, resources(&[(ResourceKind::Cluster, "a", "1")]));
    let second = first.next(2, resources(&[(ResourceKind::Cluster, "a", "1")]));
    assert!(second.changes().unwrap().is_empty());
    let find =
        |s: &ConfigSnapshot| Arc::clone(s.resources().find(ResourceKind::Cluster, "a").unwrap());
    assert!(Arc::ptr_eq(&find(&first), &find(&second)));
}

#[test]
fn changes_are_known_for_sixteen_pushes_and_no_more() {
    let mut snapshot = ConfigSnapshot::empty();
    for push in 1..=20 {
        let version = push.to_string();
        snapshot = snapshot.next(
            push,
            resources(&[(ResourceKind::Cluster, &format!("c{push}"), &version)]),
        );
    }
    assert_eq!(
        names(&snapshot.changes_since(19).unwrap(), ResourceKind::Cluster),
        ["c20", "c19"]
    );
    assert!(snapshot.changes_since(20).unwrap().is_empty());
    assert!(snapshot.changes_since(4).is_some());
    assert_eq!(snapshot.changes_since(3), None);
}

fn translated(name: &str, priority: u32) -> proto::Resource {
    use shakedown_xds::proto::endpoint::{ClusterLoadAssignment, LocalityLbEndpoints};

    let message = ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![LocalityLbEndpoints {
            priority,
            ..LocalityLbEndpoints::default()
        }],
        ..ClusterLoadAssignment::default()
    };
    proto::Resource::new(name, &message)
}

#[test]
fn only_endpoints_that_differ_for_a_client_are_its_own() {
    let mut shared = Resources::default();
    shared.extend(
        ResourceKind::Endpoints,
        vec![translated("a", 0), translated("b", 0)],
    );
    let near = || vec![translated("a", 0), translated("b", 1)];
    let first = Resources::nearby(
        near(),
        [&Resources::default(), &shared],
        &Resources::default(),
    );
    assert!(first.find(ResourceKind::Endpoints, "a").is_none());
    let second = Resources::nearby(near(), [&Resources::default(), &shared], &first);
    let find = |all: &Resources| Arc::clone(all.find(ResourceKind::Endpoints, "b").unwrap());
    assert!(Arc::ptr_eq(&find(&first), &find(&second)));
}

#[test]
fn what_an_audience_lacks_is_hidden_until_it_is_there_again() {
    let all = [
        (ResourceKind::Cluster, "a", "1"),
        (ResourceKind::Cluster, "b", "1"),
    ];
    let shared = Arc::new(ConfigSnapshot::empty().next(1, resources(&all)));
    let view = |own: Resources| SnapshotView {
        shared: Arc::clone(&shared),
        own: Arc::new(own),
    };
    let mut without = Resources::default();
    without.hide(ResourceKind::Cluster, "b".into());
    let (full, less) = (view(Resources::default()), view(without));
    let names = |view: &SnapshotView| -> Vec<String> {
        let all = view.of_kind(ResourceKind::Cluster);
        all.map(|entry| entry.name.to_string()).collect()
    };
    assert_eq!(
        (names(&full), names(&less)),
        (vec!["a".into(), "b".into()], vec!["a".into()])
    );
    assert!(less.find(ResourceKind::Cluster, "b").is_none());
    for (one, other) in [(&full, &less), (&less, &full)] {
        let changes = one.changes_since(other).unwrap();
        assert_eq!(self::names(&changes, ResourceKind::Cluster), ["b"]);
    }
    // A proxy's own resource is visible even if the shared one is hidden. A later layer that hides it also hides own
    // resources.
    let own = resources(&[(ResourceKind::Cluster, "b", "2")]);
    let again = less.own.with(&own);
    assert!(
        view(again.clone())
            .find(ResourceKind::Cluster, "b")
            .is_some()
    );
    assert!(
        view(again.with(&less.own))
            .find(ResourceKind::Cluster, "b")
            .is_none()
    );
}

#[test]
fn an_audience_has_of_its_own_what_differs_and_no_more() {
    let of = |endpoints| Outbound {
        endpoints,
        ..Outbound::default()
    };
    let shared = Resources::outbound(of(vec![
        translated("a", 0),
        translated("b", 0),
        translated("c", 0),
    ]));
    let own = ScopedResources {
        outbound: of(vec![translated("a", 0), translated("b", 1)]),
        absent: vec!["c".into()],
    };
    let first = Resources::otherwise(own.clone(), &shared, &Resources::default());
    assert!(first.find(ResourceKind::Endpoints, "a").is_none());
    assert!(first.lacks(ResourceKind::Endpoints, "c") && !first.is_empty());
    let second = Resources::otherwise(own, &shared, &first);
    let find = |all: &Resources| Arc::clone(all.find(ResourceKind::Endpoints, "b").unwrap());
    assert!(Arc::ptr_eq(&find(&first), &find(&second)));
}

#[test]
fn an_entry_is_encoded_as_the_protocol_says() {
    let entry = entry(ResourceKind::Cluster, "a", "7");
    let wire = WireResource::decode(entry.wire.clone()).unwrap();
    assert_eq!((wire.name.as_str(), wire.version.as_str()), ("a", "7"));
    assert_eq!(wire.resource.unwrap().type_url, ResourceKind::Cluster.url());
}
