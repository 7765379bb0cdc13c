//! Scripted upstreams: a case defines the action for the n-th request, and the received requests are recorded.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use shakedown_env::{BoxStream, Env, Owned};

use crate::http1::{Connection, Framing};
use crate::{http2, stuck};

/// An upstream's action for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Answers with these headers and the content length.
    Reply(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Answers in chunks, with trailers.
    Chunks(
        u16,
        &'static [&'static str],
        &'static [(&'static str, &'static str)],
    ),
    /// Answers with exactly these headers, and with this body in pieces.
    Framed(
        u16,
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
    ),
    /// Writes these bytes with short pauses, and closes. HTTP/1.1 only.
    Raw(&'static [&'static str]),
    /// Accepts an upgrade, then acts like this. HTTP/1.1 only.
    Switch(Talk),
    /// Writes these bytes and then waits for the peer to close. Over HTTP/2: answers with this body and resets the
    /// stream in it.
    Stall(&'static str),
    /// Reads the request and closes.
    Close,
    /// Reads the request and resets the connection, or over HTTP/2 the stream with this code.
    Reset(u32),
    /// Reads the request and never answers.
    Hang,
    /// Waits this number of milliseconds before the other action.
    Late(u64, &'static Act),
    /// Answers as gRPC: status 200, an optional message and these trailers. An empty message makes a trailers-only
    /// response.
    Grpc(&'static str, &'static [(&'static str, &'static str)]),
}

/// An upstream's behaviour on an upgraded connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// Returns the received data.
    Echo,
    /// Sends this and closes, after receiving something.
    Bye(&'static str),
    /// Resets after receiving something.
    Reset,
    Silent,
}

/// Answers 200 with `ok`.
pub(crate) const OK: Act = Act::Reply(200, &[], "ok");

/// Answers with this status and the body `app`.
pub(crate) const fn status(code: u16) -> Act {
    Act::Reply(code, &[], "app")
}

/// The kind of an upstream address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Serves HTTP/1.1.
    Http1,
    /// Serves HTTP/2 with prior knowledge.
    Http2,
    /// Refuses connections, because nothing listens.
    Refuses,
    /// Listens with a full backlog, so that connects hang.
    Stuck,
}

/// A request received by an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// The upstream's name.
    pub(crate) host: String,
    /// The upstream's service.
    pub(crate) service: String,
    /// The method and the target.
    pub(crate) line: String,
    /// In the order received. Over HTTP/2, `:authority` is first.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// True if the body was truncated.
    pub(crate) cut: bool,
}

/// The script of one upstream.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// The upstream's name.
    pub(crate) host: String,
    /// The upstream's service.
    pub(crate) service: String,
    /// The actions for the first request, the second, and so on. The last is repeated.
    pub(crate) acts: Vec<Act>,
    pub(crate) manner: Manner,
}

/// A running upstream.
pub(crate) struct Upstream {
    script: Script,
    seen: Cell<usize>,
    journal: Journal,
}

/// The requests received by all upstreams of a case, in order.
pub(crate) type Journal = Rc<RefCell<Vec<Received>>>;

/// Keeps an upstream alive until dropped.
pub(crate) struct Running {
    upstream: Rc<Upstream>,
    _task: Option<Owned>,
    _backlog: Option<stuck::Backlog>,
}

impl Running {
    /// Restarts the script.
    pub(crate) fn rewind(&self) {
        self.upstream.seen.set(0);
    }
}

impl Upstream {
    /// Records a request and returns the action for it.
    pub(crate) fn take(&self, received: Received) -> Act {
        self.journal.borrow_mut().push(received);
        let nth = self.seen.get();
        self.seen.set(nth + 1);
        let acts = &self.script.acts;
        *acts.get(nth).or(acts.last()).unwrap_or(&OK)
    }

    /// A request record with this upstream's names.
    pub(crate) fn received(&self, line: String) -> Received {
        Received {
            host: self.script.host.clone(),
            service: self.script.service.clone(),
            line,
            headers: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
            cut: false,
        }
    }
}

pub(crate) fn start(
    env: &Env,
    at: SocketAddr,
    script: Script,
    journal: &Journal,
) -> io::Result<Running> {
    let manner = script.manner;
    let upstream = Rc::new(Upstream {
        script,
        seen: Cell::new(0),
        journal: Rc::clone(journal),
    });
    let backlog = match manner {
        Manner::Stuck => Some(stuck::fill(at)?),
        _ => None,
    };
    let task = match manner {
        Manner::Refuses | Manner::Stuck => None,
        Manner::Http1 | Manner::Http2 => {
            let mut listener = env.listen(at)?;
            let (own, shared) = (env.clone(), Rc::clone(&upstream));
            Some(env.spawn_owned("upstream", async move {
                while let Ok(stream) = listener.accept().await {
                    let (env, upstream) = (own.clone(), Rc::clone(&shared));
                    own.spawn("upstream-connection", async move {
                        if manner == Manner::Http2 {
                            http2::serve(&env, stream, upstream).await;
                        } else {
                            serve(&env, stream, &upstream).await;
                        }
                    });
                }
            }))
        }
    };
    Ok(Running {
        upstream,
        _task: task,
        _backlog: backlog,
    })
}

async fn serve(env: &Env, stream: BoxStream, upstream: &Upstream) {
    let mut connection = Connection::new(stream);
    while let Some(head) = connection.head().await {
        let content = connection.content(Framing::of_request(&head)).await;
        let line = head
            .line
            .rsplit_once(' ')
            .map_or(head.line.as_str(), |(line, _)| line);
        let mut received = upstream.received(line.to_owned());
        received.headers = head.headers;
        received.body = content.bytes;
        received.trailers = content.trailers;
        received.cut = content.cut;
        let method = line.split(' ').next().unwrap_or_default().to_owned();
        let act = upstream.take(received);
        if !perform(env, &mut connection, &method, act).await {
            return;
        }
    }
}

/// Performs an action. Returns false if the connection is finished.
async fn perform(env: &Env, connection: &mut Connection, method: &str, mut act: Act) -> bool {
    while let Act::Late(ms, then) = act {
        env.sleep(Duration::from_millis(ms)).await;
        act = *then;
    }
    match act {
        Act::Late(..) => unreachable!("waited out above"),
        Act::Close => false,
        Act::Reset(_) => {
            connection.reset_on_drop();
            false
        }
        Act::Hang => {
            connection.closed().await;
            false
        }
        Act::Switch(talk) => {
            let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nx-own: 1\r\n\r\n";
            if connection.write(head.as_bytes()).await.is_ok() {
                converse(connection, talk).await;
            }
            false
        }
        Act::Stall(text) => {
            if connection.write(text.as_bytes()).await.is_ok() {
                connection.closed().await;
            }
            false
        }
        Act::Raw(pieces) => {
            for (at, piece) in pieces.iter().enumerate() {
                if at > 0 {
                    env.sleep(Duration::from_millis(20)).await;
                }
                if connection.write(piece.as_bytes()).await.is_err() {
                    return false;
                }
            }
            false
        }
        Act::Reply(status, headers, body) => {
            let mut text = format!("HTTP/1.1 {status} Said\r\n{}", lines(headers));
            if status != 204 && status != 304 {
                text += &format!("content-length: {}\r\n", body.len());
            }
            text += "\r\n";
            if method != "HEAD" {
                text += body;
            }
            connection.write(text.as_bytes()).await.is_ok()
        }
        Act::Chunks(status, pieces, trailers) => {
            let mut text = format!("HTTP/1.1 {status} Said\r\ntransfer-encoding: chunked\r\n\r\n");
            for piece in pieces {
                text += &format!("{:x}\r\n{piece}\r\n", piece.len());
            }
            text += &format!("0\r\n{}\r\n", lines(trailers));
            connection.write(text.as_bytes()).await.is_ok()
        }
        Act::Framed(status, headers, pieces) => {
            let text = format!(
                "HTTP/1.1 {status} Said\r\n{}\r\n{}",
                lines(headers),
                pieces.concat()
            );
            connection.write(text.as_bytes()).await.is_ok()
        }
        Act::Grpc(message, trailers) => {
            let text = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n{}content-length: {}\r\n\r\n{message}",
                lines(trailers),
                message.len()
            );
            connection.write(text.as_bytes()).await.is_ok()
        }
    }
}

/// Exchanges data until either side closes.
async fn converse(connection: &mut Connection, talk: Talk) {
    while let Some(data) = connection.piece().await {
        let written = match talk {
            Talk::Echo => connection.write(&data).await,
            Talk::Silent => Ok(()),
            Talk::Reset => return connection.reset_on_drop(),
            Talk::Bye(text) => {
                // The caller's answer shows a failure to write.
                let _ = connection.write(text.as_bytes()).await;
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}

fn lines(headers: &[(&str, &str)]) -> String {
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect()
}
