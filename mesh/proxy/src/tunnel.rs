//! Upgraded connections: copies bytes between the two ends. The request is over when both have ended.
//!
//! Source: Envoy, as observed in its log of web sockets: every end of one is an error, no matter which side closes.

use std::rc::Rc;

use http::Response;
use shakedown_types::ResponseFlags;
use shakedown_wire::{Drain, ResponseBody, TunnelBounds, TunnelEnd, Upgrade, tunnel};

use crate::record::{BodyTimeouts, RecordedBody, RequestRecord};
use crate::respond::MAX_DURATION;
use crate::shared::Shared;

/// Answers a request for an upgrade that the upstream accepted, and starts copying.
pub(crate) fn begin(
    shared: &Rc<Shared>,
    drain: &Drain,
    caller: Upgrade,
    mut response: Response<ResponseBody>,
    rest: BodyTimeouts,
    record: RequestRecord,
) -> Response<RecordedBody> {
    let upstream = Upgrade::take(response.extensions_mut());
    let (head, held) = response.into_parts();
    if let Some(upstream) = upstream {
        let (own, drain) = (Rc::clone(shared), drain.clone());
        shared.env.spawn("proxy-tunnel", async move {
            let bounds = TunnelBounds {
                idle: rest.idle,
                until: rest.stream,
                drain: &drain,
            };
            let passed = tunnel(&own.env, caller, upstream, bounds).await;
            own.metrics.tunnelled(passed.sent, passed.received);
            // The upstream's connection counts as in use until here.
            drop(held);
            finish(record, passed.end);
        });
    }
    Response::from_parts(head, RecordedBody::of_nobody(ResponseBody::empty()))
}

fn finish(record: RequestRecord, end: TunnelEnd) {
    match end {
        TunnelEnd::Stopped => record.finish(ResponseFlags::empty()),
        TunnelEnd::Caller => record.broken(ResponseFlags::DC, "downstream_remote_disconnect"),
        TunnelEnd::Upstream => {
            let details = "upstream_reset_after_response_started{connection_termination}";
            record.broken(ResponseFlags::UC, details);
        }
        TunnelEnd::Idle => record.broken(ResponseFlags::SI, "stream_idle_timeout"),
        TunnelEnd::Deadline => record.broken(ResponseFlags::empty(), MAX_DURATION),
    }
}
