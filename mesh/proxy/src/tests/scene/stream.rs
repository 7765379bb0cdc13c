//! Reads and writes of raw bytes and of bodies.

use shakedown_env::BoxStream;
use shakedown_wire::ResponseBody;

/// Writes raw bytes, which must be short enough to fit the window at once.
pub(crate) async fn write(stream: &mut BoxStream, text: &str) {
    let written = std::future::poll_fn(|cx| {
        hyper::rt::Write::poll_write(std::pin::Pin::new(&mut *stream), cx, text.as_bytes())
    });
    assert_eq!(written.await.unwrap(), text.len());
}

/// Reads one response to its end, as text.
pub(crate) async fn read(stream: &mut BoxStream) -> String {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let mut buffer = hyper::rt::ReadBuf::new(&mut bytes);
        let read = std::future::poll_fn(|cx| {
            hyper::rt::Read::poll_read(std::pin::Pin::new(&mut *stream), cx, buffer.unfilled())
        });
        let ended = read.await.is_err() || buffer.filled().is_empty();
        text += std::str::from_utf8(buffer.filled()).unwrap();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            length.is_some_and(|length| body.len() >= length.parse().unwrap())
        });
        if ended || whole {
            return text;
        }
    }
}

/// The next data frame of a body, as text.
pub(crate) async fn frame(body: &mut ResponseBody) -> Option<String> {
    let next =
        std::future::poll_fn(|cx| http_body::Body::poll_frame(std::pin::Pin::new(&mut *body), cx));
    let data = next.await?.unwrap().into_data().unwrap();
    Some(String::from_utf8(data.to_vec()).unwrap())
}
