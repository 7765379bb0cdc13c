//! The request headers that a request's calls may copy.
//!
//! Initially they are slices of the connection's read buffer, and keep it alive. A request whose caller has
//! disconnected may wait for hours in a queue of thousands, so it keeps copies of the headers that its calls
//! need and releases the buffer.

use std::cell::RefCell;
use std::rc::Rc;

use http::{HeaderMap, HeaderName, HeaderValue};
use shakedown_loadgen::CALL_HEADER;

/// Shared by the connection, which releases its buffer, and the request, whose calls read the headers.
#[derive(Clone, Debug)]
pub(crate) struct Carried(Rc<RefCell<HeldBytes>>);

#[derive(Debug)]
enum HeldBytes {
    /// All headers, as received.
    Whole(HeaderMap),
    /// Copies of the forwarded headers, and of the header that identifies the caller's call.
    Copies {
        forwarded: Box<[(HeaderName, HeaderValue)]>,
        call: Option<HeaderValue>,
    },
}

impl Carried {
    pub(crate) fn new(headers: HeaderMap) -> Carried {
        Carried(Rc::new(RefCell::new(HeldBytes::Whole(headers))))
    }

    /// Copies the headers listed in `forwarded` to those of a call.
    pub(crate) fn copy_to(&self, to: &mut HeaderMap, forwarded: &[HeaderName]) {
        match &*self.0.borrow() {
            HeldBytes::Whole(headers) => {
                let all = headers.iter();
                for (name, value) in all.filter(|(name, _)| forwarded.contains(name)) {
                    to.append(name.clone(), value.clone());
                }
            }
            HeldBytes::Copies { forwarded, .. } => {
                for (name, value) in forwarded {
                    to.append(name.clone(), value.clone());
                }
            }
        }
    }

    /// Reads the header that identifies the caller's call.
    pub(crate) fn with_call<T>(&self, read: impl FnOnce(Option<&HeaderValue>) -> T) -> T {
        match &*self.0.borrow() {
            HeldBytes::Whole(headers) => read(headers.get(&CALL_HEADER)),
            HeldBytes::Copies { call, .. } => read(call.as_ref()),
        }
    }

    /// Replaces the slices by copies, which releases the connection's buffer.
    pub(crate) fn detach(&self, forwarded: &[HeaderName]) {
        let mut held = self.0.borrow_mut();
        let HeldBytes::Whole(headers) = &*held else {
            return;
        };
        let all = headers.iter();
        let copies = all
            .filter(|(name, _)| forwarded.contains(name))
            .map(|(name, value)| (name.clone(), copy(value)))
            .collect();
        let call = headers.get(&CALL_HEADER).map(copy);
        *held = HeldBytes::Copies {
            forwarded: copies,
            call,
        };
    }
}

fn copy(value: &HeaderValue) -> HeaderValue {
    let mut copy =
        HeaderValue::from_bytes(value.as_bytes()).expect("the bytes of a header value are valid");
    copy.set_sensitive(value.is_sensitive());
    copy
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const ID: HeaderName = HeaderName::from_static("x-request-id");

    /// Two headers that are slices of one buffer.
    fn headers(buffer: &Bytes) -> HeaderMap {
        let value = |range| HeaderValue::from_maybe_shared(buffer.slice(range)).unwrap();
        let mut headers = HeaderMap::new();
        headers.append(ID, value(0..3));
        headers.append("other", value(3..6));
        headers.append(ID, value(6..9));
        headers.append(CALL_HEADER, value(0..3));
        headers
    }

    #[test]
    fn a_request_whose_caller_disconnected_retains_no_bytes_of_the_connection_buffer() {
        let buffer = Bytes::from(b"onetwosix".to_vec());
        let carried = Carried::new(headers(&buffer));
        assert!(!buffer.is_unique());
        carried.detach(&[ID]);
        assert!(buffer.is_unique());
    }

    #[test]
    fn forwarded_headers_are_the_same_before_and_after_the_caller_disconnects() {
        let carried = Carried::new(headers(&Bytes::from_static(b"onetwosix")));
        let call = || {
            let mut call = HeaderMap::new();
            carried.copy_to(&mut call, &[ID]);
            call
        };
        let before = call();
        assert_eq!(
            before.get_all(ID).iter().collect::<Vec<_>>(),
            ["one", "six"]
        );
        assert_eq!(before.len(), 2);
        carried.detach(&[ID]);
        assert_eq!(call(), before);
        carried.with_call(|call| assert_eq!(call.unwrap(), "one"));
    }
}
