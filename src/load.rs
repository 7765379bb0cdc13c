//! `shakedown load`: one open-loop load on a real server, judged in the language of scenarios.
//!
//! The load is written out as a scenario of its own, so that rates, windows and checks mean what they mean in every file;
//! its schedule is the simulator's, its records go through the same judge, and its results into the same document.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use shakedown_env::Env;
use shakedown_env::real::{HostOptions, Runtime};
use shakedown_loadgen::Schedule;
use shakedown_loadgen::live::{self, Aim, AimError, Tally, Terms, Trouble};
use shakedown_reports::{Header, Judgement, Summary};
use shakedown_results::{
    Answer, Cast, Digester, Document, Event, Mode, PartyKind, PodId, Record, Verdict,
};
use shakedown_scenarios::Judge;
use shakedown_scenarios::story::{Arrivals, Story};
use shakedown_scenarios::value::{Rate, Ratio, Unit};

mod text;

pub use text::imply_subject;

/// More than 1% of the requests taken up later than this, and the generator was starved: the run is invalid. The scheduler
/// of a busy machine gives a waiting task its turn within a few milliseconds; whoever is later than this, and that often,
/// never catches up, and 1% is where the lateness shows in a p99.
pub const LATE_MAX: Duration = Duration::from_millis(20);

/// How long a name may take to resolve, and a connection to be tried.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two tellings of progress.
const TELLING: Duration = Duration::from_millis(200);

/// A load, as it is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// `http://host:port/path`.
    pub url: String,
    /// The method.
    pub method: String,
    /// `name: value` each.
    pub headers: Vec<String>,
    /// Bytes of each request's body.
    pub body_bytes: u64,
    /// The rate over time, never empty; after the last stage its level holds.
    pub stages: Vec<Stage>,
    /// How long it is sent.
    pub duration: Duration,
    /// Left out of figures and checks.
    pub warm_up: Duration,
    /// How arrivals are spaced.
    pub arrivals: Arrivals,
    /// Draws the arrivals of a Poisson load.
    pub seed: u64,
    /// From when a request is due to when it is given up.
    pub timeout: Duration,
    /// The most connections; `None`: as many as there are requests in flight.
    pub connections: Option<NonZeroU32>,
    /// Past so many in flight a request is dropped.
    pub in_flight: u64,
    /// Checks; a metric without a subject is one of the load.
    pub expect: Vec<String>,
    /// The command that does it again.
    pub replay: String,
}

/// A stretch of a load's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// How long; the last one's level holds after it.
    pub length: Option<Duration>,
    /// The rate, or at a ramp's end.
    pub rate: Rate,
    /// Linear from the level before.
    pub ramp: bool,
}

/// How far a load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// From 0 s, ns.
    pub now_ns: i64,
    /// Sent so far.
    pub sent: u64,
    /// Ended in success.
    pub ok: u64,
    /// Ended otherwise: errors, timeouts and drops.
    pub failed: u64,
    /// Under way.
    pub in_flight: u64,
}

/// What came of a load.
#[derive(Debug)]
pub struct Outcome {
    /// The results document.
    pub document: Document,
    /// What its records do not tell.
    pub tally: Tally,
    /// The address that was loaded.
    pub address: SocketAddr,
}

/// A load that could not be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for is wrong.
    #[error(transparent)]
    Aim(#[from] AimError),
    /// A rate, a span or a check is wrong: in words, a line each.
    #[error("{0}")]
    Story(String),
    /// The server's name has no address.
    #[error("find the address of `{0}`")]
    Resolve(String, #[source] io::Error),
    /// This machine lacks something.
    #[error("start the load")]
    Runtime(#[from] io::Error),
}

/// Sends a load and judges it. `progress` is told now and then how far it is.
///
/// # Errors
/// What was asked for is wrong, or the server has no address. Requests that fail are no errors.
pub fn fire(options: &Options, progress: impl FnMut(Progress) + 'static) -> Result<Outcome, Error> {
    let aim = Aim::new(
        &options.url,
        &options.method,
        &options.headers,
        options.body_bytes,
    )?;
    let story = text::story(options).map_err(Error::Story)?;
    let runtime = Runtime::new()?;
    let env = runtime.host(HostOptions {
        seed: Some(options.seed),
        ..HostOptions::new("load")
    })?;
    runtime.block_on(send(&env, options, &story, aim, progress))
}

async fn send(
    env: &Env,
    options: &Options,
    story: &Story,
    aim: Aim,
    mut progress: impl FnMut(Progress) + 'static,
) -> Result<Outcome, Error> {
    let address = address_of(env, &aim).await?;
    let cast = shakedown_scenarios::cast(story, &[]);
    let load = &story.loads[0];
    let (party, pod) = load_in(&cast);
    let terms = Terms {
        party,
        pod,
        timeout: options.timeout,
        ok: load.ok.clone(),
        in_flight: options.in_flight,
        connections: options.connections,
        warm_up: options.warm_up,
    };
    let place = &story.places[load.place.0 as usize];
    let rng = |what: &str| env.rng(&format!("{place}/{what}"));
    let schedule = Schedule::new(load, &[], rng("arrivals"), rng("mix"));
    let what = text::sentence(options, &aim, address);
    let views = Rc::new(RefCell::new(Views::new(story, cast)));
    let counts: Rc<Cell<Progress>> = Rc::default();
    let (own, seen, begun) = (env.clone(), Rc::clone(&counts), env.now());
    let telling = env.spawn_owned("load-progress", async move {
        loop {
            own.sleep(TELLING).await;
            let now_ns = i64::try_from(own.now().since(begun).as_nanos()).unwrap_or(i64::MAX);
            progress(Progress {
                now_ns,
                ..seen.get()
            });
        }
    });
    let (into, count) = (Rc::clone(&views), Rc::clone(&counts));
    let sink = Rc::new(move |record: &Record| {
        count.set(counted(count.get(), &record.event));
        into.borrow_mut().record(record);
    });
    let tally = live::fire(env, schedule, aim, address, terms, sink).await;
    drop(telling);
    let mut views = views.take();
    for reason in invalid(&tally, &counts.get(), address) {
        let at_ns = views.last_ns;
        views.record(&Record {
            at_ns,
            event: Event::Invalid { reason },
        });
    }
    let document = views.conclude(options, story, what);
    Ok(Outcome {
        document,
        tally,
        address,
    })
}

/// The address to load: the first of the name's that takes a connection, or the first where there is no choice.
async fn address_of(env: &Env, aim: &Aim) -> Result<SocketAddr, Error> {
    let failed = |error| Error::Resolve(aim.host().to_owned(), error);
    let found: Vec<IpAddr> = env
        .timeout(PATIENCE, env.resolve(aim.host()))
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
        .map_err(failed)?;
    let addresses: Vec<SocketAddr> = found
        .into_iter()
        .map(|address| SocketAddr::new(address, aim.port()))
        .collect();
    let first = *addresses
        .first()
        .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    if addresses.len() > 1 {
        for address in addresses {
            if let Ok(Ok(_stream)) = env.timeout(PATIENCE, env.connect(address, None)).await {
                return Ok(address);
            }
        }
    }
    Ok(first)
}

/// The load of a cast of one, and its client host.
fn load_in(cast: &Cast) -> (shakedown_results::PartyId, PodId) {
    let load = cast.party(text::LOAD).expect("the story has this load");
    let pod = cast.pods.iter().position(|pod| pod.party == load);
    let pod = pod.expect("a load has a client host");
    (load, PodId(u32::try_from(pod).expect("a cast of three")))
}

fn counted(mut progress: Progress, event: &Event) -> Progress {
    match event {
        Event::Sent { .. } => {
            progress.sent += 1;
            progress.in_flight += 1;
        }
        Event::Finished { outcome, .. } => {
            if outcome.answer != Answer::Dropped {
                progress.in_flight -= 1;
            }
            match outcome.answer {
                Answer::Ok => progress.ok += 1,
                _ => progress.failed += 1,
            }
        }
        _ => {}
    }
    progress
}

/// Why a load says nothing of its server.
fn invalid(tally: &Tally, counts: &Progress, address: SocketAddr) -> Vec<String> {
    let mut reasons = Vec::new();
    if counts.sent == 0 {
        reasons.push("no request was sent: there is nothing to judge".to_owned());
    }
    let late = tally.late.percentile_ns(990_000).unwrap_or(0);
    if u128::from(late.unsigned_abs()) > LATE_MAX.as_nanos() {
        reasons.push(format!(
            "the generator was starved: 1% of the requests were taken up {} or more after they were due (a share of a core was not to be had)",
            Unit::Duration.format(Ratio::whole(i128::from(late / 1000 * 1000)))
        ));
    }
    let of = |kind: fn(&Trouble) -> bool| -> u64 {
        let kinds = tally.troubles.iter().filter(|(trouble, _)| kind(trouble));
        kinds.map(|(_, count)| count).sum()
    };
    let exhausted = of(|trouble| matches!(trouble, Trouble::Exhausted(_)));
    if exhausted > 0 {
        reasons.push(format!(
            "{exhausted} requests found no connection for want of something on this side: raise `ulimit -n`, or bound them by --connections"
        ));
    }
    let connect = of(|trouble| matches!(trouble, Trouble::Connect(_)));
    if counts.sent > 0 && connect == counts.sent {
        let why = tally.troubles.keys().next().map(ToString::to_string);
        let why = why.unwrap_or_default();
        reasons.push(format!("no request reached {address}: {why}"));
    }
    reasons
}

/// Everything that reads the records as they come.
#[derive(Default)]
struct Views {
    fold: Option<Fold>,
    last_ns: i64,
}

struct Fold {
    cast: Cast,
    digester: Digester,
    judge: Judge,
    summary: Summary,
}

impl Views {
    fn new(story: &Story, cast: Cast) -> Views {
        let version = crate::version();
        let fold = Fold {
            digester: Digester::new(&version, &story.expanded, story.seed, &cast),
            judge: Judge::new(story, &cast),
            summary: Summary::new(&cast),
            cast,
        };
        Views {
            fold: Some(fold),
            last_ns: 0,
        }
    }

    fn record(&mut self, record: &Record) {
        self.last_ns = record.at_ns;
        if let Some(fold) = &mut self.fold {
            fold.digester.record(record);
            fold.judge.record(record);
            fold.summary.record(&fold.cast, record);
        }
    }

    fn conclude(self, options: &Options, story: &Story, what: String) -> Document {
        let fold = self.fold.expect("views are concluded once");
        let judged = fold.judge.conclude();
        let mut invalid = judged.invariants;
        // A load without a check is a measurement: nothing to fail.
        let verdict = if judged.checks.is_empty() {
            match invalid.is_empty() {
                true => Verdict::Pass,
                false => Verdict::Invalid,
            }
        } else {
            let verdict = shakedown_scenarios::verdict(&judged.checks, &invalid);
            invalid.extend(shakedown_scenarios::not_judged(&judged.checks));
            verdict
        };
        let header = Header {
            scenario: story.name.clone(),
            story: what,
            variant: story.variant.clone(),
            set: Vec::new(),
            mode: Mode::Real,
            seed: options.seed,
            engine: "real".to_owned(),
            version: crate::version(),
            digest: fold.digester.finish(),
            replay: options.replay.clone(),
            simulated_ns: self.last_ns,
        };
        let judgement = Judgement {
            checks: judged.checks,
            invalid,
            verdict,
        };
        let services = fold.cast.parties.iter();
        let names: Vec<&str> = services
            .filter(|party| party.kind == PartyKind::Service)
            .map(|party| party.name.as_str())
            .collect();
        let mut document = fold.summary.finish(header, judgement);
        // The server is a stranger: nothing is known of it but its answers.
        document
            .services
            .retain(|row| !names.contains(&row.name.as_str()));
        document
    }
}
