//! Encoding of HTTP/2 frames for clients that misbehave. The proxy's tests include this file, too.

/// Frame types. Source: RFC 9113, section 6.
pub(crate) const DATA: u8 = 0;
const HEADERS: u8 = 1;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const WINDOW_UPDATE: u8 = 8;

const END_HEADERS: u8 = 0x4;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Returns the client's preface and an empty SETTINGS frame.
pub(crate) fn hello() -> Vec<u8> {
    let preface = &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..];
    [preface, &frame(SETTINGS, 0, 0, b"")].concat()
}

/// Returns the HEADERS frame of a POST whose stream stays open. Host and path must be shorter than 127 bytes.
pub(crate) fn half_open(stream: u32, host: &str, path: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    // `:method: POST`, `:scheme: http`, `:path` and `:authority`, by HPACK's static table.
    let block = [&[0x83, 0x86, 0x44][..], &text(path), &[0x41], &text(host)].concat();
    frame(HEADERS, END_HEADERS, stream, &block)
}
