//! `shakedown load`: an open-loop load on a real HTTP server.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use shakedown::load::{
    Error, Options, Outcome, Progress as Far, ScenarioOptions, Stage, Target, Trust, fire,
    fire_scenario,
};
use shakedown::secret::masked;
use shakedown_reports::{html, text};
use shakedown_scenarios::story::Arrivals;
use shakedown_scenarios::value::{Rate, parse_duration, parse_size};
use shakedown_scenarios::{BASE, Edits};

use super::interrupt::Interrupt;
use super::output::distinct;
use super::progress::Progress;
use super::run::Reports;
use super::{Ended, Exit, bad_input, failed, out};

const EXAMPLES: &str = "\
Examples:
  shakedown load http://localhost:8080/ --rate 500/s --duration 30s
  shakedown load http://localhost:8080/ --rate 500/s --duration 1m --warm-up 10s \\
      --expect 'p99 < 250ms' --expect 'success >= 99.9%' --html load.html
  shakedown load http://localhost:8080/order -X POST -H 'content-type: text/plain' --body-size 1kB \\
      --rate 50/s --arrivals poisson --duration 5m --json load.json
  shakedown load http://localhost:8080/ --stage '30s to 1k/s' --stage '1m 1k/s' --stage '10s to 0/s'
  shakedown load https://shop.example/ --rate 100/s
  shakedown load https://localhost:8443/ --rate 100/s --cacert ca.pem
  shakedown load --scenario shop.yaml --target users=http://localhost:8080
  shakedown load --scenario shop.yaml --target users=https://staging.example/shop --set duration=2m

Open loop: a request is due when the rate says so, whatever became of those before it. Corrected latency counts from
then, uncorrected latency from the actual send: what a tool would show that waits for answers. A load whose latencies
are the generator's own (it was late, or out of processor) is invalid, and so is one without a single success.

Without --expect the check is `success >= 99%`. Checks are those of scenarios; a metric without a subject is the load's: `p99 < 250ms` is `p99(load) < 250ms`. Others:
`count(where timeout) == 0`, `uncorrected.p99 < 20ms`, `always p99 < 250ms per 5s`, `goodput >= 490/s`.

Of a scenario its loads are sent, each to its target, for the scenario's duration and warm-up; the checks that are about
loads alone are judged. What is left out is listed.

Exit codes: 0 pass, 1 a check failed, 2 bad input, 3 the run is invalid, 130 it was cut short by Ctrl-C.";

/// The arguments that conflict with `--scenario`. A scenario sets them itself.
const OF_A_URL: [&str; 12] = [
    "url",
    "rate",
    "stage",
    "duration",
    "warm_up",
    "arrivals",
    "in_flight",
    "timeout",
    "method",
    "header",
    "body_size",
    "expect",
];

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to ask for: `http://host:port/path`, or `https://`
    #[arg(required_unless_present = "scenario")]
    url: Option<String>,
    /// Send the loads of a scenario instead: a path, or a name of the catalogue
    #[arg(long, value_name = "SCENARIO", conflicts_with_all = OF_A_URL)]
    scenario: Option<String>,
    /// Where a load of the scenario goes; it wins over the file's own target (repeatable)
    #[arg(long, value_name = "LOAD=URL", requires = "scenario")]
    target: Vec<Target>,
    /// A variant of the scenario
    #[arg(long, value_name = "NAME", requires = "scenario")]
    variant: Option<String>,
    /// Change a value of the scenario: a path of keys, and YAML (repeatable)
    #[arg(long, value_name = "KEY=VALUE", requires = "scenario")]
    set: Vec<String>,
    /// Requests per time: `500/s`, `90/m`, `1.5k/s`
    #[arg(long, value_parser = Rate::parse, required_unless_present_any = ["stage", "scenario"])]
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
    /// The seed of random spacing [default: 1, or the scenario's]
    #[arg(long)]
    seed: Option<u64>,
    /// Open N connections before the first request and spread requests over them; a request that finds none free waits, and
    /// the wait counts as latency [default: a request that finds none free opens one]
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
    /// Request headers from a file, `name: value` a line: for secrets, which a command line shows to others
    #[arg(long, value_name = "FILE", conflicts_with = "scenario")]
    header_file: Option<PathBuf>,
    /// Size of each request's body: `512B`, `4kB`
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "0B")]
    body_size: u64,
    /// Take certificates of the authorities in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Take any certificate: the connection is encrypted, and nobody knows with whom
    #[arg(short = 'k', long, conflicts_with = "cacert")]
    insecure: bool,
    /// Speak HTTP/2: with prior knowledge, or by ALPN over https; requests share connections
    #[arg(long)]
    http2: bool,
    /// A check that must hold (repeatable) [default: success >= 99%]
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
    belongs(args)?;
    let reports = Reports::open(args.json.as_deref(), args.html.as_deref())?;
    distinct(reports.all())?;
    let interrupt = Interrupt::watch();
    let outcome = match (&args.scenario, &args.url) {
        (Some(scenario), _) => of_scenario(args, scenario, &interrupt),
        (None, Some(url)) => of_url(args, url, &interrupt),
        (None, None) => unreachable!("clap asks for one of them"),
    }?;
    let document = &outcome.document;
    if !reports.take_stdout() {
        out::print(text::render(document, out::screen()))?;
    }
    reports.write(document, || html::render(document))?;
    match document.cut_ns {
        Some(_) => Ok(Exit::Interrupted),
        None => Ok(document.verdict.into()),
    }
}

/// Refuses a scenario's options without `--scenario`. clap lets them pass, because the URL that replaces the scenario
/// conflicts with it.
fn belongs(args: &Args) -> Result<(), Exit> {
    let of_a_scenario = [
        ("--target", !args.target.is_empty()),
        ("--variant", args.variant.is_some()),
        ("--set", !args.set.is_empty()),
    ];
    match of_a_scenario.iter().find(|(_, given)| *given) {
        Some((option, _)) if args.scenario.is_none() => Err(bad_input(format!(
            "{option} is of a scenario's loads: give --scenario in place of a URL"
        ))),
        _ => Ok(()),
    }
}

fn of_url(args: &Args, url: &str, interrupt: &Interrupt) -> Result<Outcome, Exit> {
    let options = Options {
        stop: Some(interrupt.flag()),
        ..options(args, url)?
    };
    if options.duration.is_zero() || options.timeout.is_zero() {
        return Err(bad_input("--duration and --timeout are longer than 0s"));
    }
    fire(&options, progress(interrupt)).map_err(unsent)
}

fn of_scenario(args: &Args, scenario: &str, interrupt: &Interrupt) -> Result<Outcome, Exit> {
    let options = ScenarioOptions {
        scenario: scenario.to_owned(),
        edits: Edits {
            variant: args.variant.clone().filter(|name| name != BASE),
            set: args.set.clone(),
        },
        targets: args.target.clone(),
        seed: args.seed,
        http2: args.http2,
        connections: args.connections,
        trust: trust(args),
        replay: again(std::env::args()),
        stop: Some(interrupt.flag()),
    };
    let outcome = fire_scenario(&options, progress(interrupt)).map_err(unsent)?;
    for skipped in &outcome.skipped {
        out::complain(format_args!("skipped {skipped}"));
    }
    Ok(outcome)
}

/// Reports why no load was sent.
fn unsent(error: Error) -> Exit {
    match error {
        Error::Aim(_) | Error::Story(_) | Error::Load(_) => bad_input(error),
        Error::Resolve(..)
        | Error::Trust(_)
        | Error::Certificate { .. }
        | Error::NoHttp2 { .. } => failed(Exit::Input, error),
        Error::Runtime(_) => failed(Exit::Invalid, error),
    }
}

fn trust(args: &Args) -> Trust {
    match &args.cacert {
        _ if args.insecure => Trust::Anyone,
        Some(path) => Trust::File(path.clone()),
        None => Trust::System,
    }
}

fn options(args: &Args, url: &str) -> Result<Options, Exit> {
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
    Ok(Options {
        url: url.to_owned(),
        method: args.method.clone(),
        headers: headers(args)?,
        body_bytes: args.body_size,
        stages,
        duration: args.duration.unwrap_or(otherwise),
        warm_up: args.warm_up,
        arrivals: match args.arrivals {
            Spacing::Constant => Arrivals::Constant,
            Spacing::Poisson => Arrivals::Poisson,
        },
        seed: args.seed.unwrap_or(1),
        timeout: args.timeout,
        http2: args.http2,
        connections: args.connections,
        in_flight: args.in_flight,
        expect: args.expect.clone(),
        trust: trust(args),
        replay: again(std::env::args()),
        stop: None,
    })
}

/// The headers of the header file, then those of the options. The file has one header per line, and `#` begins a
/// comment.
fn headers(args: &Args) -> Result<Vec<String>, Exit> {
    let mut headers = Vec::new();
    if let Some(path) = &args.header_file {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| {
            bad_input(format!("read --header-file {}: {error}", path.display()))
        })?;
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if !line.contains(':') {
                // The line may be the secret itself, so it is not repeated.
                let line = at + 1;
                return Err(bad_input(format!(
                    "{}:{line}: invalid header: no colon; expected `name: value`",
                    path.display()
                )));
            }
            headers.push(line.to_owned());
        }
    }
    headers.extend(args.header.iter().cloned());
    Ok(headers)
}

/// The command line as typed, quoted for a shell, without paths of this machine and with secrets masked.
fn again(args: impl Iterator<Item = String>) -> String {
    let mut command = "shakedown".to_owned();
    let mut args = args.skip(1);
    while let Some(arg) = args.next() {
        if arg == "--json" || arg == "--html" {
            args.next();
        } else if !arg.starts_with("--json=") && !arg.starts_with("--html=") {
            let arg = masked(&arg);
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

/// Parses a stage: `1m 500/s` or `30s to 1k/s`.
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

fn progress(interrupt: &Interrupt) -> impl FnMut(Far) + 'static {
    let mut line = Progress::new();
    let (interrupt, mut told) = (interrupt.clone(), false);
    move |far| {
        if interrupt.is_asked() && !std::mem::replace(&mut told, true) {
            out::complain(format_args!(
                "interrupted: waiting for {} requests in flight; Ctrl-C again ends at once",
                far.in_flight
            ));
        }
        line.show(|| {
            format!(
                "{} of {} s: {} started, {} ok, {} failed, {} in flight",
                far.now_ns.div_euclid(1_000_000_000),
                far.duration.as_secs(),
                far.started,
                far.ok,
                far.failed,
                far.in_flight
            )
        });
    }
}

const INTO_A_STRING: &str = "writing into a string succeeds";

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
    fn the_command_is_told_without_secrets() {
        let typed = [
            "shakedown",
            "load",
            "http://a/?api_key=one",
            "-kH",
            "authorization: Bearer two",
            "--header=x-api-key: three",
            "--header-file",
            "h.txt",
        ];
        assert_eq!(
            again(typed.into_iter().map(str::to_owned)),
            "shakedown load 'http://a/?api_key=***' -kH 'authorization: ***' '--header=x-api-key: ***' --header-file h.txt"
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
