//! A connection that has become something else: bytes pass between its ends, and its request is over when they have ended.
//!
//! Source: Envoy, as it was seen to log web sockets: no end of one is in order, whoever closes.

use std::rc::Rc;

use http::Response;
use shakedown_types::ResponseFlags;
use shakedown_wire::{Body, Drain, TunnelBounds, TunnelEnd, Upgrade, tunnel};

use crate::record::{Record, RecordedBody, Rest};
use crate::respond::MAX_DURATION;
use crate::shared::Shared;

/// Answers a request for an upgrade that its upstream has agreed to, and passes bytes from then on.
pub(crate) fn begin(
    shared: &Rc<Shared>,
    drain: &Drain,
    caller: Upgrade,
    mut response: Response<Body>,
    rest: Rest,
    record: Record,
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
            // The upstream's connection counts until here.
            drop(held);
            finish(record, passed.end);
        });
    }
    Response::from_parts(head, RecordedBody::of_nobody(Body::Empty))
}

fn finish(record: Record, end: TunnelEnd) {
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
