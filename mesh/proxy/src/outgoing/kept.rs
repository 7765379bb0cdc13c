//! A request's headers, written down for a try that may follow: the map itself goes with the try before.
//!
//! A copy of the map would be an allocation for the map, and one for each name that is not among the known ones. This one is
//! a text in a buffer that the next request uses again.

use std::rc::Rc;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::spare::Spares;

/// The longest text whose buffer is kept for the next request, in bytes.
const SPARE_BYTES_MAX: usize = 16 * 1024;

/// Headers in the order in which their map has them.
#[derive(Debug)]
pub(crate) struct Kept {
    head: Head,
    spares: Rc<Spares<Head>>,
}

/// The buffers.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// Names and values, one after the other.
    text: Vec<u8>,
    lines: Vec<Line>,
}

/// One header: where its name and its value end in the text.
#[derive(Debug)]
struct Line {
    name: usize,
    value: usize,
    /// Whether HTTP/2 may not remember it.
    sensitive: bool,
}

impl Kept {
    /// Writes headers down.
    pub(super) fn of(headers: &HeaderMap, spares: &Rc<Spares<Head>>) -> Kept {
        let mut head = spares.take().unwrap_or_default();
        for (name, value) in headers {
            head.text.extend_from_slice(name.as_str().as_bytes());
            let name = head.text.len();
            head.text.extend_from_slice(value.as_bytes());
            head.lines.push(Line {
                name,
                value: head.text.len(),
                sensitive: value.is_sensitive(),
            });
        }
        Kept {
            head,
            spares: Rc::clone(spares),
        }
    }

    /// The headers.
    pub(super) fn map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.head.lines.len());
        let mut begin = 0;
        for line in &self.head.lines {
            let name = HeaderName::from_bytes(&self.head.text[begin..line.name])
                .expect("it was written from a name");
            let mut value = HeaderValue::from_bytes(&self.head.text[line.name..line.value])
                .expect("it was written from a value");
            value.set_sensitive(line.sensitive);
            map.append(name, value);
            begin = line.value;
        }
        map
    }
}

impl Drop for Kept {
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
        let read = Kept::of(&map, &spares).map();
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
        drop(Kept::of(&map, &spares));
        map.insert("host", HeaderValue::from_static("b"));
        assert_eq!(Kept::of(&map, &spares).map(), map);
        assert!(spares.take().is_some_and(|head| head.lines.is_empty()));
        map.insert("host", HeaderValue::from_bytes(&[b'a'; 20_000]).unwrap());
        drop(Kept::of(&map, &spares));
        assert!(spares.take().is_none(), "a long one's buffer is not kept");
    }
}
