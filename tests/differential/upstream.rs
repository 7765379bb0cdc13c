//! Scripted upstreams: what each does with the n-th request that reaches it is written in the case, and what reached it is
//! written down.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use shakedown_env::{BoxStream, Env, Owned};

use crate::http1::{Connection, Framing};
use crate::{http2, stuck};

/// What an upstream does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Answers, with these headers besides the content length.
    Reply(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Answers in chunks, with trailers.
    Chunks(
        u16,
        &'static [&'static str],
        &'static [(&'static str, &'static str)],
    ),
    /// Answers with these headers as they stand, and with this body in pieces.
    Framed(
        u16,
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
    ),
    /// Writes these bytes, a short while apart, and closes. HTTP/1.1 only.
    Raw(&'static [&'static str]),
    /// Agrees to an upgrade, and then does this. HTTP/1.1 only.
    Switch(Talk),
    /// Writes these bytes, and then nothing until the peer goes. As HTTP/2: answers with this body, and resets in it.
    Stall(&'static str),
    /// Reads the request and closes.
    Close,
    /// Reads the request and resets: the connection, or the stream of HTTP/2 with this code.
    Reset(u32),
    /// Reads the request and never answers.
    Hang,
    /// Waits so many milliseconds, then does as the other says.
    Late(u64, &'static Act),
    /// As gRPC: status 200 and these trailers, after a message if there is one; trailers alone where it is empty.
    Grpc(&'static str, &'static [(&'static str, &'static str)]),
}

/// What an upstream does with a connection that has become something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// Says what it hears.
    Echo,
    /// Says this, and closes when it has heard something.
    Bye(&'static str),
    /// Resets when it has heard something.
    Reset,
    /// Says nothing.
    Silent,
}

/// 200 and `ok`.
pub(crate) const OK: Act = Act::Reply(200, &[], "ok");

/// An answer of this status, which says `app`.
pub(crate) const fn status(code: u16) -> Act {
    Act::Reply(code, &[], "app")
}

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It serves HTTP/1.1.
    Http1,
    /// It serves HTTP/2 with prior knowledge.
    Http2,
    /// Nothing listens there.
    Refuses,
    /// It listens and its backlog is full: connects hang.
    Stuck,
}

/// One request that reached an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Which upstream.
    pub(crate) host: String,
    /// The service that it stands for.
    pub(crate) service: String,
    /// The method and the target.
    pub(crate) line: String,
    /// In the order in which they came. Of HTTP/2, `:authority` is first.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// Trailers of the request.
    pub(crate) trailers: Vec<(String, String)>,
    /// Whether the body was cut short.
    pub(crate) cut: bool,
}

/// What one upstream is to do.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Its name.
    pub(crate) host: String,
    /// The service that it stands for.
    pub(crate) service: String,
    /// What it does with the first request, the second, and so on; the last holds for all that follow.
    pub(crate) acts: Vec<Act>,
    /// What it is.
    pub(crate) manner: Manner,
}

/// An upstream that runs.
pub(crate) struct Upstream {
    script: Script,
    seen: Cell<usize>,
    journal: Journal,
}

/// What reached all upstreams of a case, in order.
pub(crate) type Journal = Rc<RefCell<Vec<Received>>>;

/// What keeps an upstream alive.
pub(crate) struct Running {
    upstream: Rc<Upstream>,
    _task: Option<Owned>,
    _backlog: Option<stuck::Backlog>,
}

impl Running {
    /// Begins the script anew.
    pub(crate) fn rewind(&self) {
        self.upstream.seen.set(0);
    }
}

impl Upstream {
    /// Notes a request, and tells what is to be done with it.
    pub(crate) fn take(&self, received: Received) -> Act {
        self.journal.borrow_mut().push(received);
        let nth = self.seen.get();
        self.seen.set(nth + 1);
        let acts = &self.script.acts;
        *acts.get(nth).or(acts.last()).unwrap_or(&OK)
    }

    /// A request with this host's name on it.
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

/// Starts an upstream.
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

/// Does as the script says; false when the connection is over.
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

/// Talks until one of both closes.
async fn converse(connection: &mut Connection, talk: Talk) {
    while let Some(heard) = connection.piece().await {
        let said = match talk {
            Talk::Echo => connection.write(&heard).await,
            Talk::Silent => Ok(()),
            Talk::Reset => return connection.reset_on_drop(),
            Talk::Bye(text) => {
                // If it cannot be said, the caller shows it.
                let _ = connection.write(text.as_bytes()).await;
                return;
            }
        };
        if said.is_err() {
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
