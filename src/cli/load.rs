//! `shakedown load`: an open-loop load on a real HTTP server.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shakedown::load::{Error, Options, Outcome, Progress as Far, Stage, fire};
use shakedown_reports::{html, text, units};
use shakedown_results::Latency;
use shakedown_scenarios::story::Arrivals;
use shakedown_scenarios::value::{Rate, parse_duration, parse_size};

use super::progress::Progress;
use super::run::{paint, write_html, write_json};
use super::{Ended, Exit, bad_input, failed};

const EXAMPLES: &str = "\
Examples:
  shakedown load http://localhost:8080/ --rate 500/s --duration 30s
  shakedown load http://localhost:8080/ --rate 500/s --duration 1m --warm-up 10s \\
      --expect 'p99 < 250ms' --expect 'success >= 99.9%' --html load.html
  shakedown load http://localhost:8080/order -X POST -H 'content-type: text/plain' --body-size 1kB \\
      --rate 50/s --arrivals poisson --duration 5m --json load.json
  shakedown load http://localhost:8080/ --stage '30s to 1k/s' --stage '1m 1k/s' --stage '10s to 0/s'

Open loop: a request is due when the rate says so, whatever became of those before it. Corrected latency counts from
then, uncorrected latency from the actual send: what a tool would show that waits for answers. A load that this machine
could not send on time is invalid.

Checks are those of scenarios; a metric without a subject is the load's: `p99 < 250ms` is `p99(load) < 250ms`. Others:
`count(where timeout) == 0`, `uncorrected.p99 < 20ms`, `always p99 < 250ms per 5s`, `goodput >= 490/s`.

Exit codes: 0 pass, 1 a check failed, 2 bad input, 3 the run is invalid.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to ask for: `http://host:port/path`
    url: String,
    /// Requests per time: `500/s`, `90/m`, `1.5k/s`
    #[arg(long, value_parser = Rate::parse, required_unless_present = "stage")]
    rate: Option<Rate>,
    /// A stretch of the rate, one after another: `1m 500/s` holds it, `30s to 1k/s` is a ramp from the level before
    #[arg(long, value_name = "STAGE", value_parser = stage, conflicts_with = "rate")]
    stage: Vec<Stage>,
    /// How long to send [default: the stages' sum, else 10s]
    #[arg(long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Left out of figures and checks
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "0s")]
    warm_up: Duration,
    /// How requests are spaced: evenly, or at random around the rate
    #[arg(long, value_enum, default_value = "constant")]
    arrivals: Spacing,
    /// The seed of random spacing
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The most connections; a request beyond waits for the first that is free, and the wait counts as latency
    /// [default: a request that finds none free opens one]
    #[arg(long, value_name = "N")]
    connections: Option<NonZeroU32>,
    /// Past so many requests in flight, those that wait included, one is dropped and counted
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    in_flight: u64,
    /// From when a request is due to when it is given up and counts as a timeout
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "30s")]
    timeout: Duration,
    /// The method
    #[arg(short = 'X', long, default_value = "GET")]
    method: String,
    /// A request header: `name: value` (repeatable)
    #[arg(short = 'H', long, value_name = "HEADER")]
    header: Vec<String>,
    /// Size of each request's body: `512B`, `4kB`
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "0B")]
    body_size: u64,
    /// HTTP/2 with prior knowledge: not supported yet
    #[arg(long)]
    http2: bool,
    /// A check that must hold (repeatable)
    #[arg(long, value_name = "CHECK")]
    expect: Vec<String>,
    /// Write the results document (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Spacing {
    Constant,
    Poisson,
}

pub(crate) fn main(args: &Args) -> Ended {
    if args.http2 {
        return Err(bad_input("--http2 is not supported yet: HTTP/1.1 is"));
    }
    let options = options(args);
    if options.duration.is_zero() || options.timeout.is_zero() {
        return Err(bad_input("--duration and --timeout are longer than 0s"));
    }
    let outcome = fire(&options, progress(options.duration)).map_err(|error| match error {
        Error::Aim(_) | Error::Story(_) => bad_input(error),
        Error::Resolve(..) => failed(Exit::Input, error),
        Error::Runtime(_) => failed(Exit::Invalid, error),
    })?;
    let document = &outcome.document;
    if args.json.as_deref() != Some(Path::new("-")) {
        print!("{}{}", text::render(document, paint()), details(&outcome));
    }
    if let Some(path) = &args.json {
        write_json(path, document)?;
    }
    if let Some(path) = &args.html {
        write_html(path, &html::render(document))?;
    }
    Ok(document.verdict.into())
}

fn options(args: &Args) -> Options {
    let held = args.rate.map(|rate| Stage {
        length: None,
        rate,
        ramp: false,
    });
    let stages: Vec<Stage> = held.into_iter().chain(args.stage.iter().copied()).collect();
    let sum: Duration = stages.iter().filter_map(|stage| stage.length).sum();
    let otherwise = if sum.is_zero() {
        Duration::from_secs(10)
    } else {
        sum
    };
    Options {
        url: args.url.clone(),
        method: args.method.clone(),
        headers: args.header.clone(),
        body_bytes: args.body_size,
        stages,
        duration: args.duration.unwrap_or(otherwise),
        warm_up: args.warm_up,
        arrivals: match args.arrivals {
            Spacing::Constant => Arrivals::Constant,
            Spacing::Poisson => Arrivals::Poisson,
        },
        seed: args.seed,
        timeout: args.timeout,
        connections: args.connections,
        in_flight: args.in_flight,
        expect: args.expect.clone(),
        replay: again(std::env::args()),
    }
}

/// The command as it was typed, less what names files of this machine, quoted for a shell.
fn again(args: impl Iterator<Item = String>) -> String {
    let mut command = "shakedown".to_owned();
    let mut args = args.skip(1);
    while let Some(arg) = args.next() {
        if arg == "--json" || arg == "--html" {
            args.next();
        } else if !arg.starts_with("--json=") && !arg.starts_with("--html=") {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
            if arg.is_empty() || !arg.chars().all(plain) {
                let quoted = arg.replace('\'', r"'\''");
                write!(command, " '{quoted}'").expect(INTO_A_STRING);
            } else {
                write!(command, " {arg}").expect(INTO_A_STRING);
            }
        }
    }
    command
}

/// `1m 500/s` or `30s to 1k/s`.
fn stage(text: &str) -> Result<Stage, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (length, rate, ramp) = match words.as_slice() {
        [length, rate] => (length, rate, false),
        [length, "to", rate] => (length, rate, true),
        _ => return Err("a stage is `1m 500/s`, or `30s to 500/s` for a ramp".to_owned()),
    };
    let length = parse_duration(length).map_err(|error| error.to_string())?;
    let rate = Rate::parse(rate).map_err(|error| error.to_string())?;
    Ok(Stage {
        length: Some(length),
        rate,
        ramp,
    })
}

fn progress(duration: Duration) -> impl FnMut(Far) + 'static {
    let mut line = Progress::new();
    move |far| {
        line.show(|| {
            format!(
                "{} of {} s: {} sent, {} ok, {} failed, {} in flight",
                far.now_ns.div_euclid(1_000_000_000),
                duration.as_secs(),
                far.sent,
                far.ok,
                far.failed,
                far.in_flight
            )
        });
    }
}

const INTO_A_STRING: &str = "writing into a string succeeds";

/// What only a real load has to tell: latency by both clocks and send lag side by side, statuses, and what went wrong.
fn details(outcome: &Outcome) -> String {
    let mut out = String::from("\n");
    let Some(load) = outcome.document.loads.first() else {
        return out;
    };
    let head = ["", "mean", "p50", "p90", "p99", "p99.9", "max"];
    line(&mut out, head.map(str::to_owned));
    for (name, latency) in [
        ("corrected", &load.latency_ns),
        ("uncorrected", &load.uncorrected_ns),
        ("send lag", &load.send_lag_ns),
        ("generator late", &Latency::of(outcome.tally.late.clone())),
    ] {
        let figures = [
            latency.mean,
            latency.p50,
            latency.p90,
            latency.p99,
            latency.p999,
            latency.max,
        ];
        let mut cells = std::array::from_fn(|_| String::new());
        name.clone_into(&mut cells[0]);
        for (cell, ns) in cells[1..].iter_mut().zip(figures) {
            *cell = match latency.count {
                0 => "-".to_owned(),
                _ => units::duration(ns),
            };
        }
        line(&mut out, cells);
    }
    out.push('\n');
    let tally = &outcome.tally;
    let rows = tally
        .statuses
        .iter()
        .map(|(status, count)| (format!("status {status}"), *count));
    let rows = rows.chain(
        tally
            .troubles
            .iter()
            .map(|(trouble, count)| (trouble.to_string(), *count)),
    );
    for (what, count) in rows {
        writeln!(out, "  {:>12}  {what}", units::count(count)).expect(INTO_A_STRING);
    }
    if tally.timeouts > 0 {
        let count = units::count(tally.timeouts);
        write!(out, "  {count:>12}  timed out").expect(INTO_A_STRING);
        if tally.never_left > 0 {
            let waited = units::count(tally.never_left);
            write!(out, ", {waited} of them waiting for a connection").expect(INTO_A_STRING);
        }
        out.push('\n');
    }
    let count = units::count(tally.lanes);
    let noun = if tally.lanes == 1 { "" } else { "s" };
    writeln!(out, "  {count:>12}  connection{noun} at once, at most").expect(INTO_A_STRING);
    if outcome.document.warm_up_ns > 0 {
        out.push_str("  (these counts take in the warm-up)\n");
    }
    out
}

/// A row: a name to the left, figures to the right.
fn line(out: &mut String, cells: [String; 7]) {
    let [name, figures @ ..] = cells;
    let mut row = format!("  {name:<14}");
    for figure in figures {
        write!(row, "  {figure:>9}").expect(INTO_A_STRING);
    }
    out.push_str(row.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_told_as_typed_without_its_files() {
        let typed = [
            "/usr/bin/shakedown",
            "load",
            "http://a:1/b",
            "--json",
            "/home/me/x",
            "--html=y",
            "--expect",
            "p99 < 'x'",
        ];
        assert_eq!(
            again(typed.into_iter().map(str::to_owned)),
            r"shakedown load http://a:1/b --expect 'p99 < '\''x'\'''"
        );
    }

    #[test]
    fn a_stage_holds_a_rate_or_ramps_to_it() {
        let held = stage("1m 500/s").unwrap();
        assert_eq!(
            (held.length, held.ramp),
            (Some(Duration::from_secs(60)), false)
        );
        assert!(stage("30s to 1k/s").unwrap().ramp);
        for bad in ["1m", "500/s 1m", "1m at 500/s", "", "1m 500"] {
            assert!(stage(bad).is_err(), "{bad}");
        }
    }
}
