//! A copy of a request's headers for a possible retry; the map itself is sent with the first attempt.
//!
//! Cloning the map would allocate for the map and for each name that is not a standard one. This copy is bytes in a
//! buffer that is reused by later requests.

use std::rc::Rc;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::object_pool::ObjectPool;

/// The longest text whose buffer is kept for reuse, in bytes.
const SPARE_BYTES_MAX: usize = 16 * 1024;

/// Headers in the order of their map.
#[derive(Debug)]
pub(crate) struct SavedHeaders {
    head: HeaderBuffers,
    spares: Rc<ObjectPool<HeaderBuffers>>,
}

/// The reusable buffers.
#[derive(Debug, Default)]
pub(crate) struct HeaderBuffers {
    /// Names and values, concatenated.
    text: Vec<u8>,
    lines: Vec<HeaderSpan>,
}

/// The ends of one header's name and value in the text.
#[derive(Debug)]
struct HeaderSpan {
    name: usize,
    value: usize,
    /// True if HPACK must not index the value.
    sensitive: bool,
}

impl SavedHeaders {
    /// Copies the headers.
    pub(super) fn from_headers(
        headers: &HeaderMap,
        spares: &Rc<ObjectPool<HeaderBuffers>>,
    ) -> SavedHeaders {
        let mut head = spares.take().unwrap_or_default();
        for (name, value) in headers {
            head.text.extend_from_slice(name.as_str().as_bytes());
            let name = head.text.len();
            head.text.extend_from_slice(value.as_bytes());
            head.lines.push(HeaderSpan {
                name,
                value: head.text.len(),
                sensitive: value.is_sensitive(),
            });
        }
        SavedHeaders {
            head,
            spares: Rc::clone(spares),
        }
    }

    /// Builds the map again.
    pub(super) fn map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.head.lines.len());
        let mut begin = 0;
        for line in &self.head.lines {
            let name = HeaderName::from_bytes(&self.head.text[begin..line.name])
                .expect("the bytes were written from a name");
            let mut value = HeaderValue::from_bytes(&self.head.text[line.name..line.value])
                .expect("the bytes were written from a value");
            value.set_sensitive(line.sensitive);
            map.append(name, value);
            begin = line.value;
        }
        map
    }
}

impl Drop for SavedHeaders {
    fn drop(&mut self) {
        let mut head = std::mem::take(&mut self.head);
        if head.text.capacity() > SPARE_BYTES_MAX {
            return;
        }
        head.text.clear();
        head.lines.clear();
        self.spares.put(head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_out_as_they_went_in() {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("host", "a"),
            ("x-own", "1"),
            ("accept", ""),
            ("x-own", "2"),
        ] {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let mut secret = HeaderValue::from_bytes(b"s\xe9cret").unwrap();
        secret.set_sensitive(true);
        map.append("authorization", secret);
        let spares = Rc::default();
        let read = SavedHeaders::from_headers(&map, &spares).map();
        assert_eq!(read, map);
        assert!(read["authorization"].is_sensitive() && !read["host"].is_sensitive());
        let order = |map: &HeaderMap| map.keys().cloned().collect::<Vec<_>>();
        assert_eq!(order(&read), order(&map));
    }

    #[test]
    fn a_buffer_is_used_again_without_what_was_in_it() {
        let mut map = HeaderMap::new();
        map.insert("host", HeaderValue::from_static("long enough"));
        let spares = Rc::default();
        drop(SavedHeaders::from_headers(&map, &spares));
        map.insert("host", HeaderValue::from_static("b"));
        assert_eq!(SavedHeaders::from_headers(&map, &spares).map(), map);
        assert!(spares.take().is_some_and(|head| head.lines.is_empty()));
        map.insert("host", HeaderValue::from_bytes(&[b'a'; 20_000]).unwrap());
        drop(SavedHeaders::from_headers(&map, &spares));
        assert!(spares.take().is_none(), "a long one's buffer is not kept");
    }
}
