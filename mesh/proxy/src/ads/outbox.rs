//! The client's half of an ADS stream: a queue of requests, read as a stream of messages.
//!
//! Bound: one request per response that arrived, and one per type when the stream opens.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use prost::Message as _;
use shakedown_wire::frame_message;
use shakedown_xds::proto::discovery::DeltaDiscoveryRequest;
use tonic::Status;

/// The sending half. Dropping it ends the stream.
#[derive(Debug, Default)]
pub(super) struct Outbox(Arc<Mutex<OutboxQueue>>);

/// The receiving half: the stream of framed messages.
#[derive(Debug)]
pub(super) struct OutboxStream(Arc<Mutex<OutboxQueue>>);

#[derive(Debug, Default)]
struct OutboxQueue {
    requests: VecDeque<DeltaDiscoveryRequest>,
    closed: bool,
    reader: Option<Waker>,
}

impl Outbox {
    /// The receiving half.
    pub(super) fn requests(&self) -> OutboxStream {
        OutboxStream(Arc::clone(&self.0))
    }

    /// Sends these requests, in this order.
    pub(super) fn extend(&self, requests: impl IntoIterator<Item = DeltaDiscoveryRequest>) {
        self.change(|queue| queue.requests.extend(requests));
    }

    fn change(&self, change: impl FnOnce(&mut OutboxQueue)) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut queue);
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.change(|queue| queue.closed = true);
    }
}

impl Stream for OutboxStream {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(request) = queue.requests.pop_front() {
            if queue.requests.is_empty() {
                // Frees the queue's memory. It grows with a configuration and would not shrink by itself.
                queue.requests = VecDeque::new();
            }
            let encode = |to: &mut Vec<u8>| {
                request
                    .encode(to)
                    .expect("encoding into a vector cannot fail");
            };
            let message = frame_message(request.encoded_len(), encode);
            return Poll::Ready(Some(Ok(message)));
        }
        if queue.closed {
            return Poll::Ready(None);
        }
        queue.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn named(type_url: &str) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            type_url: type_url.into(),
            ..Default::default()
        }
    }

    #[test]
    fn requests_come_out_in_order_and_the_stream_ends_with_the_outbox() {
        let outbox = Outbox::default();
        let mut requests = outbox.requests();
        assert!(requests.next().now_or_never().is_none(), "nothing yet");
        outbox.extend([named("a"), named("b")]);
        drop(outbox);
        let type_url = |message: Result<Bytes, Status>| {
            let head = frame_message(0, |_| ()).len();
            let message = &message.unwrap()[head..];
            DeltaDiscoveryRequest::decode(message).unwrap().type_url
        };
        let left: Vec<_> = requests.map(type_url).collect().now_or_never().unwrap();
        assert_eq!(left, ["a", "b"]);
    }
}
