//! HTTP/2 with prior knowledge: the client that sends a case's requests, and the scripted upstream.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use shakedown_env::{BoxStream, Env};

use crate::client::{Answer, ClientRequest};
use crate::http1::{Connection, Content, Framing};
use crate::upstream::{Act, Upstream};

type Fields = Vec<(String, String)>;

/// Serves one connection according to the script.
pub(crate) async fn serve(env: &Env, stream: BoxStream, upstream: Rc<Upstream>) {
    let Ok(mut connection) = h2::server::handshake(TokioIo::new(stream)).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (env, upstream) = (env.clone(), Rc::clone(&upstream));
        let own = env.clone();
        own.spawn("upstream-stream", async move {
            // An answer to a reset stream fails, which does not matter.
            let _ = answer(&env, request, respond, &upstream).await;
        });
    }
}

async fn answer(
    env: &Env,
    request: Request<RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    upstream: &Upstream,
) -> Result<(), h2::Error> {
    let (head, body) = request.into_parts();
    let content = read(body).await;
    let target = head
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    let mut received = upstream.received(format!("{} {target}", head.method));
    let authority = head
        .uri
        .authority()
        .map_or("", |authority| authority.as_str());
    received.headers = vec![("host".to_owned(), authority.to_owned())];
    received.headers.extend(fields(&head.headers));
    received.body = content.bytes;
    received.trailers = content.trailers;
    received.cut = content.cut;
    let mut act = upstream.take(received);
    while let Act::Late(ms, then) = act {
        env.sleep(Duration::from_millis(ms)).await;
        act = *then;
    }
    let reply = |code: u16, headers: &[(&str, &str)]| {
        let mut response = Response::new(());
        *response.status_mut() = code.try_into().expect("a case's status is one");
        *response.headers_mut() = map(headers);
        response
    };
    match act {
        Act::Late(..) | Act::Raw(_) | Act::Switch(_) => {
            respond.send_reset(Reason::INTERNAL_ERROR);
        }
        Act::Stall(text) => {
            let mut send = respond.send_response(reply(200, &[]), false)?;
            send.send_data(Bytes::from_static(text.as_bytes()), false)?;
            env.sleep(Duration::from_millis(50)).await;
            send.send_reset(Reason::INTERNAL_ERROR);
        }
        Act::Hang => std::future::pending().await,
        Act::Close => respond.send_reset(Reason::NO_ERROR),
        Act::Reset(code) => respond.send_reset(Reason::from(code)),
        Act::Reply(code, headers, body) => {
            let mut response = reply(code, headers);
            response
                .headers_mut()
                .insert("content-length", body.len().into());
            let mut send = respond.send_response(response, body.is_empty())?;
            if !body.is_empty() {
                send.send_data(Bytes::from_static(body.as_bytes()), true)?;
            }
        }
        Act::Framed(code, headers, pieces) => {
            let mut send = respond.send_response(reply(code, headers), pieces.is_empty())?;
            for (at, piece) in pieces.iter().enumerate() {
                let last = at + 1 == pieces.len();
                send.send_data(Bytes::from_static(piece.as_bytes()), last)?;
            }
        }
        Act::Chunks(code, pieces, trailers) => {
            let mut send = respond.send_response(reply(code, &[]), false)?;
            for piece in pieces {
                send.send_data(Bytes::from_static(piece.as_bytes()), false)?;
            }
            send.send_trailers(map(trailers))?;
        }
        Act::Grpc(message, trailers) => {
            let kind = ("content-type", "application/grpc");
            if message.is_empty() {
                let mut headers = vec![kind];
                headers.extend(trailers);
                respond.send_response(reply(200, &headers), true)?;
            } else {
                let mut send = respond.send_response(reply(200, &[kind]), false)?;
                send.send_data(Bytes::from_static(message.as_bytes()), false)?;
                send.send_trailers(map(trailers))?;
            }
        }
    }
    Ok(())
}

/// Sends one request on a new connection.
pub(crate) async fn send(env: &Env, stream: BoxStream, client_request: &ClientRequest) -> Answer {
    let uri = format!(
        "http://{}{}",
        client_request.host.as_deref().unwrap_or(""),
        client_request.path
    );
    let uri: Option<Uri> = uri.parse().ok();
    let holds = |uri: &Uri| {
        uri.path_and_query()
            .is_some_and(|path| *path == *client_request.path)
    };
    let Some(uri) = uri.filter(holds) else {
        return send_frames(stream, client_request).await;
    };
    let Ok((mut sender, connection)) = h2::client::handshake(TokioIo::new(stream)).await else {
        return Answer::none("no HTTP/2");
    };
    let _connection = env.spawn_owned("client-connection", async move {
        // The answer shows how the connection ended.
        let _ = connection.await;
    });
    let mut request = Request::new(());
    *request.method_mut() = client_request
        .method
        .parse()
        .expect("a case's method is one");
    *request.uri_mut() = uri;
    let pairs: Vec<(&str, &str)> = client_request
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    *request.headers_mut() = map(&pairs);
    let Ok((response, mut stream)) = sender.send_request(request, client_request.body.is_empty())
    else {
        return Answer::none("refused by HTTP/2");
    };
    if !client_request.body.is_empty() {
        // A peer that has already answered may refuse the body.
        let _ = stream.send_data(client_request.body.clone().into(), true);
    }
    match response.await {
        Ok(response) => {
            let (head, body) = response.into_parts();
            let content = read(body).await;
            Answer {
                status: head.status.as_u16(),
                headers: fields(&head.headers),
                body: content.bytes,
                trailers: content.trailers,
                end: if content.cut { "cut" } else { "whole" },
            }
        }
        Err(error) if error.is_reset() => Answer::none("reset"),
        Err(_) => Answer::none("closed"),
    }
}

/// Sends a GET with a path that the library refuses, and reads status and body of the answer.
async fn send_frames(stream: BoxStream, client_request: &ClientRequest) -> Answer {
    /// Source: RFC 7541, appendix A.
    const STATUSES: [(u8, u16); 4] = [(0x88, 200), (0x8c, 400), (0x8d, 404), (0x8e, 500)];
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("a case's text is short");
        [&[length], text.as_bytes()].concat()
    };
    let host = text(client_request.host.as_deref().unwrap_or(""));
    // `:method: GET`, `:scheme: http`, `:path` and `:authority`.
    let block = [
        &[0x82, 0x86, 0x44][..],
        &text(&client_request.path),
        &[0x41],
        &host,
    ]
    .concat();
    let length = u8::try_from(block.len()).expect("a case's head is short");
    // END_STREAM and END_HEADERS.
    let head = [&[0, 0, length, 1, 0x5, 0, 0, 0, 1][..], &block].concat();
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut connection = Connection::new(stream);
    if connection
        .write(&[&hello[..], &head].concat())
        .await
        .is_err()
    {
        return Answer::none("closed");
    }
    let mut answer = Answer::default();
    loop {
        let frame = connection.content(Framing::Length(9)).await;
        let [_, high, low, kind, flags, _, _, _, _] = frame.bytes[..] else {
            return Answer::none("closed");
        };
        let length = usize::from(high) << 8 | usize::from(low);
        let payload = connection.content(Framing::Length(length)).await.bytes;
        match kind {
            0 => answer.body.extend_from_slice(&payload),
            1 => {
                let known = STATUSES
                    .iter()
                    .find(|(byte, _)| payload.first() == Some(byte));
                answer.status = known.expect("a case's status is known").1;
            }
            3 => return Answer::none("reset"),
            7 => return Answer::none("closed"),
            _ => continue,
        }
        if flags & 1 != 0 {
            answer.end = "whole";
            return answer;
        }
    }
}

async fn read(mut body: RecvStream) -> Content {
    let mut content = Content::default();
    while let Some(data) = body.data().await {
        let Ok(data) = data else {
            content.cut = true;
            return content;
        };
        // An error means that the stream has ended, and then the window no longer matters.
        let _ = body.flow_control().release_capacity(data.len());
        content.bytes.extend_from_slice(&data);
    }
    match body.trailers().await {
        Ok(trailers) => {
            content.trailers = trailers.map_or_else(Vec::new, |trailers| fields(&trailers))
        }
        Err(_) => content.cut = true,
    }
    content
}

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a case's header is one");
        map.append(
            name,
            HeaderValue::from_str(value).expect("a case's value is one"),
        );
    }
    map
}

fn fields(headers: &HeaderMap) -> Fields {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}
