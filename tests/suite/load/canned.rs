//! The cheapest server there is: a blocking thread a connection, which answers whatever it reads with the same bytes, and then
//! goes on, closes or resets.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// At most so many connections are served: more are a burst, and closed.
const CONNECTIONS_MAX: usize = 64;
/// A whole answer.
pub(super) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// What follows an answer.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// The next request.
    GoOn,
    /// A FIN.
    Close,
    /// A RST.
    Reset,
}

/// A server in threads of its own. Dropping it ends them once their connections are closed.
pub(super) struct Canned {
    pub(super) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Canned {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server outside of every world: real sockets, and threads of its own"
    )]
    pub(super) fn start(answer: &'static [u8], then: Then) -> Canned {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let stop = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&stop);
        let thread = spawn(move || {
            let mut served = Vec::new();
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                served.retain(|thread: &JoinHandle<()>| !thread.is_finished());
                if served.len() < CONNECTIONS_MAX {
                    served.push(spawn(move || serve(stream, answer, then)));
                }
            }
            for thread in served {
                thread.join().expect("no connection panics");
            }
        });
        Canned {
            address,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Canned {
    #[expect(
        clippy::disallowed_methods,
        reason = "wakes a thread that waits in accept"
    )]
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _woken = TcpStream::connect(self.address);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()), "the server failed");
    }
}

/// One request at a time, each in one piece: its client has no second one under way.
fn serve(mut stream: TcpStream, answer: &[u8], then: Then) {
    let mut bytes = [0; 4096];
    let _undelayed = stream.set_nodelay(true);
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
        let written = stream.write_all(answer);
        match then {
            Then::GoOn if written.is_ok() => {}
            Then::GoOn | Then::Close => return,
            Then::Reset => {
                let now = Some(Duration::ZERO);
                set_socket_linger(&stream, now).expect("a socket of ours takes it");
                return;
            }
        }
    }
}
