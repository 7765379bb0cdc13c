//! Formats numbers: durations, instants, shares, rates, counts. Integer arithmetic only, so that the same
//! number has the same text on every machine.

const US: i64 = 1_000;
const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Formats a duration to three digits, rounded half up: `850 ns`, `4.21 ms`, `12.0 s`; whole seconds from two
/// minutes (`2m03s`), whole minutes from two hours (`3h05m`).
pub fn duration(ns: i64) -> String {
    if ns < 0 {
        return format!("-{}", duration(ns.saturating_neg()));
    }
    if ns == 0 {
        return "0 s".to_owned();
    }
    if ns >= 2 * HOUR {
        let minutes = half_up(ns, MINUTE);
        return format!("{}h{:02}m", minutes / 60, minutes % 60);
    }
    if ns >= 2 * MINUTE {
        let seconds = half_up(ns, SECOND);
        return format!("{}m{:02}s", seconds / 60, seconds % 60);
    }
    for (unit, name) in [(1, "ns"), (US, "µs"), (MS, "ms")] {
        // 999.5 of a unit is rounded up to 1.00 of the next.
        if half_up(ns, unit) < 1_000 {
            return three_digits(ns, unit, name);
        }
    }
    three_digits(ns, SECOND, "s")
}

/// Formats a duration in the syntax of the scenario language, exact to the nanosecond and as short as
/// possible: `0s`, `250us`, `1m30s`, `1.5s`.
pub fn written(ns: i64) -> String {
    if ns < 0 {
        return format!("-{}", written(ns.saturating_neg()));
    }
    if ns == 0 {
        return "0s".to_owned();
    }
    if ns < SECOND {
        let (unit, name) = [(MS, "ms"), (US, "us")]
            .into_iter()
            .find(|(unit, _)| ns >= *unit)
            .unwrap_or((1, "ns"));
        return format!("{}{name}", decimal(ns, unit));
    }
    let (hours, minutes, rest) = (ns / HOUR, ns % HOUR / MINUTE, ns % MINUTE);
    let mut out = String::new();
    if hours > 0 {
        out.push_str(&format!("{hours}h"));
    }
    if minutes > 0 {
        out.push_str(&format!("{minutes}m"));
    }
    if rest > 0 {
        out.push_str(&format!("{}s", decimal(rest, SECOND)));
    }
    out
}

/// Formats a point in time to the millisecond, rounded down: `12.345 s`, `3m04.345s`, `-0.120 s`.
pub fn instant(ns: i64) -> String {
    let ms = ns.div_euclid(MS);
    let (sign, ms) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    let (minutes, seconds, ms) = (ms / 60_000, ms % 60_000 / 1_000, ms % 1_000);
    match minutes {
        0 => format!("{sign}{seconds}.{ms:03} s"),
        1..60 => format!("{sign}{minutes}m{seconds:02}.{ms:03}s"),
        _ => format!(
            "{sign}{}h{:02}m{seconds:02}.{ms:03}s",
            minutes / 60,
            minutes % 60
        ),
    }
}

/// Formats a share in percent with two decimals, or up to four if it would otherwise appear as `100%` or `0%`
/// without being that. `-` if `whole` is 0.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    if part == 0 {
        return "0%".to_owned();
    }
    if part == whole {
        return "100%".to_owned();
    }
    for decimals in 2..=4u32 {
        let all = 100 * 10u128.pow(decimals);
        let figure = (u128::from(part) * all + u128::from(whole) / 2) / u128::from(whole);
        if figure > 0 && figure != all {
            return format!("{}%", trimmed(figure, decimals));
        }
    }
    if part < whole {
        if part > whole / 2 {
            ">99.9999%"
        } else {
            "<0.0001%"
        }
    } else {
        ">100%"
    }
    .to_owned()
}

/// Formats a rate per second to three digits: `200/s`, `33.3/s`, `0.25/s`. `-` if the time is 0.
pub fn rate(count: u64, over_ns: i64) -> String {
    if over_ns <= 0 {
        return "-".to_owned();
    }
    let hundredths = (u128::from(count) * 100_000_000_000 + over_ns.unsigned_abs() as u128 / 2)
        / over_ns.unsigned_abs() as u128;
    let figure = match hundredths {
        0..1_000 => trimmed(hundredths, 2),
        1_000..10_000 => trimmed((hundredths + 5) / 10, 1),
        _ => grouped((hundredths + 50) / 100),
    };
    format!("{figure}/s")
}

/// Formats thousandths to three digits, like a rate: `200`, `33.3`, `0.25`.
pub fn milli(thousandths: u64) -> String {
    let thousandths = u128::from(thousandths);
    match thousandths {
        0..10_000 => trimmed((thousandths + 5) / 10, 2),
        10_000..100_000 => trimmed((thousandths + 50) / 100, 1),
        _ => grouped((thousandths + 500) / 1_000),
    }
}

/// Formats a number of bytes to three digits, in powers of a thousand: `850 B`, `4.21 MB`.
pub fn bytes(n: u64) -> String {
    let n = i64::try_from(n).unwrap_or(i64::MAX);
    let units = [(1, "B"), (US, "kB"), (MS, "MB")];
    let found = units.iter().find(|(unit, _)| half_up(n, *unit) < 1_000);
    let (unit, name) = found.copied().unwrap_or((SECOND, "GB"));
    three_digits(n, unit, name)
}

/// Formats an integer with thousands separators: `1,234,567`.
pub fn count(n: u64) -> String {
    grouped(u128::from(n))
}

/// Formats a ratio with two decimals: `1.00`, `2.43`. `-` if `whole` is 0.
pub fn ratio(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let hundredths = (u128::from(part) * 100 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Formats a count with its noun, which takes an `s` in the plural: `1 request`, `2 requests`.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

fn half_up(ns: i64, unit: i64) -> i64 {
    (ns + unit / 2) / unit
}

fn three_digits(ns: i64, unit: i64, name: &str) -> String {
    if unit == 1 {
        return format!("{ns} {name}");
    }
    let (hundredths, tenths) = (half_up(ns, unit / 100), half_up(ns, unit / 10));
    if hundredths < 1_000 {
        format!("{}.{:02} {name}", hundredths / 100, hundredths % 100)
    } else if tenths < 1_000 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", half_up(ns, unit))
    }
}

/// Formats `ns` in `unit`s, exact, without trailing zeros. `unit` must be a power of ten.
fn decimal(ns: i64, unit: i64) -> String {
    trimmed(ns.unsigned_abs().into(), unit.ilog10())
}

/// Formats `figure / 10^decimals` without trailing zeros.
fn trimmed(figure: u128, decimals: u32) -> String {
    let unit = 10u128.pow(decimals);
    let (whole, part) = (figure / unit, figure % unit);
    if part == 0 {
        return grouped(whole);
    }
    let part = format!("{part:0width$}", width = decimals as usize);
    format!("{}.{}", grouped(whole), part.trim_end_matches('0'))
}

fn grouped(n: u128) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests;
