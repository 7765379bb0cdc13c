//! Tests of hash policies in their protobuf form.

use std::time::Duration;

use super::*;
use crate::proto;
use message::hash_policy::{ConnectionProperties, CookieAttribute, Header, QueryParameter};

fn policy(specifier: PolicySpecifier) -> message::HashPolicy {
    message::HashPolicy {
        policy_specifier: Some(specifier),
        ..Default::default()
    }
}

fn header(name: &str) -> message::HashPolicy {
    policy(PolicySpecifier::Header(Header {
        header_name: name.into(),
        ..Default::default()
    }))
}

#[test]
fn policies_are_read_in_order() {
    let mut terminal = header("X-User");
    terminal.terminal = true;
    let written = [
        terminal,
        policy(PolicySpecifier::Cookie(Cookie {
            name: "session".into(),
            ttl: Some(proto::duration(Duration::from_secs(60))),
            path: "/".into(),
            attributes: vec![CookieAttribute {
                name: "SameSite".into(),
                value: "Lax".into(),
            }],
        })),
        policy(PolicySpecifier::ConnectionProperties(
            ConnectionProperties { source_ip: true },
        )),
        policy(PolicySpecifier::ConnectionProperties(
            ConnectionProperties { source_ip: false },
        )),
        policy(PolicySpecifier::QueryParameter(QueryParameter {
            name: "user".into(),
        })),
    ];
    let compiled = compile(&written).unwrap();
    let by: Vec<&HashBy> = compiled.iter().map(|policy| &policy.by).collect();
    assert_eq!(
        by,
        [
            &HashBy::Header(HeaderKey::named("x-user").unwrap()),
            &HashBy::Cookie(HashCookie {
                name: "session".into(),
                ttl: Some(Duration::from_secs(60)),
                path: "/".into(),
                attributes: vec![("SameSite".into(), "Lax".into())],
            }),
            &HashBy::SourceIp,
            &HashBy::Query("user".into()),
        ]
    );
    assert!(compiled[0].terminal && !compiled[1].terminal);
}

#[test]
fn what_cannot_be_hashed_is_refused_by_path() {
    let error = |policy: message::HashPolicy| {
        compile(&[policy])
            .unwrap_err()
            .in_resource(proto::ResourceKind::Routes, "r")
            .to_string()
    };
    assert!(
        error(header(":paths")).starts_with(
            "RouteConfiguration r: hash_policy[0].header.header_name: expected the name"
        ),
    );
    assert_eq!(
        error(policy(PolicySpecifier::Cookie(Cookie {
            name: "a;b".into(),
            ..Default::default()
        }))),
        "RouteConfiguration r: hash_policy[0].cookie.name: expected the name of a cookie, found `a;b`"
    );
    assert!(error(message::HashPolicy::default()).contains("found nothing"));
}
