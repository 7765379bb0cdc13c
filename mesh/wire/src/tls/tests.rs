//! A client with a TLS server in the simulator, whose clock is used to check the validity of certificates.

use std::net::SocketAddr;
use std::rc::Rc;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use shakedown_env::Env;

use super::*;
use crate::scene::{ServerLog, answer, fetch, get, ms, pool, post, run, serve_raw};
use crate::{Pool, PoolOptions, SendError, ServerOptions, serve_http1};

mod mutual;

const NAME: &str = "shop.example";

/// Returns a self-signed certificate that is valid from a year on, and its key.
fn certificate(from_year: i32) -> (rcgen::Certificate, KeyPair) {
    certificate_for(from_year, None)
}

/// Like [`certificate`], but valid for this many seconds of its first year if given.
fn certificate_for(from_year: i32, seconds: Option<u64>) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.not_before = date_time_ymd(from_year, 1, 1);
    if let Some(seconds) = seconds {
        params.not_after = params.not_before + std::time::Duration::from_secs(seconds);
    }
    (params.self_signed(&key).unwrap(), key)
}

/// Starts a server that responds to every request, and returns the authority that signed its certificate.
fn serve_tls(env: &Env, from_year: i32, alpn: &[&[u8]]) -> (SocketAddr, Roots) {
    serve_with(env, certificate(from_year), alpn)
}

fn serve_with(
    env: &Env,
    (certificate, key): (rcgen::Certificate, KeyPair),
    alpn: &[&[u8]],
) -> (SocketAddr, Roots) {
    let mut roots = Roots::none();
    assert_eq!(roots.add_pem(certificate.pem().as_bytes()).unwrap(), 1);
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    let context = TlsContext::new(env);
    let credentials =
        TlsCredentials::from_pem(&context, certificate.as_bytes(), key.as_bytes()).unwrap();
    let tls = TlsServer::new(&context, &credentials, ClientAuth::None, alpn).unwrap();
    let own = env.clone();
    let address = serve_raw(env, move |stream| {
        let (env, tls) = (own.clone(), tls.clone());
        async move {
            // A client that rejects the certificate ends the handshake.
            let Ok(session) = tls.accept(stream).await else {
                return;
            };
            let seen = Rc::<ServerLog>::default();
            let service = |request| answer(env.clone(), Rc::clone(&seen), request);
            // The client checks the result of a connection.
            let _ended =
                serve_http1(&env, session.stream, &ServerOptions::default(), service).await;
        }
    });
    (address, roots)
}

fn client(
    env: &Env,
    server: &str,
    trust: ServerTrust,
    alpn: &[&[u8]],
) -> Result<TlsClient, TlsError> {
    TlsClient::new(&TlsContext::new(env), server, trust, None, alpn)
}

fn pool_of(env: &Env, address: SocketAddr, server: &str, trust: ServerTrust) -> Pool {
    let tls = client(env, server, trust, &[b"http/1.1"]).unwrap();
    let options = PoolOptions {
        tls: Some(SharedTlsClient::new(tls)),
        connect_timeout: ms(5000),
        ..PoolOptions::default()
    };
    pool(env, address, options)
}

/// Sends a pool's first request, and returns the reason for which the certificate was rejected.
async fn refused(pool: &Pool) -> CertificateRefusal {
    match pool.send(get("/")).await {
        Err(SendError::Handshake(error)) => {
            // The pool returns copies of the error, which contain only its text.
            assert!(
                error.to_string().contains("invalid peer certificate"),
                "{error}"
            );
            refusal(&error).unwrap_or_else(|| CertificateRefusal::Other(error.to_string()))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pool_speaks_tls_to_a_server_that_its_roots_vouch_for() {
    run(|env| async move {
        let (address, roots) = serve_tls(&env, 1970, &[b"http/1.1"]);
        let pool = pool_of(&env, address, NAME, ServerTrust::Roots(roots));
        assert_eq!(fetch(&pool, get("/size/1000000")).await.len(), 1_000_000);
        let body = vec![b'y'; 100_000];
        assert_eq!(fetch(&pool, post("/echo", body.clone())).await, body);
        assert_eq!((pool.connections(), pool.idle()), (1, 1));
    });
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    run(|env| async move {
        let (address, _roots) = serve_tls(&env, 1970, &[]);
        let (other, _key) = certificate(1970);
        let mut roots = Roots::none();
        roots.add_der(other.der()).unwrap();
        let tls = client(&env, NAME, ServerTrust::Roots(roots), &[]).unwrap();
        let stream = env.connect(address, None).await.unwrap();
        let error = tls.wrap(stream).await.err().expect("it is refused");
        // A certificate with another key under the same name has an invalid signature.
        assert!(refusal(&error).is_some(), "{error}");
    });
}

#[test]
fn a_certificate_of_another_name_is_refused_and_told() {
    run(|env| async move {
        let (address, roots) = serve_tls(&env, 1970, &[]);
        let tls = client(&env, "other.example", ServerTrust::Roots(roots), &[]).unwrap();
        let stream = env.connect(address, None).await.unwrap();
        let error = tls.wrap(stream).await.err().expect("it is refused");
        let reason = refusal(&error).expect("the certificate is the reason");
        assert!(reason.to_string().contains(NAME), "{reason}");
    });
}

/// Returns a certificate as created by `openssl req -x509`: an authority that has signed itself.
fn self_signed(from_year: i32) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.not_before = date_time_ymd(from_year, 1, 1);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    (params.self_signed(&key).unwrap(), key)
}

#[test]
fn a_self_signed_certificate_given_by_file_vouches_for_itself() {
    run(|env| async move {
        let (address, roots) = serve_with(&env, self_signed(1970), &[b"http/1.1"]);
        let pool = pool_of(&env, address, NAME, ServerTrust::Roots(roots));
        assert_eq!(fetch(&pool, get("/size/5")).await, "xxxxx");
    });
}

#[test]
fn a_self_signed_certificate_is_still_checked_for_name_and_time() {
    run(|env| async move {
        let why = async |made, server: &str, other: Option<Roots>| {
            let (address, roots) = serve_with(&env, made, &[]);
            let trust = ServerTrust::Roots(other.unwrap_or(roots));
            let tls = client(&env, server, trust, &[]).unwrap();
            let stream = env.connect(address, None).await.unwrap();
            refusal(&tls.wrap(stream).await.err().expect("it is refused")).unwrap()
        };
        let CertificateRefusal::Name(names) = why(self_signed(1970), "other.example", None).await
        else {
            panic!("it is the name");
        };
        assert!(names.is_empty() || names[0].contains(NAME), "{names:?}");
        assert_eq!(
            why(self_signed(1975), NAME, None).await,
            CertificateRefusal::NotYetValid
        );
        // Another certificate of the same name is not the one that was added.
        let mut roots = Roots::none();
        roots.add_pem(self_signed(1970).0.pem().as_bytes()).unwrap();
        let reason = why(self_signed(1970), NAME, Some(roots)).await;
        assert_eq!(reason, CertificateRefusal::Authority);
        assert!(reason.to_string().contains("self-signed"), "{reason}");
    });
}

#[test]
fn http2_that_alpn_does_not_agree_on_is_refused() {
    run(|env| async move {
        for alpn in [&[][..], &[&b"http/1.1"[..]][..]] {
            let (address, roots) = serve_tls(&env, 1970, alpn);
            let tls = client(&env, NAME, ServerTrust::Roots(roots), &[b"h2"]).unwrap();
            let stream = env.connect(address, None).await.unwrap();
            let error = tls.wrap(stream).await.err().expect("it is refused");
            assert!(lacks_http2(&error), "{error}");
        }
    });
}

#[test]
fn a_certificate_is_held_against_the_clock_of_its_world() {
    run(|env| async move {
        // The simulator's clock starts in 1970.
        let (address, roots) = serve_tls(&env, 1975, &[]);
        let pool = pool_of(&env, address, NAME, ServerTrust::Roots(roots));
        let reason = refused(&pool).await.to_string();
        assert!(reason.contains("not valid yet"), "{reason}");
    });
}

#[test]
fn why_a_certificate_is_refused_is_told_apart() {
    run(|env| async move {
        let why = async |from_year, seconds, server: &str| {
            let certificate = certificate_for(from_year, seconds);
            let (address, roots) = serve_with(&env, certificate, &[]);
            let tls = client(&env, server, ServerTrust::Roots(roots), &[]).unwrap();
            let stream = env.connect(address, None).await.unwrap();
            refusal(&tls.wrap(stream).await.err().expect("it is refused")).unwrap()
        };
        env.sleep(ms(20_000)).await;
        assert_eq!(why(1970, Some(10), NAME).await, CertificateRefusal::Expired);
        assert_eq!(why(1975, None, NAME).await, CertificateRefusal::NotYetValid);
        let CertificateRefusal::Name(names) = why(1970, None, "other.example").await else {
            panic!("it is the name");
        };
        assert!(names[0].contains(NAME), "{names:?}");
    });
}

#[test]
fn a_client_that_trusts_anyone_asks_for_no_name_and_no_time() {
    run(|env| async move {
        let (address, _roots) = serve_tls(&env, 1975, &[]);
        let pool = pool_of(&env, address, "other.example", ServerTrust::Anyone);
        assert_eq!(fetch(&pool, get("/size/5")).await, "xxxxx");
    });
}

#[test]
fn a_server_that_never_shakes_hands_is_given_up_in_time() {
    run(|env| async move {
        let address = serve_raw(&env, |stream| async move {
            let _held = stream;
            std::future::pending::<()>().await;
        });
        let pool = pool_of(&env, address, NAME, ServerTrust::Anyone);
        let began = env.now();
        let error = pool.send(get("/")).await.unwrap_err();
        assert!(matches!(error, SendError::ConnectTimeout), "{error}");
        assert_eq!(env.now().since(began), ms(5000));
    });
}

#[test]
fn a_server_that_knows_none_of_the_clients_protocols_ends_the_handshake() {
    run(|env| async move {
        let (address, roots) = serve_tls(&env, 1970, &[b"h2"]);
        let pool = pool_of(&env, address, NAME, ServerTrust::Roots(roots));
        let error = pool.send(get("/size/1")).await.unwrap_err();
        assert!(matches!(error, SendError::Handshake(_)), "{error}");
    });
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    run(|env| async move {
        let ((one, _), (_, other)) = (certificate(1970), certificate(1970));
        let (one, other) = (one.pem(), other.serialize_pem());
        let context = TlsContext::new(&env);
        let made = TlsCredentials::from_pem(&context, one.as_bytes(), other.as_bytes());
        assert!(matches!(made.unwrap_err(), TlsError::Key(_)));
    });
}

#[test]
fn what_is_no_certificate_and_no_name_is_refused() {
    let mut roots = Roots::none();
    assert!(matches!(
        roots.add_pem(b"hello").unwrap_err(),
        TlsError::NoCertificate
    ));
    let broken = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    assert!(matches!(
        roots.add_pem(broken).unwrap_err(),
        TlsError::Certificate(_)
    ));
    assert!(roots.is_empty());
    run(|env| async move {
        let made = client(&env, "not a name", ServerTrust::Anyone, &[]);
        assert!(matches!(made.unwrap_err(), TlsError::ServerName(_)));
    });
}
