//! Tests of TLS between proxies: which connections are encrypted, who is accepted, and what the application sees.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use shakedown_env::Rng;
use shakedown_identity::{AuthorityFiles, CertificateAuthority, CertificateTerms, PrivateKey};
use shakedown_types::{ResponseFlags, SpiffeId};
use shakedown_xds::table::{
    Assignment, ClientCertificateHeader, ClientCertificates, Cluster, ClusterKind, DownstreamTls,
    ForwardClientCert, Host, ListenerTls, RouteActionKind, Table, UpstreamProtocol, UpstreamTls,
    UpstreamTransport, UpstreamTrust,
};

use super::scene::*;
use crate::Secrets;

const SERVER: &str = "spiffe://cluster.local/ns/default/sa/reviews";
const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/productpage";
const APP: &str = "inbound|9080||";
const SNI: &str = "outbound_.9080_._.reviews.default.svc.cluster.local";

/// A certificate authority that knows the keys of its clients.
struct Authority {
    files: AuthorityFiles,
    authority: CertificateAuthority,
    random: RefCell<Rng>,
}

impl Authority {
    fn new(scene: &Scene) -> Authority {
        Authority::with_keys(scene, "authority")
    }

    /// An authority whose keys are drawn from the random stream of this label.
    fn with_keys(scene: &Scene, label: &str) -> Authority {
        let env = scene.env(CONTROL);
        let mut random = env.seeded_secrets(label).unwrap();
        let now = env.unix_time();
        let files =
            CertificateAuthority::generate("cluster.local", now, Some(&mut random)).unwrap();
        Authority {
            authority: CertificateAuthority::from_files(&files).unwrap(),
            files,
            random: RefCell::new(random),
        }
    }

    /// The secrets of a host with this identity.
    fn secrets(&self, scene: &Scene, host: &str, id: &str) -> Secrets {
        let secrets = Secrets::new(scene.env(host));
        self.renew(scene, &secrets, id, Duration::from_secs(60));
        let roots = self.files.root_cert.as_bytes();
        secrets.set_roots("ROOTCA", roots).unwrap();
        secrets
    }

    /// Issues a certificate with a new key.
    fn renew(&self, scene: &Scene, secrets: &Secrets, id: &str, lifetime: Duration) {
        let key = PrivateKey::generate(Some(&mut *self.random.borrow_mut())).unwrap();
        let id: SpiffeId = id.parse().unwrap();
        let terms = CertificateTerms {
            now: scene.env(CONTROL).unix_time(),
            lifetime,
            overlap: Duration::ZERO,
        };
        let request = key.signing_request(&id).unwrap();
        let issued = self.authority.issue(&request, &id, &terms).unwrap();
        let (chain, key) = (issued.pem(), key.pem());
        secrets
            .set_certificate("default", chain.as_bytes(), key.as_bytes())
            .unwrap();
    }
}

fn names(all: &[&str]) -> Vec<Box<[u8]>> {
    all.iter().map(|name| name.as_bytes().into()).collect()
}

/// The server's side in Istio's mode STRICT or PERMISSIVE.
fn downstream() -> Arc<DownstreamTls> {
    Arc::new(DownstreamTls {
        certificate: "default".into(),
        client: ClientCertificates::Required("ROOTCA".into()),
        alpn: names(&["h2", "http/1.1"]),
        offered: names(&["istio", "istio-http/1.1", "istio-h2"]),
        handshake_timeout: Duration::from_secs(15),
    })
}

/// The client's side, which accepts the identity `server`.
fn upstream(server: &str) -> Arc<UpstreamTls> {
    Arc::new(UpstreamTls {
        sni: Some(SNI.into()),
        certificate: Some("default".into()),
        trust: UpstreamTrust::Roots {
            roots: "ROOTCA".into(),
            names: vec![server.into()],
        },
        alpn: names(&["istio-h2", "istio-http/1.1", "istio", "h2", "http/1.1"]),
    })
}

/// The proxy of the service `reviews`, whose app answers with its pod's name and records the headers that it receives.
fn serve(scene: &Scene, tls: ListenerTls, secrets: Secrets) -> Rc<RefCell<Vec<HeaderMap>>> {
    let received = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&received);
    scene.serve(UP1, 20000, move |request| {
        log.borrow_mut().push(request.headers().clone());
        async { reply(200, "reviews") }
    });
    let mut table = with_inbound(
        Table::default(),
        9080,
        to(APP),
        cluster(APP, &[at(UP1, 20000)]),
    );
    for listener in table.listeners.values_mut() {
        let listener = Arc::make_mut(listener);
        (listener.address, listener.tls) = (at(UP1, 9080), tls.clone());
        listener.manager.client_certificate_header = ClientCertificateHeader {
            mode: ForwardClientCert::AppendForward,
            subject: true,
            dns: true,
            uri: true,
        };
    }
    scene.secured_proxy_at(UP1, table, secrets);
    received
}

/// The callers' table: one cluster with the service's proxy, which accepts the mesh's TLS if `mesh_tls`.
fn calls(transport: UpstreamTransport, mesh_tls: bool, protocol: UpstreamProtocol) -> Table {
    let host = Host {
        mesh_tls,
        ..Host::new(at(UP1, 9080))
    };
    let cluster = Cluster {
        kind: ClusterKind::Static(Arc::new(Assignment::new(REVIEWS, vec![host]))),
        transport,
        protocol,
        ..cluster(REVIEWS, &[])
    };
    outbound(RouteActionKind::Forward(to(REVIEWS)), vec![cluster])
}

fn mesh(server: &str) -> Table {
    let transport = UpstreamTransport::MeshOnly(upstream(server));
    calls(transport, true, UpstreamProtocol::Http1)
}

/// The headers of the only request that an app has received.
fn only(received: &RefCell<Vec<HeaderMap>>) -> HeaderMap {
    let [headers] = &received.borrow()[..] else {
        panic!("{received:?}");
    };
    headers.clone()
}

#[test]
fn mutual_tls_reports_the_callers_identity_to_the_app() {
    for protocol in [
        UpstreamProtocol::Http1,
        UpstreamProtocol::Http2 {
            max_concurrent_streams: 10,
        },
    ] {
        play(|scene| async move {
            let authority = Authority::new(&scene);
            let strict = ListenerTls::Strict(downstream());
            let received = serve(&scene, strict, authority.secrets(&scene, UP1, SERVER));
            let transport = UpstreamTransport::MeshOnly(upstream(SERVER));
            let secrets = authority.secrets(&scene, POD, CLIENT);
            scene.secured_proxy_at(POD, calls(transport, true, protocol), secrets);
            scene.env(CALLER).sleep(ms(1)).await;
            assert_eq!(scene.get("/").await.body, "reviews");
            let headers = only(&received);
            let named = headers["x-forwarded-client-cert"].to_str().unwrap();
            assert!(named.starts_with(&format!("By={SERVER};Hash=")), "{named}");
            assert!(
                named.ends_with(&format!(";Subject=\"\";URI={CLIENT}")),
                "{named}"
            );
        });
    }
}

#[test]
fn a_strict_port_refuses_plain_text_and_a_permissive_one_serves_both() {
    for (tls, mesh_tls, status) in [
        (ListenerTls::Strict(downstream()), false, 503),
        (ListenerTls::Permissive(downstream()), false, 200),
        (ListenerTls::Permissive(downstream()), true, 200),
        (ListenerTls::Plaintext, false, 200),
        (ListenerTls::Plaintext, true, 503),
    ] {
        play(|scene| async move {
            let authority = Authority::new(&scene);
            let received = serve(&scene, tls, authority.secrets(&scene, UP1, SERVER));
            let transport = UpstreamTransport::MeshOnly(upstream(SERVER));
            let table = calls(transport, mesh_tls, UpstreamProtocol::Http1);
            scene.secured_proxy_at(POD, table, authority.secrets(&scene, POD, CLIENT));
            scene.env(CALLER).sleep(ms(1)).await;
            assert_eq!(scene.get("/").await.status, status);
            assert_eq!(received.borrow().len(), usize::from(status == 200));
            if status == 200 {
                let encrypted = only(&received).contains_key("x-forwarded-client-cert");
                assert_eq!(encrypted, mesh_tls);
            }
        });
    }
}

#[test]
fn a_permissive_port_ends_tls_only_for_the_protocols_of_the_mesh() {
    play(|scene| async move {
        let authority = Authority::new(&scene);
        let permissive = ListenerTls::Permissive(downstream());
        let received = serve(&scene, permissive, authority.secrets(&scene, UP1, SERVER));
        let mut plain_alpn = UpstreamTls::clone(&upstream(SERVER));
        plain_alpn.alpn = names(&["http/1.1"]);
        let transport = UpstreamTransport::Tls(Arc::new(plain_alpn));
        let table = calls(transport, true, UpstreamProtocol::Http1);
        scene.secured_proxy_at(POD, table, authority.secrets(&scene, POD, CLIENT));
        scene.env(CALLER).sleep(ms(1)).await;
        assert_eq!(scene.get("/").await.status, 503);
        assert!(received.borrow().is_empty());
    });
}

#[test]
fn a_server_with_another_identity_gets_no_request() {
    play(|scene| async move {
        let authority = Authority::new(&scene);
        let strict = ListenerTls::Strict(downstream());
        let received = serve(&scene, strict, authority.secrets(&scene, UP1, SERVER));
        scene.secured_proxy_at(
            POD,
            mesh("spiffe://cluster.local/ns/default/sa/ratings"),
            authority.secrets(&scene, POD, CLIENT),
        );
        scene.env(CALLER).sleep(ms(1)).await;
        assert_eq!(scene.get("/").await.status, 503);
        let request = scene.requests().pop().unwrap();
        assert_eq!(request.flags, ResponseFlags::UF);
        assert!(received.borrow().is_empty());
    });
}

#[test]
fn a_client_of_another_authority_is_refused() {
    play(|scene| async move {
        let ours = Authority::new(&scene);
        let foreign = Authority::with_keys(&scene, "foreign");
        let strict = ListenerTls::Strict(downstream());
        let received = serve(&scene, strict, ours.secrets(&scene, UP1, SERVER));
        let secrets = foreign.secrets(&scene, POD, CLIENT);
        secrets
            .set_roots("ROOTCA", ours.files.root_cert.as_bytes())
            .unwrap();
        scene.secured_proxy_at(POD, mesh(SERVER), secrets);
        scene.env(CALLER).sleep(ms(1)).await;
        assert_eq!(scene.get("/").await.status, 503);
        assert!(received.borrow().is_empty());
    });
}

#[test]
fn a_proxy_serves_and_sends_nothing_without_its_secrets() {
    play(|scene| async move {
        let authority = Authority::new(&scene);
        let (server, client) = (Secrets::new(scene.env(UP1)), Secrets::new(scene.env(POD)));
        let strict = ListenerTls::Strict(downstream());
        let received = serve(&scene, strict, server.clone());
        scene.secured_proxy_at(POD, mesh(SERVER), client.clone());
        scene.env(CALLER).sleep(ms(1)).await;
        assert_eq!(scene.get("/").await.status, 503);
        authority.renew(&scene, &client, CLIENT, Duration::from_secs(60));
        client
            .set_roots("ROOTCA", authority.files.root_cert.as_bytes())
            .unwrap();
        assert_eq!(scene.get("/").await.status, 503);
        assert!(received.borrow().is_empty());
        authority.renew(&scene, &server, SERVER, Duration::from_secs(60));
        server
            .set_roots("ROOTCA", authority.files.root_cert.as_bytes())
            .unwrap();
        assert_eq!(scene.get("/").await.status, 200);
    });
}

#[test]
fn connections_outlive_a_certificate_but_new_ones_need_a_valid_one() {
    play(|scene| async move {
        let authority = Authority::new(&scene);
        let strict = ListenerTls::Strict(downstream());
        serve(&scene, strict, authority.secrets(&scene, UP1, SERVER));
        let client = authority.secrets(&scene, POD, CLIENT);
        authority.renew(&scene, &client, CLIENT, Duration::from_secs(5));
        let proxy = scene.secured_proxy_at(POD, mesh(SERVER), client.clone());
        scene.env(CALLER).sleep(ms(1)).await;
        assert_eq!(scene.get("/").await.status, 200);
        scene.env(CALLER).sleep(ms(10_000)).await;
        // The connection has been open since the certificate was valid.
        assert_eq!(scene.get("/").await.status, 200);
        let upstream = proxy.shared.state.upstream(REVIEWS).unwrap();
        upstream.hosts()[0].pool().close_idle();
        scene.env(CALLER).sleep(ms(10)).await;
        assert_eq!(scene.get("/").await.status, 503);
        authority.renew(&scene, &client, CLIENT, Duration::from_secs(20));
        assert_eq!(scene.get("/").await.status, 200);
    });
}
