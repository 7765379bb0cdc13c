//! The `date` header, from the environment's wall clock; hyper's own would read the system's.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{DATE, Entry, HeaderMap, HeaderValue};
use shakedown_env::UnixTime;

/// Writes the `date` header. The value is formatted once per second, because a value per response would be an
/// allocation per response.
#[derive(Debug, Default)]
pub(crate) struct DateHeader {
    last: RefCell<Option<(u64, HeaderValue)>>,
}

impl DateHeader {
    /// Adds the header to a response without one, as RFC 9110, section 6.6.1, requires of a recipient that forwards it.
    pub(crate) fn complete(&self, headers: &mut HeaderMap, now: UnixTime) {
        let Entry::Vacant(date) = headers.entry(DATE) else {
            return;
        };
        let second = now.as_nanos() / 1_000_000_000;
        let mut last = self.last.borrow_mut();
        let value = match &mut *last {
            Some((known, value)) if *known == second => value,
            last => &mut last.insert((second, format(second))).1,
        };
        date.insert(value.clone());
    }
}

/// The IMF-fixdate of a Unix time in seconds. Source: RFC 9110, section 5.6.7.
fn format(second: u64) -> HeaderValue {
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
    HeaderValue::try_from(text).expect("letters, digits and punctuation make a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_has_them() {
        let written = |second| format(second).to_str().unwrap().to_owned();
        assert_eq!(written(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(written(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(written(951_782_399), "Mon, 28 Feb 2000 23:59:59 GMT");
        assert_eq!(written(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(written(4_107_542_399), "Sun, 28 Feb 2100 23:59:59 GMT");
        assert_eq!(written(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
    }

    #[test]
    fn an_upstreams_own_date_stands() {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static("then"));
        DateHeader::default().complete(&mut headers, UnixTime::from_nanos(1));
        assert_eq!(headers[DATE], "then");
    }

    #[test]
    fn the_date_moves_with_the_second() {
        let dates = DateHeader::default();
        let at = |second: u64| {
            let mut headers = HeaderMap::new();
            dates.complete(&mut headers, UnixTime::from_nanos(second * 1_000_000_000));
            headers[DATE].clone()
        };
        assert_eq!(at(1), at(1));
        assert_ne!(at(1), at(2));
    }
}
