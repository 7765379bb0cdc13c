//! Mutual TLS between workloads, with certificates of an authority for SPIFFE identities.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read as _, ReadBuf, ReadBufCursor, Write as _};
use rand::SeedableRng as _;
use shakedown_env::{BoxStream, Env, Stream, Tap, Tapped, UnixTime};
use shakedown_identity::{CertificateAuthority, CertificateTerms, KeyRandom, PrivateKey};
use shakedown_types::SpiffeId;

use super::super::*;
use crate::scene::{run, serve_raw};

const HOUR: Duration = Duration::from_secs(3600);
const SNI: &str = "outbound_.9080_._.reviews.default.svc.cluster.local";

/// An authority with a random stream of its own, and the environment whose clock it uses.
struct Mesh {
    env: Env,
    authority: CertificateAuthority,
    random: shakedown_env::Rng,
}

impl Mesh {
    fn new(env: &Env, seed: u64) -> Mesh {
        let mut random = shakedown_env::Rng::seed_from_u64(seed);
        let now = env.unix_time();
        let files =
            CertificateAuthority::generate("cluster.local", now, Some(&mut random)).unwrap();
        Mesh {
            env: env.clone(),
            authority: CertificateAuthority::from_files(&files).unwrap(),
            random,
        }
    }

    fn roots(&self) -> Roots {
        let mut roots = Roots::none();
        for root in self.authority.roots() {
            roots.add_der(root).unwrap();
        }
        roots
    }

    fn credentials(
        &mut self,
        context: &TlsContext,
        account: &str,
        lifetime: Duration,
    ) -> TlsCredentials {
        let id = id(account);
        let key = PrivateKey::generate(KeyRandom::Seeded(&mut self.random)).unwrap();
        let terms = CertificateTerms {
            now: self.env.unix_time(),
            lifetime,
            overlap: Duration::ZERO,
        };
        let request = key.signing_request(&id).unwrap();
        let issued = self.authority.issue(&request, &id, &terms).unwrap();
        TlsCredentials::from_der(context, &issued.chain, &key.pkcs8()).unwrap()
    }
}

fn id(account: &str) -> SpiffeId {
    SpiffeId::new("cluster.local", "default", account).unwrap()
}

/// The bytes that a server has received and sent, in order.
#[derive(Clone, Debug, Default)]
struct Recording(Arc<Mutex<Vec<u8>>>);

impl Tap for Recording {
    fn poll_read(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut space = vec![0; buf.remaining()];
        let mut read = ReadBuf::new(&mut space);
        ready!(Pin::new(stream).poll_read(cx, read.unfilled()))?;
        self.0.lock().unwrap().extend_from_slice(read.filled());
        buf.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        stream: &mut impl Stream,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(stream).poll_write(cx, buf))?;
        self.0.lock().unwrap().extend_from_slice(&buf[..written]);
        Poll::Ready(Ok(written))
    }
}

/// What a server has seen of its last session.
type Accepted = Arc<Mutex<Option<Result<(Option<PeerCertificate>, Option<Box<str>>), String>>>>;

/// Starts a server that sends one byte after each handshake.
fn serve(env: &Env, tls: TlsServer) -> (SocketAddr, Accepted, Recording) {
    let (accepted, recording) = (Accepted::default(), Recording::default());
    let (seen, tap) = (Arc::clone(&accepted), recording.clone());
    let address = serve_raw(env, move |stream| {
        let (tls, seen, tap) = (tls.clone(), Arc::clone(&seen), tap.clone());
        async move {
            let stream: BoxStream = Box::new(Tapped { stream, tap });
            match tls.accept(stream).await {
                Ok(session) => {
                    *seen.lock().unwrap() = Some(Ok((session.peer, session.sni)));
                    let mut stream = session.stream;
                    poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, b"!"))
                        .await
                        .unwrap();
                    poll_fn(|cx| Pin::new(&mut stream).poll_flush(cx))
                        .await
                        .unwrap();
                    std::future::pending::<()>().await;
                }
                Err(error) => *seen.lock().unwrap() = Some(Err(error.to_string())),
            }
        }
    });
    (address, accepted, recording)
}

/// Connects, and reads one byte: with TLS 1.3 a client learns only then that its certificate was rejected.
async fn connect(env: &Env, client: &TlsClient, to: SocketAddr) -> io::Result<u8> {
    let mut stream = client.wrap(env.connect(to, None).await?).await?;
    let mut byte = [0; 1];
    let mut buf = ReadBuf::new(&mut byte);
    poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, buf.unfilled())).await?;
    if buf.filled().is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(byte[0])
}

/// A session between `client` and `reviews`. Returns the client's result, the server's view and the bytes on the wire.
struct Session {
    client: io::Result<u8>,
    server: Result<(Option<PeerCertificate>, Option<Box<str>>), String>,
    bytes: Vec<u8>,
}

struct Setup {
    clients: fn(Roots) -> ClientAuth,
    /// The client's lifetime of its certificate; `None` for a client without one.
    certificate: Option<Duration>,
    expects: Vec<Box<str>>,
    alpn: [&'static [&'static [u8]]; 2],
    wait: Duration,
    foreign: bool,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            clients: ClientAuth::Required,
            certificate: Some(HOUR),
            expects: vec![id("reviews").to_string().into()],
            alpn: [
                &[b"istio-http/1.1", b"istio", b"http/1.1"],
                &[b"h2", b"http/1.1"],
            ],
            wait: Duration::ZERO,
            foreign: false,
        }
    }
}

impl Setup {
    async fn session(self, env: &Env) -> Session {
        let mut mesh = Mesh::new(env, 1);
        let context = TlsContext::new(env);
        let own = mesh.credentials(&context, "reviews", 10 * HOUR);
        let clients = (self.clients)(mesh.roots());
        let server = TlsServer::new(&context, &own, clients, self.alpn[1]).unwrap();
        let (address, accepted, recording) = serve(env, server);
        let mut issuer = if self.foreign {
            Mesh::new(env, 2)
        } else {
            Mesh::new(env, 1)
        };
        let of_client = self
            .certificate
            .map(|lifetime| issuer.credentials(&context, "productpage", lifetime));
        env.sleep(self.wait).await;
        let trust = ServerTrust::Listed(mesh.roots(), self.expects);
        let client =
            TlsClient::new(&context, SNI, trust, of_client.as_ref(), self.alpn[0]).unwrap();
        let result = connect(env, &client, address).await;
        env.sleep(Duration::from_secs(1)).await;
        let server = accepted
            .lock()
            .unwrap()
            .take()
            .expect("the server was reached");
        let bytes = recording.0.lock().unwrap().clone();
        Session {
            client: result,
            server,
            bytes,
        }
    }
}

#[test]
fn both_ends_learn_the_identity_of_the_other() {
    run(|env| async move {
        let session = Setup::default().session(&env).await;
        assert_eq!(session.client.unwrap(), b'!');
        let (peer, sni) = session.server.unwrap();
        let peer = peer.expect("the client presented its certificate");
        assert_eq!(peer.uris, [id("productpage").to_string().into_boxed_str()]);
        assert_eq!((&*peer.subject, peer.dns_names.len()), ("", 0));
        assert_eq!(peer.expires, UnixTime::from_nanos(HOUR.as_nanos() as u64));
        assert_eq!(sni.as_deref(), Some(SNI));
    });
}

#[test]
fn the_same_seed_sends_the_same_bytes() {
    let bytes = || {
        let found = Arc::new(Mutex::new(Vec::new()));
        let out = Arc::clone(&found);
        run(|env| async move {
            *out.lock().unwrap() = Setup::default().session(&env).await.bytes;
        });
        let bytes = found.lock().unwrap().clone();
        bytes
    };
    let (one, two) = (bytes(), bytes());
    assert!(one.len() > 1000, "{}", one.len());
    assert_eq!(one, two);
}

#[test]
fn a_server_with_another_identity_is_rejected() {
    run(|env| async move {
        let session = Setup {
            expects: vec![id("ratings").to_string().into()],
            ..Setup::default()
        };
        let error = session.session(&env).await.client.unwrap_err();
        let wanted = CertificateRefusal::Name(vec![id("reviews").to_string()]);
        assert_eq!(refusal(&error), Some(wanted));
    });
}

#[test]
fn a_client_that_expects_no_name_accepts_any_of_its_authorities() {
    run(|env| async move {
        let session = Setup {
            expects: Vec::new(),
            ..Setup::default()
        };
        session.session(&env).await.client.unwrap();
    });
}

#[test]
fn clients_without_a_valid_certificate_are_rejected() {
    run(|env| async move {
        for (setup, wanted) in [
            (
                Setup {
                    certificate: None,
                    ..Setup::default()
                },
                "peer sent no certificates",
            ),
            (
                Setup {
                    foreign: true,
                    ..Setup::default()
                },
                "BadSignature",
            ),
            (
                Setup {
                    wait: 2 * HOUR,
                    ..Setup::default()
                },
                "expired",
            ),
        ] {
            let session = setup.session(&env).await;
            session.client.unwrap_err();
            let why = session.server.unwrap_err();
            assert!(why.contains(wanted), "{why}");
        }
    });
}

#[test]
fn an_optional_certificate_may_be_missing_but_not_invalid() {
    run(|env| async move {
        let setup = || Setup {
            clients: ClientAuth::Optional,
            ..Setup::default()
        };
        let without = Setup {
            certificate: None,
            ..setup()
        }
        .session(&env)
        .await;
        assert_eq!(without.server.unwrap().0, None);
        let invalid = Setup {
            foreign: true,
            ..setup()
        }
        .session(&env)
        .await;
        invalid.server.unwrap_err();
    });
}

#[test]
fn a_session_goes_on_without_alpn_if_both_ends_support_nothing_in_common() {
    run(|env| async move {
        let session = Setup {
            alpn: [&[b"spdy/1"], &[b"h2", b"http/1.1"]],
            ..Setup::default()
        };
        assert_eq!(session.session(&env).await.client.unwrap(), b'!');
    });
}
