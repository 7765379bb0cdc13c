//! gRPC clients that flood the server with cheap frames.

use super::*;
use crate::Flood;
use crate::scene::{farewells, frames, read};

#[test]
fn a_client_that_floods_a_connection_is_sent_goaway_and_closed() {
    let kinds = [
        (frames::frame(2, 0, 3, &[0, 0, 0, 0, 1]), Flood::Priority),
        (
            frames::frame(frames::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
            Flood::WindowUpdate,
        ),
        (frames::frame(frames::DATA, 0, 1, b""), Flood::Empty),
        (frames::frame(6, 0, 0, &[0; 8]), Flood::Control),
    ];
    for (bytes, kind) in kinds {
        run(move |env| async move {
            let echo = Echo::default();
            let (ended, open) = (Rc::new(Cell::new(None)), echo.open.clone());
            let (own, sink) = (env.clone(), Rc::clone(&ended));
            let addr = serve_raw(&env, move |stream| {
                let (env, sink, echo) = (own.clone(), Rc::clone(&sink), echo.clone());
                async move {
                    let served = serve_h2(&env, stream, &H2Options::default(), echo).await;
                    sink.set(Some(served));
                }
            });
            let mut stream = env.connect(addr, None).await.unwrap();
            let begin = [frames::hello(), frames::half_open(1, "h", "/silent")].concat();
            write(&mut stream, &begin).await.unwrap();
            let mut sent = 0;
            while sent < 10_000 && write(&mut stream, &bytes.repeat(10)).await.is_ok() {
                sent += 10;
                env.sleep(ms(1)).await;
                if open.0.load(Ordering::SeqCst) == 0 {
                    break;
                }
            }
            assert!(sent <= 1_100, "{kind:?}: {sent}");
            let mut all = Vec::new();
            while let Ok(bytes) = read(&mut stream).await
                && !bytes.is_empty()
            {
                all.extend(bytes);
            }
            assert_eq!(farewells(&all), [0xb], "{kind:?}: ENHANCE_YOUR_CALM");
            env.sleep(ms(1)).await;
            let ended = ended.take().unwrap();
            assert!(
                matches!(ended, Err(H2Error::Flood(found)) if found == kind),
                "{kind:?}: {ended:?}"
            );
        });
    }
}

#[test]
fn a_client_that_resets_every_stream_is_sent_goaway() {
    run(|env| async move {
        let (addr, open) = serve(&env, &H2Options::default());
        let mut stream = env.connect(addr, None).await.unwrap();
        write(&mut stream, &frames::hello()).await.unwrap();
        for number in 0..600 {
            let id = 2 * number + 1;
            let cancel = frames::frame(3, 0, id, &[0, 0, 0, 8]);
            write(&mut stream, &frames::half_open(id, "h", "/silent"))
                .await
                .unwrap();
            env.sleep(ms(1)).await;
            write(&mut stream, &cancel).await.unwrap();
            env.sleep(ms(1)).await;
        }
        let mut all = Vec::new();
        while farewells(&all).is_empty() {
            let bytes = read(&mut stream).await.unwrap();
            assert!(!bytes.is_empty(), "a GOAWAY comes before the end");
            all.extend(bytes);
        }
        assert_eq!(open.0.load(Ordering::SeqCst), 0);
    });
}
