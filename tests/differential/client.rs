//! The caller that sends requests to both proxies.

use std::net::SocketAddr;
use std::time::Duration;

use shakedown_env::Env;

use crate::http1::{Connection, Framing};
use crate::http2;

/// The time limit for an answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// The time limit for closing a connection after a reply that announces it.
const CLOSING: Duration = Duration::from_millis(1500);

/// A request to send.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientRequest {
    /// True to use HTTP/2 with prior knowledge.
    pub(crate) http2: bool,
    pub(crate) method: String,
    /// The request target.
    pub(crate) path: String,
    /// The authority; `None` sends none.
    pub(crate) host: Option<String>,
    /// The other headers, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// The body. A content length is sent unless it is empty.
    pub(crate) body: Vec<u8>,
    /// Sent instead of all other fields.
    pub(crate) raw: Option<Vec<u8>>,
    /// The time after which the caller closes the connection, in ms.
    pub(crate) leaves_after: Option<u64>,
    /// The delay from the start of the step, in ms.
    pub(crate) after: u64,
    /// True to record if the proxy closes the connection after the answer.
    pub(crate) watch_close: bool,
    /// The text sent after an upgrade, and the number of bytes to receive before closing. `None` waits until the peer
    /// closes.
    pub(crate) talk: Option<(&'static str, Option<usize>)>,
    /// The listener's port; `None` is the outbound listener.
    pub(crate) port: Option<u16>,
}

/// The caller's view of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// 0 if no answer arrived.
    pub(crate) status: u16,
    /// In the order and case received.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// The way in which the answer ended.
    pub(crate) end: &'static str,
}

impl Answer {
    /// A missing answer, with the reason.
    pub(crate) fn none(end: &'static str) -> Answer {
        Answer {
            end,
            ..Answer::default()
        }
    }
}

/// Sends a request on a new connection.
pub(crate) async fn send_request(env: &Env, to: SocketAddr, request: &ClientRequest) -> Answer {
    if request.after > 0 {
        env.sleep(Duration::from_millis(request.after)).await;
    }
    let Ok(stream) = env.connect(to, None).await else {
        return Answer::none("refused");
    };
    let patience = request.leaves_after.map_or(PATIENCE, Duration::from_millis);
    let answering = async {
        if request.http2 {
            return http2::send(env, stream, request).await;
        }
        let mut connection = Connection::new(stream);
        if connection.write(&bytes(request)).await.is_err() {
            return Answer::none("closed");
        }
        let mut answer = read(&mut connection, &request.method).await;
        if let Some((says, wants)) = request.talk.filter(|_| answer.status == 101) {
            return talk(&mut connection, answer, says, wants).await;
        }
        if request.watch_close && answer.end == "whole" {
            let closed = env.timeout(CLOSING, connection.closed()).await.is_ok();
            answer.end = if closed {
                "whole, then closed"
            } else {
                "whole, left open"
            };
        }
        answer
    };
    match env.timeout(patience, answering).await {
        Ok(answer) => answer,
        Err(_) if request.leaves_after.is_some() => Answer::none("left"),
        Err(_) => Answer::none("no answer in time"),
    }
}

/// Exchanges data on an upgraded connection.
async fn talk(
    connection: &mut Connection,
    mut answer: Answer,
    says: &str,
    wants: Option<usize>,
) -> Answer {
    if !says.is_empty() && connection.write(says.as_bytes()).await.is_err() {
        answer.end = "cut";
        return answer;
    }
    let framing = wants.map_or(Framing::Close, Framing::Length);
    let content = connection.content(framing).await;
    answer.body = content.bytes;
    answer.end = match wants {
        Some(_) if content.cut => "cut",
        Some(_) => "left",
        None => "closed",
    };
    answer
}

async fn read(connection: &mut Connection, method: &str) -> Answer {
    loop {
        let Some(head) = connection.head().await else {
            return Answer::none("closed");
        };
        let status = head.second().parse().unwrap_or(0);
        if status == 100 {
            continue;
        }
        let content = connection
            .content(Framing::of_response(&head, method))
            .await;
        return Answer {
            status,
            headers: head.headers,
            body: content.bytes,
            trailers: content.trailers,
            end: if content.cut { "cut" } else { "whole" },
        };
    }
}

fn bytes(request: &ClientRequest) -> Vec<u8> {
    if let Some(raw) = &request.raw {
        return raw.clone();
    }
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    if let Some(host) = &request.host {
        text += &format!("host: {host}\r\n");
    }
    for (name, value) in &request.headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !request.body.is_empty() {
        text += &format!("content-length: {}\r\n", request.body.len());
    }
    text += "\r\n";
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&request.body);
    bytes
}
