//! Observations of a request in a comparable form: one field per line, with values masked that differ between runs.

use std::collections::BTreeMap;

use shakedown_types::RequestEvent;

use crate::case::{Compare, Step};
use crate::client::{Answer, ClientRequest};
use crate::upstream::Received;

/// A proxy's access log entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fact {
    /// The request's `x-request-id`.
    pub(crate) id: String,
    /// The logged status.
    pub(crate) code: String,
    pub(crate) flags: String,
    pub(crate) details: String,
    /// The chosen cluster, or `-`.
    pub(crate) cluster: String,
    /// The number of attempts.
    pub(crate) attempts: String,
}

impl From<&RequestEvent> for Fact {
    fn from(event: &RequestEvent) -> Fact {
        let cluster = if event.cluster.is_empty() {
            "-"
        } else {
            &*event.cluster
        };
        Fact {
            id: event.id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            code: event.status.to_string(),
            flags: event.flags.to_string(),
            details: event.details.to_string(),
            cluster: cluster.to_owned(),
            attempts: event.attempts.to_string(),
        }
    }
}

/// A request's fields by name.
pub(crate) type Fields = BTreeMap<String, String>;

/// All observations of one proxy in a case.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Step, request and answer, in the order sent.
    pub(crate) answers: Vec<(usize, ClientRequest, Answer)>,
    /// In the order logged.
    pub(crate) facts: Vec<Fact>,
    /// In the order received.
    pub(crate) received: Vec<Received>,
    /// Each step with requests, and the number of requests that had reached upstreams before it.
    pub(crate) steps: Vec<(usize, usize)>,
}

impl Run {
    /// Returns a block of fields for each request, and for upstream requests without one.
    pub(crate) fn blocks(&self, steps: &[Step], compare: Compare) -> Vec<Fields> {
        let mut facts: Vec<Option<&Fact>> = self.facts.iter().map(Some).collect();
        let mut received: Vec<Option<&Received>> = self.received.iter().map(Some).collect();
        let mut blocks: Vec<(usize, Fields)> = Vec::new();
        let (mut unlogged, mut unreached) = (Vec::new(), Vec::new());
        let ids: Vec<Option<&str>> = self
            .answers
            .iter()
            .map(|(_, request, _)| id_of(request))
            .collect();
        for (index, (step, request, answer)) in self.answers.iter().enumerate() {
            let id = ids[index];
            let mut fields = Fields::new();
            put_answer(&mut fields, answer);
            let mine = |fact: &Fact| {
                Some(fact.id.as_str()) == id
                    || (id.is_none() && !ids.contains(&Some(fact.id.as_str())))
            };
            let found = facts
                .iter_mut()
                .find(|fact| fact.is_some_and(mine))
                .and_then(Option::take);
            if found.is_none() {
                unlogged.push(index);
            }
            put_fact(&mut fields, found);
            let of_mine = |received: &Received| {
                let carried = header(&received.headers, "x-request-id");
                carried == id || (id.is_none() && !ids.contains(&carried))
            };
            let mut reached: Vec<&Received> = Vec::new();
            for slot in &mut received {
                if slot.is_some_and(of_mine) {
                    reached.extend(slot.take());
                }
            }
            // Requests of one service keep their order, and a mirrored request may arrive at any position.
            reached.sort_by(|a, b| a.service.cmp(&b.service));
            if reached.is_empty() {
                unreached.push(index);
            }
            put_received(&mut fields, &reached, id, request, compare);
            blocks.push((*step, fields));
        }
        // Entries with other ids than those sent are assigned in order.
        for (index, fact) in unlogged.into_iter().zip(facts.into_iter().flatten()) {
            blocks[index].1.remove("told");
            put_fact(&mut blocks[index].1, Some(fact));
        }
        for (index, received) in unreached.into_iter().zip(received.into_iter().flatten()) {
            let request = &self.answers[index].1;
            put_received(&mut blocks[index].1, &[received], None, request, compare);
        }
        // The assignment of answers to concurrent requests is random, but the set of answers is not.
        let together = |step: usize| matches!(steps.get(step), Some(Step::All(_) | Step::Amid(..)));
        blocks.sort_by(|(a, x), (b, y)| match a.cmp(b) {
            std::cmp::Ordering::Equal if together(*a) => (&x["status"], x).cmp(&(&y["status"], y)),
            order => order,
        });
        blocks.into_iter().map(|(_, fields)| fields).collect()
    }

    /// Status and flags of each request, for comparison with the case's `wants`.
    pub(crate) fn summary(&self, steps: &[Step]) -> String {
        let blocks = self.blocks(steps, Compare::All);
        let one = |fields: &Fields| {
            let flags = fields.get("flags").map_or("?", String::as_str);
            format!("{} {flags}", fields["status"])
        };
        blocks.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// The number of answers by status and of requests by upstream host, per step or over all repeated steps.
    pub(crate) fn counts(&self, compare: Compare) -> Counts {
        let mut counts = Counts::new();
        let mut count = |step: usize, kind, name: String| {
            let step = match compare {
                Compare::Shares(1) | Compare::Counts(_) => step,
                _ => 0,
            };
            let names = counts.entry((step, kind)).or_default();
            *names.entry(name).or_default() += 1;
        };
        for (index, received) in self.received.iter().enumerate() {
            let before = self.steps.iter().rev().find(|(_, first)| *first <= index);
            let step = before.map_or(0, |(step, _)| *step);
            let host = format!("{} of {}", received.host, received.service);
            count(step, "host", host);
        }
        for (step, _, answer) in &self.answers {
            count(*step, "status", answer.status.to_string());
        }
        counts
    }
}

/// The counts by step and kind.
pub(crate) type Counts = BTreeMap<(usize, &'static str), BTreeMap<String, u32>>;

fn id_of(request: &ClientRequest) -> Option<&str> {
    header(&request.headers, "x-request-id")
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

fn put_answer(fields: &mut Fields, answer: &Answer) {
    fields.insert("status".into(), answer.status.to_string());
    fields.insert("end".into(), answer.end.into());
    fields.insert(
        "body".into(),
        String::from_utf8_lossy(&answer.body).into_owned(),
    );
    put_headers(fields, "header", &answer.headers, normal_answer);
    put_headers(fields, "trailer", &answer.trailers, normal_answer);
}

fn put_fact(fields: &mut Fields, fact: Option<&Fact>) {
    let Some(fact) = fact else {
        fields.insert("told".into(), "nothing".into());
        return;
    };
    fields.insert("code".into(), fact.code.clone());
    fields.insert("flags".into(), fact.flags.clone());
    fields.insert("details".into(), fact.details.clone());
    fields.insert("cluster".into(), fact.cluster.clone());
    fields.insert("attempts".into(), fact.attempts.clone());
}

fn put_received(
    fields: &mut Fields,
    reached: &[&Received],
    id: Option<&str>,
    request: &ClientRequest,
    compare: Compare,
) {
    fields.insert("reached".into(), reached.len().to_string());
    for (index, received) in reached.iter().enumerate() {
        let nth = index + 1;
        let host = match compare {
            Compare::All => &received.host,
            _ => &received.service,
        };
        fields.insert(format!("reached {nth} host"), host.clone());
        fields.insert(format!("reached {nth} line"), received.line.clone());
        let body = String::from_utf8_lossy(&received.body).into_owned();
        fields.insert(format!("reached {nth} body"), body);
        if received.cut {
            fields.insert(format!("reached {nth} cut"), "yes".into());
        }
        let normal = |name: &str, value: &str| match name {
            "x-forwarded-for" => normal_forwarded(value, request),
            _ => normal_received(name, value, nth, id),
        };
        put_headers(
            fields,
            &format!("reached {nth} header"),
            &received.headers,
            normal,
        );
        put_headers(
            fields,
            &format!("reached {nth} trailer"),
            &received.trailers,
            normal,
        );
    }
}

/// Adds one field per header name, with its values in order. The order of names is not compared.
fn put_headers(
    fields: &mut Fields,
    what: &str,
    headers: &[(String, String)],
    normal: impl Fn(&str, &str) -> String,
) {
    for (name, value) in headers {
        let value = normal(name, value);
        fields
            .entry(format!("{what} {name}"))
            .and_modify(|all| {
                all.push_str(" | ");
                all.push_str(&value);
            })
            .or_insert(value);
    }
}

fn normal_answer(name: &str, value: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "date" if value.ends_with(" GMT") && value.len() == 29 => "<date>".into(),
        "x-envoy-upstream-service-time" if value.parse::<u64>().is_ok() => "<ms>".into(),
        "x-request-id" => masked_id(value),
        "set-cookie" => masked_cookie(value),
        _ => value.to_owned(),
    }
}

/// Masks a cookie value that a proxy generated: sixteen digits in quotes.
fn masked_cookie(value: &str) -> String {
    let mut parts = value.splitn(3, '"');
    let (Some(name), Some(made_up), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return value.to_owned();
    };
    let is_made_up = made_up.len() == 16 && made_up.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_made_up {
        format!("{name}\"<made up>\"{rest}")
    } else {
        value.to_owned()
    }
}

/// Masks the proxy's own address, which is the part that the caller did not send and depends on the machine's
/// interfaces.
fn normal_forwarded(value: &str, request: &ClientRequest) -> String {
    let sent = header(&request.headers, "x-forwarded-for").unwrap_or_default();
    match value.strip_prefix(sent) {
        Some("") => value.to_owned(),
        Some(own) if own.starts_with(',') => format!("{sent},<own>"),
        Some(_) if sent.is_empty() => "<own>".to_owned(),
        _ => value.to_owned(),
    }
}

fn normal_received(name: &str, value: &str, nth: usize, id: Option<&str>) -> String {
    match name {
        // The assignment of ids to concurrent requests is random.
        "x-request-id" if id == Some(value) => "<as sent>".into(),
        "x-request-id" => masked_id(value),
        // The remaining timeout depends on the duration of the previous attempts.
        "x-envoy-expected-rq-timeout-ms" if nth > 1 => "<left>".into(),
        _ => value.to_owned(),
    }
}

fn masked_id(value: &str) -> String {
    let is_digit = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if value.len() == 36 && value.bytes().all(is_digit) {
        "<uuid>".into()
    } else {
        value.to_owned()
    }
}

/// A field that differs between two runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The request's number, from 1.
    pub(crate) request: usize,
    pub(crate) field: String,
    /// Envoy's value, if it has the field.
    pub(crate) envoy: Option<String>,
    /// Our value, if we have the field.
    pub(crate) ours: Option<String>,
}

/// All fields that differ between two runs.
pub(crate) fn differences(envoy: &[Fields], ours: &[Fields]) -> Vec<Difference> {
    let mut all = Vec::new();
    let none = Fields::new();
    for index in 0..envoy.len().max(ours.len()) {
        let (a, b) = (
            envoy.get(index).unwrap_or(&none),
            ours.get(index).unwrap_or(&none),
        );
        let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for name in names
            .into_iter()
            .filter(|name| a.get(*name) != b.get(*name))
        {
            all.push(Difference {
                request: index + 1,
                field: name.clone(),
                envoy: a.get(name).cloned(),
                ours: b.get(name).cloned(),
            });
        }
    }
    all
}

/// Returns true if two samples can be from one distribution, or are close enough, in each step and of each kind.
pub(crate) fn same_shares(a: &Counts, b: &Counts, compare: Compare) -> bool {
    let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
    let none = BTreeMap::new();
    keys.into_iter().all(|key| {
        let (a, b) = (a.get(key).unwrap_or(&none), b.get(key).unwrap_or(&none));
        match compare {
            Compare::Counts(most) if key.1 == "host" => close(a, b, most),
            Compare::Counts(_) => a == b,
            _ => same(a, b),
        }
    })
}

fn close(a: &BTreeMap<String, u32>, b: &BTreeMap<String, u32>, most: u32) -> bool {
    let of = |counts: &BTreeMap<String, u32>, name: &String| *counts.get(name).unwrap_or(&0);
    a.keys()
        .chain(b.keys())
        .all(|name| of(a, name).abs_diff(of(b, name)) <= most)
}

/// Returns true if two samples can be from one distribution: a chi-square test of homogeneity, with an error rate of
/// one in ten thousand.
fn same(a: &BTreeMap<String, u32>, b: &BTreeMap<String, u32>) -> bool {
    /// The critical values at 0.0001 by degrees of freedom, from 0. Source: any table of the chi-square distribution.
    const CRITICAL: [f64; 13] = [
        1e-9, 15.14, 18.42, 21.11, 23.51, 25.74, 27.86, 29.88, 31.83, 33.72, 35.56, 37.37, 39.13,
    ];
    let total = |counts: &BTreeMap<String, u32>| f64::from(counts.values().sum::<u32>());
    let (total_a, total_b) = (total(a), total(b));
    if total_a == 0.0 || total_b == 0.0 {
        return total_a == total_b;
    }
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let of =
        |counts: &BTreeMap<String, u32>, name: &String| f64::from(*counts.get(name).unwrap_or(&0));
    let one = |name: &&String| {
        let (x, y) = (of(a, name), of(b, name));
        let scaled_x = x * (total_b / total_a).sqrt();
        let scaled_y = y * (total_a / total_b).sqrt();
        (scaled_x - scaled_y).powi(2) / (x + y)
    };
    let statistic: f64 = names.iter().map(one).sum();
    let most = CRITICAL.get(names.len().saturating_sub(1));
    statistic <= most.copied().unwrap_or(40.0)
}
