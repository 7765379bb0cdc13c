//! Cases of upgraded connections: web sockets.

use shakedown_xds::proto::core::HttpProtocolOptions;
use shakedown_xds::proto::manager::http_connection_manager::UpgradeConfig;
use shakedown_xds::proto::protobuf::BoolValue;
use shakedown_xds::proto::route::RetryPolicy;
use shakedown_xds::proto::route::route_action::UpgradeConfig as OfRoute;

use crate::case::{Case, Xds, get, grpc, host, mesh, raw, xds};
use crate::messages::ms;
use crate::upstream::{Act, Manner, OK, Talk, status};

pub(super) fn cases() -> Vec<Case> {
    let mut all = refused();
    all.extend(agreed());
    all.extend(bounds());
    all
}

const ECHO: Act = Act::Switch(Talk::Echo);
const SILENT: Act = Act::Switch(Talk::Silent);

/// Allows upgrades to web sockets on the listener.
fn allow(x: &mut Xds) {
    x.manager.upgrade_configs = vec![UpgradeConfig {
        upgrade_type: "websocket".into(),
        ..Default::default()
    }];
}

fn of_route(x: &mut Xds, may: bool) {
    x.action().upgrade_configs = vec![OfRoute {
        upgrade_type: "websocket".into(),
        enabled: Some(BoolValue { value: may }),
        ..Default::default()
    }];
}

fn refused() -> Vec<Case> {
    let upgrade_request = |kind: &str| {
        raw(format!(
            "GET / HTTP/1.1\r\nhost: app\r\nconnection: upgrade\r\nupgrade: {kind}\r\n\r\n"
        ))
    };
    vec![
        xds("an upgrade that is not allowed: 403", |_| {})
            .send(upgrade_request("websocket").watch_close())
            .wants("403 -"),
        xds("an upgrade of another kind: 403", allow)
            .send(upgrade_request("foo").watch_close())
            .wants("403 -"),
        xds("an upgrade to h2c is ignored", |_| {})
            .send(upgrade_request("h2c"))
            .wants("200 -"),
        xds("an upgrade that only one header names is none", |_| {})
            .send(get("/").header("upgrade", "websocket"))
            .send(get("/").header("connection", "upgrade"))
            .wants("200 -, 200 -"),
        xds("an upgrade that its route forbids: 403", |x| {
            allow(x);
            of_route(x, false);
        })
        .send(upgrade_request("websocket").watch_close())
        .wants("403 -"),
        xds("an upgrade that is refused, to gRPC", |_| {})
            .send(grpc("/service/method").websocket("", None))
            .wants("200 -"),
        xds("an upgrade without a route: 404", |x| {
            allow(x);
            x.host().routes.clear();
        })
        .send(upgrade_request("websocket").watch_close())
        .wants("404 NR"),
        xds("an upgrade without a host: 503", |x| {
            allow(x);
            x.cluster("app").common_lb_config = super::balancing::panic_at(0.0);
        })
        .empty("app")
        .send(upgrade_request("websocket").watch_close())
        .wants("503 UH"),
        xds("an upgrade that a route answers", |x| {
            allow(x);
            super::local_replies::respond(x, 200, "no");
        })
        .send(upgrade_request("websocket").watch_close())
        .wants("200 -"),
        xds("an upgrade that the app declines", allow)
            .app(&[status(403)])
            .send(upgrade_request("websocket").watch_close())
            .wants("403 -"),
        xds("another protocol that was not requested", allow)
            .app(&[ECHO])
            .get("/")
            .wants("101 -"),
    ]
}

fn agreed() -> Vec<Case> {
    vec![
        mesh("web sockets pass through sidecars")
            .app(&[ECHO])
            .send(get("/chat?x=1").websocket("hello", Some(5)))
            .wants("101 DC"),
        xds("a web socket, both ways", allow)
            .app(&[ECHO, OK])
            .send(get("/chat?x=1").websocket("hello", Some(5)))
            .get("/plain")
            .wants("101 DC, 200 -"),
        xds("a web socket closed by the app", allow)
            .app(&[Act::Switch(Talk::Bye("good bye"))])
            .send(get("/").websocket("hello", None))
            .wants("101 UC"),
        xds("a web socket reset by the app", allow)
            .app(&[Act::Switch(Talk::Reset)])
            .send(get("/").websocket("hello", None))
            .wants("101 UC"),
        xds("a web socket allowed only by its route", |x| {
            of_route(x, true)
        })
        .app(&[ECHO])
        .send(get("/").websocket("hello", Some(5)))
        .wants("101 DC"),
        xds("a web socket after another try", |x| {
            allow(x);
            x.action().retry_policy = Some(RetryPolicy {
                retry_on: "5xx".into(),
                ..Default::default()
            });
        })
        .app(&[status(503), ECHO])
        .send(get("/").websocket("hello", Some(5)))
        .wants("101 DC"),
        xds("a web socket after a refused connect", |x| {
            allow(x);
            x.action().retry_policy = Some(RetryPolicy {
                retry_on: "connect-failure".into(),
                ..Default::default()
            });
        })
        .host(host("a").is(Manner::Refuses))
        .send(get("/").websocket("hello", Some(5)))
        .wants("503 URX,UF"),
        xds("a web socket with many bytes", allow)
            .app(&[ECHO])
            .send(get("/").websocket(LONG, Some(LONG.len())))
            .wants("101 DC"),
        xds("a web socket to an app of HTTP/2", |x| {
            allow(x);
            super::http2::speak_http2(x);
        })
        .host(host("a").is(Manner::Http2))
        .send(get("/").websocket("hello", Some(5)).watch_close())
        .wants("502 UPE"),
        xds("web sockets count against the breaker", |x| {
            allow(x);
            x.cluster("app").circuit_breakers = super::breakers::requests(1);
        })
        .app(&[Act::Switch(Talk::Bye("x")), OK])
        .together(vec![
            get("/").websocket("", None).leaves_after(400),
            get("/plain").after(150),
        ])
        .pause(300)
        .get("/plain")
        .wants("0 DC, 503 UO, 200 -"),
    ]
}

/// A text longer than the buffer of one direction.
const LONG: &str = match std::str::from_utf8(&[b'x'; 100_000]) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

fn bounds() -> Vec<Case> {
    vec![
        xds("an idle web socket", |x| {
            allow(x);
            x.manager.stream_idle_timeout = ms(200);
        })
        .app(&[SILENT])
        .send(get("/").websocket("hello", None))
        .wants("101 SI"),
        xds("a route's timeout does not bound a web socket", |x| {
            allow(x);
            x.action().timeout = ms(150);
            x.manager.stream_idle_timeout = ms(400);
        })
        .app(&[Act::Late(50, &SILENT)])
        .send(get("/").websocket("hello", None))
        .wants("101 SI"),
        xds(
            "a route's timeout limits the response of a web socket",
            |x| {
                allow(x);
                x.action().timeout = ms(100);
            },
        )
        .app(&[Act::Late(250, &ECHO)])
        .send(get("/").websocket("hello", Some(5)).watch_close())
        .wants("504 UT"),
        xds(
            "a per-try timeout limits the response of a web socket",
            |x| {
                allow(x);
                x.action().retry_policy = Some(RetryPolicy {
                    retry_on: "5xx".into(),
                    per_try_timeout: ms(100),
                    ..Default::default()
                });
            },
        )
        .app(&[Act::Late(250, &ECHO), ECHO])
        .send(get("/").websocket("hello", Some(5)))
        .wants("101 DC"),
        xds(
            "a route's timeout does not bound the answer of another upgrade",
            |x| {
                x.manager.upgrade_configs = vec![UpgradeConfig {
                    upgrade_type: "foo".into(),
                    ..Default::default()
                }];
                x.action().timeout = ms(100);
                x.manager.stream_idle_timeout = ms(300);
            },
        )
        .app(&[Act::Hang])
        .send(
            raw("GET / HTTP/1.1\r\nhost: app\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\n")
                .watch_close(),
        )
        .wants("408 SI"),
        xds("a web socket that is refused in time, slowly", |x| {
            allow(x);
            x.action().timeout = ms(200);
        })
        .app(&[Act::Stall(
            "HTTP/1.1 404 Not Found\r\ncontent-length: 10\r\n\r\npart",
        )])
        .send(get("/").websocket("", None))
        .wants("404 UT"),
        xds("an upgrade that is not answered is idle", |x| {
            allow(x);
            x.action().timeout = ms(0);
            x.manager.stream_idle_timeout = ms(300);
        })
        .app(&[Act::Hang])
        .send(get("/").websocket("", None).watch_close())
        .wants("408 SI"),
        xds("maximum duration of a web socket", |x| {
            allow(x);
            x.manager.common_http_protocol_options = Some(HttpProtocolOptions {
                max_stream_duration: ms(300),
                ..Default::default()
            });
        })
        .app(&[SILENT])
        .send(get("/").websocket("hello", None))
        .wants("101 -"),
    ]
}
