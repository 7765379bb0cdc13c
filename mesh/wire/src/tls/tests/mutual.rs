//! Mutual TLS between workloads, with certificates of an authority for SPIFFE identities.

use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read as _, ReadBuf, Write as _};
use rand::SeedableRng as _;
use shakedown_env::{BoxStream, Env, Stream, Tap, Tapped, UnixTime};
use shakedown_identity::{CertificateAuthority, CertificateTerms, PrivateKey};
use shakedown_types::SpiffeId;

use super::super::*;
use crate::scene::{run, serve_raw};

const MINUTE: Duration = Duration::from_secs(60);
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
        let key = PrivateKey::generate(Some(&mut self.random)).unwrap();
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

/// The bytes that both ends of a connection have written, in order.
#[derive(Clone, Debug, Default)]
struct Recording(Arc<Mutex<Vec<u8>>>);

impl Tap for Recording {
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

    fn poll_written(
        &mut self,
        _stream: &mut impl Stream,
        _cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        // Vectored writes become single ones, which are recorded.
        Poll::Ready(Ok(false))
    }
}

impl Recording {
    fn of(&self, stream: BoxStream) -> BoxStream {
        Box::new(Tapped {
            stream,
            tap: self.clone(),
        })
    }
}

/// The client as the server knows it after the handshake.
#[derive(Debug)]
struct KnownClient {
    certificate: Option<PeerCertificate>,
    sni: Option<Box<str>>,
}

/// The result of a server's last handshake; `None` before the first.
type Handshake = Arc<Mutex<Option<Result<KnownClient, String>>>>;

/// Starts a server that sends one byte after each handshake.
fn serve(env: &Env, tls: TlsServer, recording: &Recording) -> (SocketAddr, Handshake) {
    let handshake = Handshake::default();
    let (result, tap) = (Arc::clone(&handshake), recording.clone());
    let address = serve_raw(env, move |stream| {
        let (tls, result, stream) = (tls.clone(), Arc::clone(&result), tap.of(stream));
        async move {
            let accepted = tls.accept(stream).await.map_err(|error| error.to_string());
            let (client, stream) = match accepted {
                Ok(session) => {
                    let client = KnownClient {
                        certificate: session.client.certificate,
                        sni: session.client.server_name,
                    };
                    (Ok(client), Some(session.stream))
                }
                Err(error) => (Err(error), None),
            };
            *result.lock().unwrap() = Some(client);
            let Some(mut stream) = stream else { return };
            poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, b"!"))
                .await
                .unwrap();
            poll_fn(|cx| Pin::new(&mut stream).poll_flush(cx))
                .await
                .unwrap();
            pending::<()>().await;
        }
    });
    (address, handshake)
}

/// Performs the handshake and reads one byte, because with TLS 1.3 a client learns only then that its certificate was
/// rejected.
async fn read_byte(client: &TlsClient, stream: BoxStream) -> io::Result<u8> {
    let mut stream = client.wrap(stream).await?;
    let mut byte = [0; 1];
    let mut buf = ReadBuf::new(&mut byte);
    poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, buf.unfilled())).await?;
    if buf.filled().is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(byte[0])
}

/// The outcome of a session between `productpage`, the client, and `reviews`.
struct Session {
    client: io::Result<u8>,
    server: Result<KnownClient, String>,
    bytes: Vec<u8>,
}

/// The settings of a session.
struct Setup {
    clients: fn(Roots) -> ClientAuth,
    /// The lifetime of the client's certificate; `None` for a client without one.
    certificate: Option<Duration>,
    /// The names that the client accepts.
    names: Vec<Box<str>>,
    /// The time between the issue of the certificates and the connection.
    wait: Duration,
    /// True if another authority has issued the client's certificate.
    foreign: bool,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            clients: ClientAuth::Required,
            certificate: Some(MINUTE),
            names: vec![id("reviews").to_string().into()],
            wait: Duration::ZERO,
            foreign: false,
        }
    }
}

impl Setup {
    async fn session(self, env: &Env) -> Session {
        let mut mesh = Mesh::new(env, 1);
        let context = TlsContext::new(env);
        let own = mesh.credentials(&context, "reviews", 10 * MINUTE);
        let clients = (self.clients)(mesh.roots());
        let server = TlsServer::new(&context, &own, clients, &[b"h2", b"http/1.1"]).unwrap();
        let recording = Recording::default();
        let (address, handshake) = serve(env, server, &recording);
        let mut issuer = Mesh::new(env, if self.foreign { 2 } else { 1 });
        let of_client = self
            .certificate
            .map(|lifetime| issuer.credentials(&context, "productpage", lifetime));
        env.sleep(self.wait).await;
        let trust = ServerTrust::Listed(mesh.roots(), self.names);
        let alpn = [&b"istio-http/1.1"[..], b"istio", b"http/1.1"];
        let client = TlsClient::new(&context, SNI, trust, of_client.as_ref(), &alpn).unwrap();
        let stream = env.connect(address, None).await.unwrap();
        let client = read_byte(&client, recording.of(stream)).await;
        env.sleep(Duration::from_secs(1)).await;
        let server = handshake.lock().unwrap().take();
        let bytes = recording.0.lock().unwrap().clone();
        Session {
            client,
            server: server.expect("the server was reached"),
            bytes,
        }
    }
}

#[test]
fn both_ends_learn_the_identity_of_the_other() {
    run(|env| async move {
        let session = Setup::default().session(&env).await;
        assert_eq!(session.client.unwrap(), b'!');
        let client = session.server.unwrap();
        let peer = client.certificate.expect("the client presented it");
        assert_eq!(peer.uris, [id("productpage").to_string().into_boxed_str()]);
        assert_eq!((&*peer.subject, peer.dns_names.len()), ("", 0));
        assert_eq!(peer.expires, UnixTime::from_timestamp(60));
        assert_eq!(client.sni.as_deref(), Some(SNI));
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
        std::mem::take(&mut *found.lock().unwrap())
    };
    let (one, two) = (bytes(), bytes());
    assert!(one.len() > 1000, "{}", one.len());
    assert_eq!(one, two);
}

#[test]
fn a_server_with_another_identity_is_rejected() {
    run(|env| async move {
        let session = Setup {
            names: vec![id("ratings").to_string().into()],
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
            names: Vec::new(),
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
                    wait: 2 * MINUTE,
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
        assert_eq!(without.server.unwrap().certificate, None);
        let invalid = Setup {
            foreign: true,
            ..setup()
        }
        .session(&env)
        .await;
        invalid.server.unwrap_err();
    });
}
