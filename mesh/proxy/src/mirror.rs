//! Mirrored requests: sent once, and their responses discarded. Envoy's shadow requests.
//!
//! A copy has the original's headers as they were sent on, a host that ends in `-shadow`, and the route's timeout. It
//! uses its own cluster's load balancer and limits, and its failure is invisible to the caller.
//!
//! A request whose body is longer than the retry buffer is not copied. Envoy aborts a copy as well if its buffer is
//! full.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderMap, HeaderValue};
use rand::Rng as _;
use shakedown_xds::table::Mirror;
use smallvec::SmallVec;

use crate::forward::{self, ForwardPlan};
use crate::loops::RequestIngress;
use crate::origin::{INTERNAL, append_address};
use crate::outgoing::Outgoing;
use crate::record::RequestRecord;
use crate::send::PooledCarrier;
use crate::shared::Shared;

/// The longest response that is read to its end so that the connection can be reused. A longer one's connection is
/// closed.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The most time for a copy, unless its route's timeout is longer. Source: Envoy, `stream_idle_timeout`, default 5 min.
const TIME_MAX: Duration = Duration::from_secs(300);

/// The mirrors of one request.
pub(crate) type MirrorCopies = SmallVec<[Arc<Mirror>; 1]>;

/// Draws the mirrors that receive a copy of a request.
pub(crate) fn drawn(shared: &Shared, mirrors: &[Arc<Mirror>]) -> MirrorCopies {
    let takes = |mirror: &&Arc<Mirror>| {
        mirror
            .share
            .takes(|| shared.random.mirrors.borrow_mut().next_u64())
    };
    mirrors.iter().filter(takes).cloned().collect()
}

/// Sends the copies of a request. `include_attempt_count`: the copies carry `x-envoy-attempt-count: 1`, as the original
/// does.
pub(crate) fn send(
    shared: &Rc<Shared>,
    copies: &MirrorCopies,
    include_attempt_count: bool,
    original: &Outgoing,
    record: &RequestRecord,
) {
    for mirror in copies {
        // An unknown cluster is ignored silently, as in Envoy.
        let cluster = &mirror.action.targets()[0].cluster;
        let Some(upstream) = shared.state.upstream(cluster) else {
            continue;
        };
        let Some(mut copy) = original.copy() else {
            continue;
        };
        disguise(shared, mirror, copy.headers_mut());
        shared.metrics.mirrored();
        let arrival = RequestIngress {
            side: record.side(),
            ends: None,
        };
        let (own, mut shadow) = (Rc::clone(shared), record.shadow(cluster));
        let mirror = Arc::clone(mirror);
        shared.env.spawn("proxy-mirror", async move {
            let plan = ForwardPlan {
                arrival,
                upstream: &upstream,
                action: &mirror.action,
                hedge: Default::default(),
                include_attempt_count,
                idle: None,
                hash: None,
                labels: None,
                suppress_envoy_headers: false,
                complete_by: None,
            };
            let sending = async {
                let answer =
                    forward::forward(&own, &PooledCarrier, plan, &mut copy, &mut shadow).await;
                match answer {
                    // A longer response is an error here, and its connection is closed.
                    Ok(answer) => {
                        let _ = answer.response.into_body().collect(ANSWER_BYTES_MAX).await;
                        true
                    }
                    Err(_) => false,
                }
            };
            // The attempts apply the route's timeout. This bound is for routes without one.
            let most = mirror
                .action
                .timeout
                .map_or(TIME_MAX, |timeout| timeout.max(TIME_MAX));
            if !matches!(own.env.timeout(most, sending).await, Ok(true)) {
                own.metrics.mirror_failed();
            }
        });
    }
}

/// Marks a copy. Source: Envoy, `ShadowWriterImpl` and `AsyncStreamImpl`.
fn disguise(shared: &Shared, mirror: &Mirror, headers: &mut HeaderMap) {
    let shadow = headers
        .get(HOST)
        .filter(|_| mirror.suffix)
        .and_then(shadow_host);
    if let Some(host) = shadow {
        headers.insert(HOST, host);
    }
    headers.insert(INTERNAL, HeaderValue::from_static("true"));
    append_address(headers, shared.bootstrap.address);
}

/// `reviews:9080` becomes `reviews-shadow:9080`.
fn shadow_host(host: &HeaderValue) -> Option<HeaderValue> {
    const SUFFIX: &str = "-shadow";
    let host = host.to_str().ok()?;
    let bracket = host.rfind(']').unwrap_or(0);
    let end = host[bracket..]
        .find(':')
        .map_or(host.len(), |at| bracket + at);
    let (name, port) = host.split_at(end);
    HeaderValue::try_from(format!("{name}{SUFFIX}{port}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_stands_before_the_port() {
        for (host, shadow) in [
            ("t", "t-shadow"),
            ("new:81", "new-shadow:81"),
            ("[::1]:80", "[::1]-shadow:80"),
            ("[::1]", "[::1]-shadow"),
        ] {
            let host = HeaderValue::from_static(host);
            assert_eq!(shadow_host(&host).unwrap(), shadow);
        }
    }
}
