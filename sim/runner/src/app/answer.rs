//! Responses of an app, by protocol: an HTTP status, or a gRPC status in headers or trailers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use shakedown_results::Outcome;
use shakedown_scenarios::scenario::{Protocol, StepStatus};
use shakedown_types::{GrpcStatus, grpc};

/// A response body: bytes in memory, and optional trailers.
#[derive(Debug, Default)]
pub(crate) struct AppBody {
    data: Option<Bytes>,
    trailers: Option<Box<HeaderMap>>,
}

/// Returns a response, and its outcome for the Journal.
pub(super) fn answer(
    protocol: Protocol,
    status: StepStatus,
    data: Bytes,
    headers: &[(HeaderName, HeaderValue)],
) -> (Response<AppBody>, Outcome) {
    let (status, grpc) = match (protocol, status) {
        (Protocol::Grpc, status) => (StatusCode::OK, Some(in_grpc(status))),
        (_, StepStatus::Http(status)) => (status, None),
        (_, StepStatus::Grpc(status)) => (in_http(status), None),
    };
    let outcome = Outcome::of_status(status.as_u16(), grpc);
    let mut response = Response::new(AppBody::default());
    *response.status_mut() = status;
    for (name, value) in headers {
        response.headers_mut().append(name.clone(), value.clone());
    }
    let Some(grpc) = grpc else {
        response.body_mut().data = (!data.is_empty()).then_some(data);
        return (response, outcome);
    };
    response
        .headers_mut()
        .insert(CONTENT_TYPE, grpc::CONTENT_TYPE);
    let code = HeaderValue::from(grpc);
    if grpc == GrpcStatus::Ok {
        let trailers = HeaderMap::from_iter([(grpc::STATUS, code)]);
        *response.body_mut() = AppBody {
            data: Some(data),
            trailers: Some(Box::new(trailers)),
        };
    } else {
        // A response without a message carries its status in the headers. Source: gRPC over HTTP/2,
        // "Trailers-Only".
        response.headers_mut().insert(grpc::STATUS, code);
    }
    (response, outcome)
}

fn in_grpc(status: StepStatus) -> GrpcStatus {
    match status {
        StepStatus::Grpc(status) => status,
        StepStatus::Http(status) if status.as_u16() < 400 => GrpcStatus::Ok,
        StepStatus::Http(status) => GrpcStatus::from_http(status.as_u16()),
    }
}

fn in_http(status: GrpcStatus) -> StatusCode {
    StatusCode::from_u16(status.to_http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl Body for AppBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(|last| Frame::trailers(*last)));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use shakedown_results::Answer;

    use super::*;

    fn convert(protocol: Protocol, status: StepStatus) -> (u16, Option<String>, Answer) {
        let (response, outcome) = answer(protocol, status, Bytes::new(), &[]);
        let status = response.headers().get(grpc::STATUS);
        let status = status.map(|status| status.to_str().unwrap().to_owned());
        (response.status().as_u16(), status, outcome.answer)
    }

    #[test]
    fn a_grpc_failure_is_sent_in_headers_of_a_successful_response() {
        let unavailable = StepStatus::Grpc(GrpcStatus::Unavailable);
        let status = Some("14".to_owned());
        assert_eq!(
            convert(Protocol::Grpc, unavailable),
            (200, status, Answer::Error)
        );
    }

    #[test]
    fn success_of_grpc_is_told_in_trailers_behind_a_message() {
        let (response, outcome) = answer(
            Protocol::Grpc,
            StepStatus::Http(StatusCode::OK),
            Bytes::from_static(b"m"),
            &[],
        );
        assert_eq!(outcome.answer, Answer::Ok);
        assert!(!response.headers().contains_key(grpc::STATUS));
        let trailers = response.into_body().trailers.unwrap();
        assert_eq!(trailers[grpc::STATUS], "0");
    }

    #[test]
    fn the_others_words_are_translated() {
        let unavailable = StepStatus::Grpc(GrpcStatus::Unavailable);
        assert_eq!(
            convert(Protocol::Http, unavailable),
            (503, None, Answer::Error)
        );
        let missing = StepStatus::Http(StatusCode::NOT_FOUND);
        let status = Some(GrpcStatus::Unimplemented.code().to_string());
        assert_eq!(
            convert(Protocol::Grpc, missing),
            (200, status, Answer::Error)
        );
    }
}
