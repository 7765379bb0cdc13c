//! Injected delays and aborts: Envoy's fault filter. An abort is never retried by this proxy.

use std::time::Duration;

use rand::Rng as _;
use shakedown_types::ResponseFlags;
use shakedown_xds::table::{Abort, Fault, RequestView};

use crate::record::RequestRecord;
use crate::respond::{LocalReply, status};
use crate::shared::Shared;

/// Delays or aborts a request if it matches the fault and is part of the configured shares.
pub(super) async fn inject(
    shared: &Shared,
    fault: &Fault,
    cluster: Option<&str>,
    request: &RequestView<'_>,
    record: &mut RequestRecord,
) -> Result<(), LocalReply> {
    if !is_meant(fault, cluster, request) {
        return Ok(());
    }
    if let Some(delay) = delay(fault, || shared.random.filters.borrow_mut().next_u64()) {
        record.flag(ResponseFlags::DI);
        shared.env.sleep(delay).await;
    }
    match abort(fault, || shared.random.filters.borrow_mut().next_u64()) {
        Some(Abort::Http(code)) => Err(LocalReply::Aborted {
            status: status(code),
            grpc: None,
        }),
        Some(Abort::Grpc(code)) => Err(LocalReply::Aborted {
            status: http::StatusCode::OK,
            grpc: Some(code),
        }),
        None => Ok(()),
    }
}

fn is_meant(fault: &Fault, cluster: Option<&str>, request: &RequestView<'_>) -> bool {
    fault
        .upstream_cluster
        .as_deref()
        .is_none_or(|wanted| cluster == Some(wanted))
        && fault.headers.iter().all(|header| header.matches(request))
}

fn delay(fault: &Fault, random: impl FnOnce() -> u64) -> Option<Duration> {
    let (delay, share) = fault.delay?;
    share.takes(random).then_some(delay)
}

fn abort(fault: &Fault, random: impl FnOnce() -> u64) -> Option<Abort> {
    let (abort, share) = fault.abort?;
    share.takes(random).then_some(abort)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderMap;
    use shakedown_xds::table::{HeaderKey, HeaderMatcher, RequestShare, ValueMatcher};

    use super::*;

    const TENTH: RequestShare = RequestShare {
        numerator: 100_000,
        denominator: 1_000_000,
    };

    fn fault() -> Fault {
        Fault {
            delay: Some((Duration::from_millis(5), TENTH)),
            abort: Some((Abort::Http(503), TENTH)),
            upstream_cluster: None,
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_share_is_cut_off_exactly() {
        let hit = |random: u64| delay(&fault(), || random).is_some();
        assert!(hit(0) && hit(99_999) && hit(1_000_000));
        assert!(!hit(100_000) && !hit(999_999));
        assert_eq!(abort(&fault(), || 0), Some(Abort::Http(503)));
        assert_eq!(abort(&fault(), || 100_000), None);
    }

    #[test]
    fn all_and_none_ask_for_no_number() {
        let draw = || panic!("nothing is left to chance");
        assert!(RequestShare::ALL.takes(draw));
        assert!(!RequestShare::NONE.takes(draw));
    }

    #[test]
    fn it_may_be_meant_for_a_cluster_or_for_certain_headers_only() {
        let mut headers = HeaderMap::new();
        let meant = |fault: &Fault, cluster, headers: &HeaderMap| {
            let request = RequestView {
                method: "GET",
                path: "/",
                authority: "a",
                scheme: "http",
                headers,
            };
            is_meant(fault, cluster, &request)
        };
        let mut of_cluster = fault();
        of_cluster.upstream_cluster = Some(Arc::from("c"));
        assert!(meant(&of_cluster, Some("c"), &headers));
        assert!(!meant(&of_cluster, Some("d"), &headers) && !meant(&of_cluster, None, &headers));
        let mut of_header = fault();
        of_header.headers.push(HeaderMatcher {
            name: HeaderKey::named("x-chaos").unwrap(),
            value: ValueMatcher::Present(true),
            invert: false,
            missing_is_empty: false,
        });
        assert!(!meant(&of_header, None, &headers));
        headers.insert("x-chaos", "1".parse().unwrap());
        assert!(meant(&of_header, None, &headers));
    }
}
