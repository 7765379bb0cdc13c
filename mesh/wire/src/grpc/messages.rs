//! Encoding and decoding of the messages of a gRPC stream. Each message has its own buffer, which is freed with it.
//!
//! tonic's streams keep one buffer as large as their largest message for their whole life. An xDS stream transfers the
//! whole configuration once and then lives for days, and a control plane has thousands of such streams.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes};
use futures_core::Stream;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use tonic::{Code, Status};

/// The size of the prefix of each message: the compression flag and the length.
const HEAD_BYTES: usize = 5;
/// Ready messages are sent together until they reach this size. Source: tonic, `BufferSettings`.
const TOGETHER_BYTES: usize = 32 * 1024;

/// Returns the prefix of an uncompressed message of this length. Source: gRPC over HTTP/2, "Length-Prefixed-Message".
///
/// # Panics
/// The length is 4 GiB or more.
pub fn message_head(length: usize) -> [u8; HEAD_BYTES] {
    let length = u32::try_from(length).expect("a message is below 4 GiB");
    let mut head = [0; HEAD_BYTES];
    (&mut head[1..]).put_u32(length);
    head
}

/// Encodes a message with its prefix. `bytes_max` is the capacity that is allocated for the message.
///
/// # Panics
/// The message is 4 GiB or more.
pub fn frame_message(bytes_max: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut framed = Vec::with_capacity(HEAD_BYTES + bytes_max);
    framed.extend([0; HEAD_BYTES]);
    encode(&mut framed);
    let head = message_head(framed.len() - HEAD_BYTES);
    framed[..HEAD_BYTES].copy_from_slice(&head);
    framed.into()
}

/// A body of framed messages, from a stream of their bytes. An item of the stream is a whole message or a part of one.
/// A large item is sent without a copy, and small ones that are ready are copied together.
#[derive(Debug)]
pub struct MessageBody<S> {
    /// The source of messages. `None` after its end.
    messages: Option<S>,
    /// A large item that is sent after the small ones before it.
    large: Option<Bytes>,
    /// The result of the source, which is sent after its messages.
    end: Option<Result<(), Status>>,
    /// A response ends with a status, a request does not.
    is_response: bool,
}

impl<S> MessageBody<S> {
    /// Creates the body of a request.
    pub fn request(messages: S) -> MessageBody<S> {
        MessageBody {
            messages: Some(messages),
            large: None,
            end: None,
            is_response: false,
        }
    }

    /// Creates the body of a response. It ends with the status of the stream's error, or with OK.
    pub fn response(messages: S) -> MessageBody<S> {
        MessageBody {
            is_response: true,
            ..MessageBody::request(messages)
        }
    }

    fn last_frame(&mut self) -> Option<Result<Frame<Bytes>, Status>> {
        let end = self.end.take()?;
        if !self.is_response {
            return end.err().map(Err);
        }
        let status = end.err().unwrap_or_else(|| Status::ok(""));
        let mut trailers = HeaderMap::new();
        Some(
            status
                .add_header(&mut trailers)
                .map(|()| Frame::trailers(trailers)),
        )
    }
}

impl<S: Stream<Item = Result<Bytes, Status>> + Unpin> HttpBody for MessageBody<S> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Some(large) = this.large.take() {
            return Poll::Ready(Some(Ok(Frame::data(large))));
        }
        let mut small = Vec::new();
        while small.len() < TOGETHER_BYTES
            && let Some(messages) = &mut this.messages
        {
            match Pin::new(messages).poll_next(cx) {
                Poll::Pending if small.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Some(Ok(bytes))) if bytes.len() < TOGETHER_BYTES => small.extend(bytes),
                Poll::Ready(Some(Ok(large))) if small.is_empty() => {
                    return Poll::Ready(Some(Ok(Frame::data(large))));
                }
                Poll::Ready(Some(Ok(large))) => {
                    this.large = Some(large);
                    break;
                }
                Poll::Ready(ended) => {
                    this.end = Some(ended.map_or(Ok(()), |ended| ended.map(drop)));
                    this.messages = None;
                }
            }
        }
        if small.is_empty() {
            return Poll::Ready(this.last_frame());
        }
        Poll::Ready(Some(Ok(Frame::data(small.into()))))
    }
}

/// The messages of a body, as they arrive.
pub struct Messages<B> {
    /// The body. `None` after its end.
    body: Option<B>,
    /// Received bytes that have not been consumed yet.
    arrived: Bytes,
    head: Vec<u8>,
    /// The current message, and its full length.
    message: Option<(Vec<u8>, usize)>,
    message_bytes_max: usize,
}

impl<B> Messages<B>
where
    B: HttpBody<Data = Bytes, Error: Into<tonic::codegen::StdError>> + Unpin,
{
    /// Reads the messages of a body. A message must be uncompressed and must not exceed `message_bytes_max`.
    pub fn new(body: B, message_bytes_max: usize) -> Messages<B> {
        Messages {
            body: Some(body),
            arrived: Bytes::new(),
            head: Vec::with_capacity(HEAD_BYTES),
            message: None,
            message_bytes_max,
        }
    }

    /// Returns the next message, or `None` once the peer has ended the stream with status OK or without a status.
    ///
    /// Cancel safe: this future can be dropped, and the method called again.
    ///
    /// # Errors
    /// The stream failed or ended with another status.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Returns the next message once it is complete.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, Status>> {
        loop {
            if let Some(message) = self.take_arrived()? {
                return Poll::Ready(Ok(Some(message)));
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(Ok(None));
            };
            let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else {
                self.body = None;
                return Poll::Ready(self.end(None).map(|()| None));
            };
            let frame = frame.map_err(|error| Status::from_error(error.into()))?;
            match frame.into_data() {
                Ok(data) => self.arrived = data,
                Err(frame) => {
                    self.body = None;
                    let trailers = frame.into_trailers().ok();
                    return Poll::Ready(self.end(trailers).map(|()| None));
                }
            }
        }
    }

    /// Returns the next message if it is complete, and leaves further bytes in `arrived`.
    fn take_arrived(&mut self) -> Result<Option<Vec<u8>>, Status> {
        while !self.arrived.is_empty() {
            let Some((message, length)) = &mut self.message else {
                let missing = HEAD_BYTES - self.head.len();
                let part = self.arrived.split_to(missing.min(self.arrived.len()));
                self.head.extend_from_slice(&part);
                if self.head.len() == HEAD_BYTES {
                    self.begin()?;
                }
                if self
                    .message
                    .as_ref()
                    .is_some_and(|(_, length)| *length == 0)
                {
                    return Ok(self.message.take().map(|(message, _)| message));
                }
                continue;
            };
            let missing = *length - message.len();
            let part = self.arrived.split_to(missing.min(self.arrived.len()));
            message.extend_from_slice(&part);
            if message.len() == *length {
                return Ok(self.message.take().map(|(message, _)| message));
            }
        }
        // Frees the frame instead of keeping it until the next one arrives.
        self.arrived = Bytes::new();
        Ok(None)
    }

    /// Starts a message after its complete prefix.
    fn begin(&mut self) -> Result<(), Status> {
        let mut head = &self.head[..];
        if head.get_u8() != 0 {
            return Err(Status::unimplemented(
                "compressed messages are not supported",
            ));
        }
        let length = head.get_u32() as usize;
        if length > self.message_bytes_max {
            let max = self.message_bytes_max;
            let text = format!("invalid message length {length}; expected at most {max} bytes");
            return Err(Status::out_of_range(text));
        }
        self.head.clear();
        // The capacity is limited, so that a peer that announces a long message but sends little costs little.
        self.message = Some((Vec::with_capacity(length.min(TOGETHER_BYTES)), length));
        Ok(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Status> {
        if self.message.is_some() || !self.head.is_empty() {
            return Err(Status::internal("the stream ended within a message"));
        }
        match trailers.and_then(|trailers| Status::from_header_map(&trailers)) {
            Some(status) if status.code() != Code::Ok => Err(status),
            _ => Ok(()),
        }
    }
}

impl<B> fmt::Debug for Messages<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages")
            .field("ended", &self.body.is_none())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use http_body_util::BodyExt as _;

    use super::*;

    /// A body of the given frames.
    struct Frames(VecDeque<Frame<Bytes>>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    fn message(text: &str) -> Bytes {
        frame_message(text.len(), |to| to.extend(text.bytes()))
    }

    /// Reads messages from `bytes`, which arrive in pieces of `at_a_time`.
    fn read(bytes: &[u8], at_a_time: usize, max: usize) -> Result<Vec<String>, Status> {
        let frame = |part: &[u8]| Frame::data(Bytes::copy_from_slice(part));
        let frames = bytes.chunks(at_a_time).map(frame).collect();
        let mut messages = Messages::new(Frames(frames), max);
        let mut all = Vec::new();
        while let Some(message) = messages.next().now_or_never().unwrap()? {
            all.push(String::from_utf8(message).unwrap());
        }
        Ok(all)
    }

    #[test]
    fn messages_are_read_however_they_are_cut() {
        let bytes = [message("one"), message(""), message("three")].concat();
        for at_a_time in 1..=bytes.len() {
            assert_eq!(read(&bytes, at_a_time, 5).unwrap(), ["one", "", "three"]);
        }
    }

    #[test]
    fn what_is_too_long_compressed_or_cut_short_is_an_error() {
        let code = |bytes: &[u8], max| read(bytes, 3, max).unwrap_err().code();
        assert_eq!(code(&message("three"), 4), Code::OutOfRange);
        assert_eq!(code(&[1, 0, 0, 0, 0], 4), Code::Unimplemented);
        assert_eq!(code(&message("three")[..7], 9), Code::Internal);
        assert_eq!(code(&message("three")[..2], 9), Code::Internal);
    }

    #[test]
    fn the_status_of_the_trailers_is_the_end() {
        let end = |status: Status| {
            let mut trailers = HeaderMap::new();
            status.add_header(&mut trailers).unwrap();
            let frames = [Frame::data(message("a")), Frame::trailers(trailers)];
            let mut messages = Messages::new(Frames(frames.into()), 9);
            assert_eq!(
                messages.next().now_or_never().unwrap().unwrap().unwrap(),
                b"a"
            );
            messages
                .next()
                .now_or_never()
                .unwrap()
                .map_err(|status| status.code())
        };
        assert_eq!(end(Status::ok("")), Ok(None));
        assert_eq!(end(Status::not_found("x")), Err(Code::NotFound));
    }

    #[test]
    fn messages_that_are_ready_are_sent_together_before_the_end() {
        let messages = [
            Ok(message("a")),
            Ok(message("b")),
            Err(Status::aborted("x")),
        ];
        let body = MessageBody::response(stream::iter(messages));
        let mut frames = body.into_data_and_trailers();
        assert_eq!(
            frames.remove(0).into_data().unwrap(),
            [message("a"), message("b")].concat()
        );
        let trailers = frames.remove(0).into_trailers().unwrap();
        assert_eq!(
            Status::from_header_map(&trailers).unwrap().code(),
            Code::Aborted
        );
        assert!(frames.is_empty());
    }

    #[test]
    fn a_large_item_is_sent_uncopied_and_in_its_place() {
        let large = Bytes::from(vec![7; TOGETHER_BYTES]);
        let items = [message("a"), message("b"), large.clone(), message("c")];
        let body = MessageBody::request(stream::iter(items.map(Ok)));
        let frames = body.into_data_and_trailers().into_iter();
        let frames: Vec<Bytes> = frames.map(|frame| frame.into_data().unwrap()).collect();
        let before = [message("a"), message("b")].concat();
        assert_eq!(frames, [Bytes::from(before), large.clone(), message("c")]);
        assert_eq!(frames[1].as_ptr(), large.as_ptr());
    }

    #[test]
    fn a_request_ends_without_a_status() {
        let messages = stream::iter([Ok(message("a"))]).chain(stream::empty());
        let body = MessageBody::request(messages);
        assert_eq!(body.into_data_and_trailers().len(), 1);
    }

    trait AllFrames {
        fn into_data_and_trailers(self) -> Vec<Frame<Bytes>>;
    }

    impl<S: Stream<Item = Result<Bytes, Status>> + Unpin> AllFrames for MessageBody<S> {
        fn into_data_and_trailers(mut self) -> Vec<Frame<Bytes>> {
            let mut all = Vec::new();
            while let Some(frame) = self.frame().now_or_never().unwrap() {
                all.push(frame.unwrap());
            }
            all
        }
    }
}
