//! A minimal server: one blocking thread per connection, which answers every read with the same bytes, and then
//! continues, closes or resets the connection.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// The maximum number of connections served. Further ones are closed as a burst.
const CONNECTIONS_MAX: usize = 64;
/// A complete response.
pub(super) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// The action after a response.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// Reads the next request.
    GoOn,
    /// Closes the connection with a FIN.
    Close,
    /// Resets the connection with a RST.
    Reset,
}

/// A server in its own threads. Dropping it stops them once their connections are closed.
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

/// Serves requests one at a time. The client never pipelines, so each read is a whole request.
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
