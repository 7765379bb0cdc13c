//! `shakedown load`: an open-loop load on a real HTTP server.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use shakedown::load::{
    LoadOptions, LoadOutcome, LoadProgress as Far, LoadRunError, LoadStage, ScenarioLoadOptions,
    TargetOverride, TrustOption, fire, fire_scenario,
};
use shakedown::secret::masked;
use shakedown_reports::{html, text};
use shakedown_scenarios::scenario::Arrivals;
use shakedown_scenarios::value::{Rate, parse_duration, parse_size};
use shakedown_scenarios::{BASE, Edits};

use super::exit::{Exit, Reported};
use super::fault::{bad_input, failed};
use super::interrupt::Interrupt;
use super::out;
use super::output::distinct;
use super::progress::ProgressLines;
use super::run::Reports;

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

The load is open loop: requests start at the given rate, whether or not earlier requests have completed. Corrected
latency is measured from the scheduled start of a request. Uncorrected latency is measured from the actual send, as a
closed-loop tool would report it. A load is invalid if the generator's own delay distorts its latencies (requests sent
late, or no CPU time left), or if no request succeeds.

Checks use the scenario language. A metric without a subject applies to the load: `p99 < 250ms` means
`p99(load) < 250ms`. More examples: `count(where timeout) == 0`, `uncorrected.p99 < 20ms`, `always p99 < 250ms per 5s`,
`goodput >= 490/s`. Without --expect, the check is `success >= 99%`.

With --scenario, each load of the scenario is sent to its target, for the scenario's duration and warm-up. Only checks
that depend on loads alone are evaluated. Everything that is left out is listed.

Exit codes: 0 pass, 1 a check failed, 2 bad input, 3 the run is invalid, 130 interrupted by Ctrl-C.";

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
pub(crate) struct LoadArgs {
    /// URL to request: `http://host:port/path`, or `https://`
    #[arg(required_unless_present = "scenario")]
    url: Option<String>,
    /// Send the loads of a scenario instead: a file, or the name of a catalogue scenario
    #[arg(long, value_name = "SCENARIO", conflicts_with_all = OF_A_URL)]
    scenario: Option<String>,
    /// Target of one of the scenario's loads; overrides the target in the file (repeatable)
    #[arg(long, value_name = "LOAD=URL", requires = "scenario")]
    target: Vec<TargetOverride>,
    /// Variant of the scenario
    #[arg(long, value_name = "NAME", requires = "scenario")]
    variant: Option<String>,
    /// Change a value of the scenario: a path of keys, and a YAML value (repeatable)
    #[arg(long, value_name = "KEY=VALUE", requires = "scenario")]
    set: Vec<String>,
    /// Request rate: `500/s`, `90/m`, `1.5k/s`
    #[arg(long, value_parser = Rate::parse, required_unless_present_any = ["stage", "scenario"])]
    rate: Option<Rate>,
    /// Stage of the load: `1m 500/s` keeps a constant rate, `30s to 1k/s` ramps from the previous rate (repeatable)
    #[arg(long, value_name = "STAGE", value_parser = stage, conflicts_with = "rate")]
    stage: Vec<LoadStage>,
    /// Time to send requests for [default: the sum of the stages, or else 10s]
    #[arg(long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Initial time to exclude from figures and checks
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "0s")]
    warm_up: Duration,
    /// Spacing of requests: even, or random (a Poisson process)
    #[arg(long, value_enum, default_value = "constant")]
    arrivals: Spacing,
    /// Seed of random spacing [default: 1, or the scenario's]
    #[arg(long)]
    seed: Option<u64>,
    /// Open N connections before the first request, and send all requests over them; a request waits if none is free,
    /// and the wait counts as latency [default: open a connection if none is free]
    #[arg(long, value_name = "N")]
    connections: Option<NonZeroU32>,
    /// Maximum number of requests in flight, including waiting ones; further requests are dropped and counted
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    in_flight: u64,
    /// Time limit of a request, measured from its scheduled start; a request that exceeds it counts as a timeout
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "30s")]
    timeout: Duration,
    /// HTTP method
    #[arg(short = 'X', long, default_value = "GET")]
    method: String,
    /// Request header, written `name: value` (repeatable)
    #[arg(short = 'H', long, value_name = "HEADER")]
    header: Vec<String>,
    /// Read request headers from a file, one `name: value` per line; keeps secrets off the command line
    #[arg(long, value_name = "FILE", conflicts_with = "scenario")]
    header_file: Option<PathBuf>,
    /// Size of each request body: `512B`, `4kB`
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "0B")]
    body_size: u64,
    /// Trust only the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Accept any certificate: the connection is encrypted, but the server is not authenticated
    #[arg(short = 'k', long, conflicts_with = "cacert")]
    insecure: bool,
    /// Use HTTP/2: with prior knowledge, or negotiated by ALPN over https; requests share connections
    #[arg(long)]
    http2: bool,
    /// Check that must pass (repeatable) [default: success >= 99%]
    #[arg(long, value_name = "CHECK")]
    expect: Vec<String>,
    /// Write the results document to a file (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the HTML report to a file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Spacing {
    Constant,
    Poisson,
}

pub(crate) fn main(args: &LoadArgs) -> Reported {
    belongs(args)?;
    let reports = Reports::open(args.json.as_deref(), args.html.as_deref())?;
    distinct(reports.all())?;
    let interrupt = Interrupt::watch();
    let outcome = match (&args.scenario, &args.url) {
        (Some(scenario), _) => of_scenario(args, scenario, &interrupt),
        (None, Some(url)) => of_url(args, url, &interrupt),
        (None, None) => unreachable!("clap requires one of them"),
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
fn belongs(args: &LoadArgs) -> Result<(), Exit> {
    let of_a_scenario = [
        ("--target", !args.target.is_empty()),
        ("--variant", args.variant.is_some()),
        ("--set", !args.set.is_empty()),
    ];
    match of_a_scenario.iter().find(|(_, given)| *given) {
        Some((option, _)) if args.scenario.is_none() => Err(bad_input(format!(
            "invalid {option}: it applies to the loads of a scenario; expected --scenario instead of a URL"
        ))),
        _ => Ok(()),
    }
}

fn of_url(args: &LoadArgs, url: &str, interrupt: &Interrupt) -> Result<LoadOutcome, Exit> {
    let options = LoadOptions {
        stop: Some(interrupt.flag()),
        ..options(args, url)?
    };
    if options.duration.is_zero() || options.timeout.is_zero() {
        return Err(bad_input(
            "invalid --duration or --timeout: 0s; expected more than 0s",
        ));
    }
    fire(&options, progress(interrupt)).map_err(unsent)
}

fn of_scenario(
    args: &LoadArgs,
    scenario: &str,
    interrupt: &Interrupt,
) -> Result<LoadOutcome, Exit> {
    let options = ScenarioLoadOptions {
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
fn unsent(error: LoadRunError) -> Exit {
    match error {
        LoadRunError::Aim(_) | LoadRunError::Story(_) | LoadRunError::Load(_) => bad_input(error),
        LoadRunError::Resolve(..)
        | LoadRunError::Trust(_)
        | LoadRunError::Certificate { .. }
        | LoadRunError::NoHttp2 { .. } => failed(Exit::Input, error),
        LoadRunError::Runtime(_) => failed(Exit::Invalid, error),
    }
}

fn trust(args: &LoadArgs) -> TrustOption {
    match &args.cacert {
        _ if args.insecure => TrustOption::Anyone,
        Some(path) => TrustOption::File(path.clone()),
        None => TrustOption::System,
    }
}

fn options(args: &LoadArgs, url: &str) -> Result<LoadOptions, Exit> {
    let held = args.rate.map(|rate| LoadStage {
        length: None,
        rate,
        ramp: false,
    });
    let stages: Vec<LoadStage> = held.into_iter().chain(args.stage.iter().copied()).collect();
    let sum: Duration = stages.iter().filter_map(|stage| stage.length).sum();
    let otherwise = if sum.is_zero() {
        Duration::from_secs(10)
    } else {
        sum
    };
    Ok(LoadOptions {
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
fn headers(args: &LoadArgs) -> Result<Vec<String>, Exit> {
    let mut headers = Vec::new();
    if let Some(path) = &args.header_file {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| {
            bad_input(format!(
                "failed to read --header-file {}: {error}",
                path.display()
            ))
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
fn stage(text: &str) -> Result<LoadStage, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (length, rate, ramp) = match words.as_slice() {
        [length, rate] => (length, rate, false),
        [length, "to", rate] => (length, rate, true),
        _ => return Err("expected `1m 500/s`, or `30s to 500/s` for a ramp".to_owned()),
    };
    let length = parse_duration(length).map_err(|error| error.to_string())?;
    let rate = Rate::parse(rate).map_err(|error| error.to_string())?;
    Ok(LoadStage {
        length: Some(length),
        rate,
        ramp,
    })
}

fn progress(interrupt: &Interrupt) -> impl FnMut(Far) + 'static {
    let mut line = ProgressLines::new();
    let (interrupt, mut reported) = (interrupt.clone(), false);
    move |far| {
        if interrupt.is_requested() && !std::mem::replace(&mut reported, true) {
            out::complain(format_args!(
                "interrupted: waiting for {} requests in flight; press Ctrl-C again to exit immediately",
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
