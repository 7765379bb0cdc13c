//! The `date` header, from the host's own wall clock: hyper's reads the system's.

use std::cell::RefCell;

use http::header::{DATE, Entry, HeaderMap, HeaderValue};
use shakedown_env::UnixTime;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Writes the header; formats once a second.
#[derive(Debug, Default)]
pub(crate) struct Dates {
    last: RefCell<Option<(u64, HeaderValue)>>,
}

impl Dates {
    /// Adds a date to a response that has none, as RFC 9110, section 6.6.1, asks of who receives such a response.
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

/// The IMF-fixdate of a second since 1970. Source: RFC 9110, section 5.6.7.
fn format(second: u64) -> HeaderValue {
    let (day, rest) = (second / 86_400, second % 86_400);
    let (year, month, day_of_month) = civil(day);
    let name = DAYS[(day % 7) as usize];
    let month = MONTHS[month];
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let text = format!(
        "{name}, {day_of_month:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
    );
    HeaderValue::try_from(text).expect("letters, digits and punctuation make a header value")
}

/// Year, month (from 0) and day of the month (from 1) of a day since 1970.
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil(day: u64) -> (u64, usize, u64) {
    // Days since 0000-03-01, in eras of 400 years; the year begins in March, so that the leap day is its last.
    let days = day + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12;
    let year = year_of_era + era * 400 + u64::from(month < 2);
    (year, month as usize, day_of_month)
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
        Dates::default().complete(&mut headers, UnixTime::from_nanos(1));
        assert_eq!(headers[DATE], "then");
    }

    #[test]
    fn the_date_moves_with_the_second() {
        let dates = Dates::default();
        let at = |second: u64| {
            let mut headers = HeaderMap::new();
            dates.complete(&mut headers, UnixTime::from_nanos(second * 1_000_000_000));
            headers[DATE].clone()
        };
        assert_eq!(at(1), at(1));
        assert_ne!(at(1), at(2));
    }
}
