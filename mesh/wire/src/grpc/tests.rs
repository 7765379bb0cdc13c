//! tonic's client and server over this crate's connections, with a codec of plain bytes.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use futures_util::stream::{self, BoxStream as FutureStream, StreamExt};
use http::uri::PathAndQuery;
use shakedown_env::Env;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::server::StreamingService;
use tonic::{Request, Response, Status};
use tower_service::Service;

use super::*;
use crate::scene::frames::hello;
use crate::scene::{ANY, ms, run, run_real, serve_raw, serve_raw_at, write};

mod flood;

/// A codec that passes bytes through.
#[derive(Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Plain;
    type Decoder = Plain;

    fn encoder(&mut self) -> Plain {
        Plain
    }

    fn decoder(&mut self) -> Plain {
        Plain
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Counts open streams.
#[derive(Clone, Default)]
struct Open(Arc<AtomicUsize>);

struct Held(Open);

impl Held {
    fn new(open: &Open) -> Held {
        open.0.fetch_add(1, Ordering::SeqCst);
        Held(open.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `/echo` sends every message back. `/refuse` sends none. `/silent` neither responds nor ends.
#[derive(Clone, Default)]
struct Echo {
    open: Open,
}

impl Service<http::Request<tonic::body::Body>> for Echo {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let method = Method {
            path: request.uri().path().to_owned(),
            open: self.open.clone(),
        };
        Box::pin(async move {
            Ok(tonic::server::Grpc::new(Plain)
                .streaming(method, request)
                .await)
        })
    }
}

struct Method {
    path: String,
    open: Open,
}

impl StreamingService<Bytes> for Method {
    type Response = Bytes;
    type ResponseStream = FutureStream<'static, Result<Bytes, Status>>;
    type Future =
        Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let held = Held::new(&self.open);
        let path = self.path.clone();
        Box::pin(async move {
            match path.as_str() {
                "/echo" => {
                    let messages = request.into_inner().map(move |message| {
                        let _ = &held;
                        message
                    });
                    Ok(Response::new(messages.boxed()))
                }
                "/refuse" => Err(Status::not_found("no such thing")),
                _ => {
                    std::future::pending::<()>().await;
                    drop(held);
                    Err(Status::cancelled("unreachable"))
                }
            }
        })
    }
}

fn serve(env: &Env, options: &H2Options) -> (SocketAddr, Open) {
    serve_at(env, ANY, options)
}

fn serve_at(env: &Env, any: SocketAddr, options: &H2Options) -> (SocketAddr, Open) {
    let echo = Echo::default();
    let open = echo.open.clone();
    let (own, options) = (env.clone(), options.clone());
    let addr = serve_raw_at(env, any, move |stream| {
        let (env, options, echo) = (own.clone(), options.clone(), echo.clone());
        async move {
            let _ = serve_h2(&env, stream, &options, echo).await;
        }
    });
    (addr, open)
}

async fn connect(env: &Env, to: SocketAddr) -> Channel {
    connect_h2(env, to, None, &H2Options::default())
        .await
        .unwrap()
}

async fn until_closed(env: &Env, channel: &Channel) {
    while !channel.is_closed() {
        env.sleep(ms(1)).await;
    }
}

async fn call(
    channel: &Channel,
    path: &'static str,
    messages: impl futures_util::Stream<Item = Bytes> + Send + 'static,
) -> Result<Streaming<Bytes>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(path);
    grpc.streaming(Request::new(messages), path, Plain)
        .await
        .map(Response::into_inner)
}

#[test]
fn messages_go_there_and_back() {
    run(|env| go_there_and_back(env, ANY));
}

#[test]
fn messages_go_there_and_back_for_real() {
    run_real(|env| go_there_and_back(env, "127.0.0.1:0".parse().unwrap()));
}

async fn go_there_and_back(env: Env, any: SocketAddr) {
    let (addr, open) = serve_at(&env, any, &H2Options::default());
    let channel = connect(&env, addr).await;
    let sent: Vec<Bytes> = (0..100)
        .map(|n| Bytes::from(format!("message {n}")))
        .collect();
    let answers = call(&channel, "/echo", stream::iter(sent.clone()))
        .await
        .unwrap();
    let back: Vec<Bytes> = answers.map(Result::unwrap).collect().await;
    assert_eq!(back, sent);
    while open.0.load(Ordering::SeqCst) > 0 {
        env.sleep(ms(1)).await;
    }
}

#[test]
fn messages_larger_than_the_windows_pass_both_ways() {
    run(|env| async move {
        let options = H2Options {
            stream_window: 65_535,
            connection_window: 65_535,
            ..H2Options::default()
        };
        let (addr, _open) = serve(&env, &options);
        let channel = connect_h2(&env, addr, None, &options).await.unwrap();
        let message = Bytes::from(vec![7; 3_000_000]);
        let sent = stream::iter(vec![message.clone(), message.clone()]);
        let answers = call(&channel, "/echo", sent).await.unwrap();
        let back: Vec<Bytes> = answers.map(Result::unwrap).collect().await;
        assert_eq!(back, [message.clone(), message]);
    });
}

#[test]
fn many_calls_share_a_connection() {
    run(|env| async move {
        let connections = Rc::new(Cell::new(0));
        let (own, count) = (env.clone(), Rc::clone(&connections));
        let addr = serve_raw(&env, move |stream| {
            count.set(count.get() + 1);
            let env = own.clone();
            async move {
                let _ = serve_h2(&env, stream, &H2Options::default(), Echo::default()).await;
            }
        });
        let channel = connect(&env, addr).await;
        let calls = (0..50).map(|n| {
            let channel = channel.clone();
            async move {
                let sent = stream::iter(vec![Bytes::from(vec![n])]);
                let mut answers = call(&channel, "/echo", sent).await.unwrap();
                assert_eq!(answers.message().await.unwrap().unwrap(), vec![n]);
            }
        });
        futures_util::future::join_all(calls).await;
        assert_eq!(connections.get(), 1);
    });
}

#[test]
fn a_status_arrives_as_it_was_given() {
    run(|env| async move {
        let (addr, _open) = serve(&env, &H2Options::default());
        let channel = connect(&env, addr).await;
        let status = call(&channel, "/refuse", stream::empty())
            .await
            .unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (tonic::Code::NotFound, "no such thing")
        );
    });
}

#[test]
fn a_client_that_drops_its_call_cancels_it_at_the_server() {
    run(|env| async move {
        let (addr, open) = serve(&env, &H2Options::default());
        let channel = connect(&env, addr).await;
        let silent = env
            .timeout(ms(20), call(&channel, "/silent", stream::pending()))
            .await;
        assert!(silent.is_err());
        let endless = stream::iter(vec![Bytes::from_static(b"x")]).chain(stream::pending());
        let mut answers = call(&channel, "/echo", endless).await.unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap(), "x");
        env.sleep(ms(5)).await;
        assert_eq!(open.0.load(Ordering::SeqCst), 1);
        drop(answers);
        env.sleep(ms(5)).await;
        assert_eq!(open.0.load(Ordering::SeqCst), 0);
        assert!(!channel.is_closed());
    });
}

#[test]
fn a_client_that_vanishes_cancels_its_calls_at_the_server() {
    run(|env| async move {
        let (addr, open) = serve(&env, &H2Options::default());
        let channel = connect(&env, addr).await;
        let endless = stream::iter(vec![Bytes::from_static(b"x")]).chain(stream::pending());
        let mut answers = call(&channel, "/echo", endless).await.unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap(), "x");
        drop((answers, channel));
        env.sleep(ms(10)).await;
        assert_eq!(open.0.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_channel_tells_when_its_server_has_gone() {
    run(|env| async move {
        let addr = serve_raw(&env, |stream| async move { drop(stream) });
        let channel = connect(&env, addr).await;
        until_closed(&env, &channel).await;
        assert!(
            call(&channel, "/echo", stream::empty())
                .await
                .is_err_and(|status| { status.code() != tonic::Code::Ok })
        );
    });
}

#[test]
fn a_channel_to_a_silent_server_ends_by_its_pings() {
    run(|env| async move {
        let addr = serve_raw(&env, |stream| async move {
            std::future::pending::<()>().await;
            drop(stream);
        });
        let options = H2Options {
            keep_alive_interval: Some(ms(10)),
            keep_alive_timeout: ms(10),
            ..H2Options::default()
        };
        let began = env.now();
        let channel = connect_h2(&env, addr, None, &options).await.unwrap();
        until_closed(&env, &channel).await;
        let took = env.now().since(began);
        assert!((ms(20)..=ms(21)).contains(&took), "{took:?}");
    });
}

async fn end_of_serving(env: &Env, hello: &[u8], options: H2Options) -> H2Error {
    let mut listener = env.listen(ANY).unwrap();
    let mut client = env.connect(listener.local_addr(), None).await.unwrap();
    write(&mut client, hello).await.unwrap();
    let stream = listener.accept().await.unwrap();
    serve_h2(env, stream, &options, Echo::default())
        .await
        .unwrap_err()
}

#[test]
fn a_server_gives_up_a_client_that_answers_no_ping() {
    run(|env| async move {
        let options = H2Options {
            keep_alive_interval: Some(ms(10)),
            keep_alive_timeout: ms(10),
            ..H2Options::default()
        };
        let error = end_of_serving(&env, &hello(), options).await;
        assert!(matches!(error, H2Error::PingTimeout), "{error:?}");
    });
}

#[test]
fn a_server_gives_up_a_client_that_does_not_speak() {
    run(|env| async move {
        let options = H2Options {
            connect_timeout: ms(10),
            ..H2Options::default()
        };
        let error = end_of_serving(&env, b"PRI * ", options).await;
        assert!(matches!(error, H2Error::HandshakeTimeout), "{error:?}");
    });
}

#[test]
fn pings_that_are_answered_keep_a_connection() {
    run(|env| async move {
        let options = H2Options {
            keep_alive_interval: Some(ms(2)),
            keep_alive_timeout: ms(1000),
            ..H2Options::default()
        };
        let (addr, _open) = serve(&env, &options);
        let channel = connect_h2(&env, addr, None, &options).await.unwrap();
        env.sleep(ms(30)).await;
        assert!(!channel.is_closed());
        let mut answers = call(&channel, "/echo", stream::iter([Bytes::from_static(b"x")]))
            .await
            .unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap(), "x");
    });
}

#[test]
fn a_connect_that_is_refused_says_so() {
    run(|env| async move {
        let gone = env.listen(ANY).unwrap().local_addr();
        let refused = connect_h2(&env, gone, None, &H2Options::default())
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}
