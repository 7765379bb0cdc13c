//! Prepares loads, sends them, and judges the results.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use shakedown_env::Env;
use shakedown_env::real::{HostOptions, Runtime};
use shakedown_loadgen::Schedule;
use shakedown_loadgen::live::{
    self, LEAD, LoadTarget, RequestTemplate, SendOptions, Server, Stop, Tally,
};
use shakedown_reports::RunLabels;
use shakedown_results::{Answer, Engine, Event, ParticipantId, Participants, PodId, Record};
use shakedown_scenarios::scenario::{Arrivals, LoadSpec, ResolvedScenario};
use shakedown_wire::{TlsClient, lacks_http2, refusal};

use super::options::{LoadOptions, TrustOption};
use super::outcome::{LoadOutcome, LoadProgress, LoadRunError};
use super::real::{self, Reached};
use super::text;
use super::trust::{self, LoadTrust};
use super::views::LoadFold;

/// The time limit for resolving a name, and for each connection attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// The interval between checks of the stop flag.
const STOP_POLL: Duration = Duration::from_millis(20);

/// The interval between progress reports.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// A load that was sent.
struct Fired {
    name: String,
    /// The address of the server.
    address: SocketAddr,
    /// Counts that the load's records do not contain.
    tally: Tally,
}

/// Describes the load for the results document, given the address of each load.
type Sentence = Box<dyn Fn(&[SocketAddr]) -> String>;

/// The loads to send and the inputs of their judgement.
pub(super) struct LoadJob {
    /// The scenario that defines loads and checks.
    pub(super) scenario: ResolvedScenario,
    /// The request templates of each load, one per entry.
    pub(super) templates: Vec<Vec<RequestTemplate>>,
    pub(super) seed: u64,
    pub(super) http2: bool,
    pub(super) connections: Option<NonZeroU32>,
    pub(super) trust: TrustOption,
    pub(super) sentence: Sentence,
    pub(super) replay: String,
    /// Set to end the load early.
    pub(super) stop: Option<Arc<AtomicBool>>,
    /// The `--set` edits that are already applied to the scenario.
    pub(super) set: Vec<String>,
    /// The parts of the scenario that were left out.
    pub(super) skipped: Vec<String>,
    /// The reason why the run is invalid regardless of the servers' behaviour, if any.
    pub(super) empty: Option<String>,
}

impl LoadJob {
    pub(super) fn of_options(options: &LoadOptions) -> Result<LoadJob, LoadRunError> {
        let template = RequestTemplate::new(
            &options.url,
            &options.method,
            &options.headers,
            options.body_bytes,
        )?;
        let (own, own_template) = (options.clone(), template.clone());
        Ok(LoadJob {
            scenario: text::scenario(options).map_err(LoadRunError::Story)?,
            templates: vec![vec![template]],
            seed: options.seed,
            http2: options.http2,
            connections: options.connections,
            trust: options.trust.clone(),
            sentence: Box::new(move |addresses| text::sentence(&own, &own_template, addresses[0])),
            replay: options.replay.clone(),
            stop: options.stop.clone(),
            set: Vec::new(),
            skipped: Vec::new(),
            empty: None,
        })
    }

    /// Sends all loads and judges them.
    pub(super) fn run(
        self,
        progress: impl FnMut(LoadProgress) + 'static,
    ) -> Result<LoadOutcome, LoadRunError> {
        let speaks_tls = self
            .templates
            .iter()
            .flatten()
            .any(|template| template.server().tls);
        let believed = speaks_tls.then(|| trust::read(&self.trust)).transpose()?;
        let runtime = Runtime::new()?;
        let env = runtime.host(HostOptions {
            seed: Some(self.seed),
            ..HostOptions::new("load")
        })?;
        runtime.block_on(self.send(&env, believed, progress))
    }

    async fn send(
        self,
        env: &Env,
        believed: Option<LoadTrust>,
        progress: impl FnMut(LoadProgress) + 'static,
    ) -> Result<LoadOutcome, LoadRunError> {
        let targets = self.targets(env, believed).await?;
        let addresses: Vec<SocketAddr> = targets.iter().map(|target| target.address).collect();
        let participants = shakedown_scenarios::list_participants(&self.scenario, &[]);
        let views = Rc::new(RefCell::new(LoadFold::new(
            &self.scenario,
            participants.clone(),
        )));
        let counts: Rc<ParticipantProgress> =
            Rc::new(vec![Cell::default(); participants.list.len()]);
        let reporting = env.spawn_owned(
            "load-progress",
            report_progress(
                env.clone(),
                self.scenario.duration,
                Rc::clone(&counts),
                progress,
            ),
        );
        let (into, seen) = (Rc::clone(&views), Rc::clone(&counts));
        let sink: live::RecordSink = Rc::new(move |record: &Record| {
            count(&seen, &record.event);
            into.borrow_mut().record(record);
        });
        let stop = Stop::default();
        let flag = self.stop.clone();
        let stopping = env.spawn_owned("load-stop", follow(env.clone(), flag, stop.clone()));
        let zero = env.now() + LEAD;
        let loads = self
            .scenario
            .loads
            .iter()
            .zip(targets)
            .map(|(load, target)| {
                let schedule = self.schedule(env, load);
                let options = self.send_options(load, &participants);
                live::fire(
                    env,
                    zero,
                    schedule,
                    target,
                    options,
                    stop.clone(),
                    Rc::clone(&sink),
                )
            });
        let tallies = join_all(loads).await;
        drop((reporting, stopping));
        let mut views = views.take();
        let loads = self.scenario.loads.iter().zip(tallies).zip(&addresses);
        let fired = loads.map(|((load, tally), address)| Fired {
            name: load.name.clone(),
            address: *address,
            tally,
        });
        let fired: Vec<Fired> = fired.collect();
        views.invalid(self.empty.clone());
        views.invalid(worthless(&fired, &participants, &counts));
        let cut = fired.iter().filter_map(|one| one.tally.cut).max();
        views.invalid(cut.map(|cut| {
            format!(
                "the load was cut short at {} of {}; its figures cover only that time",
                text::duration(cut),
                text::duration(self.scenario.duration)
            )
        }));
        let labels = RunLabels {
            story: (self.sentence)(&addresses),
            set: self.set,
            seed: self.seed,
            engine: Engine::Real,
            replay: self.replay,
            elapsed_ns: views.last_ns,
            not_modelled: Vec::new(),
            cut_ns: cut.map(|cut| i64::try_from(cut.as_nanos()).unwrap_or(i64::MAX)),
        };
        let mut document = views.conclude(&self.scenario, labels);
        let window_ns = document.duration_ns - document.warm_up_ns;
        let rows = document.loads.iter_mut().zip(&fired).zip(&self.templates);
        for ((load, one), templates) in rows {
            let asking = real::Asking {
                templates,
                address: one.address,
                http2: self.http2,
            };
            load.real = Some(real::row(load, &asking, &one.tally, window_ns));
        }
        Ok(LoadOutcome {
            document,
            skipped: self.skipped,
        })
    }

    fn schedule(&self, env: &Env, load: &LoadSpec) -> Schedule {
        let path = self.scenario.draw_path(load.draw_id);
        let rng = |what: &str| env.rng(&format!("{path}/{what}"));
        Schedule::new(load, &[], rng("arrivals"), rng("mix"))
    }

    fn send_options(&self, load: &LoadSpec, participants: &Participants) -> SendOptions {
        let participant = participant_of(participants, &load.name);
        let pod = participants
            .pods
            .iter()
            .position(|pod| pod.participant == participant);
        let pod = pod.expect("a load has a client host");
        SendOptions {
            participant,
            pod: PodId(u32::try_from(pod).expect("pods are numbered in 32 bits")),
            timeout: load.timeout,
            ok: load.ok.clone(),
            in_flight: load.in_flight,
            http2: self.http2,
            connections: self.connections,
            reuse: !load.new_connections,
            warm_up: self.scenario.warm_up,
            precise: load.arrivals == Arrivals::Poisson,
        }
    }

    /// The target of each load.
    async fn targets(
        &self,
        env: &Env,
        believed: Option<LoadTrust>,
    ) -> Result<Vec<LoadTarget>, LoadRunError> {
        let mut known: BTreeMap<&Server, (SocketAddr, Option<TlsClient>)> = BTreeMap::new();
        let mut targets = Vec::new();
        for templates in &self.templates {
            let server = templates.first().expect("the load has an entry").server();
            if !known.contains_key(server) {
                let tls = match (&believed, server.tls) {
                    (Some(believed), true) => {
                        Some(believed.client(env, &server.host, self.http2)?)
                    }
                    _ => None,
                };
                known.insert(server, (address_of(env, server, tls.as_ref()).await?, tls));
            }
            let (address, tls) = known[server].clone();
            targets.push(LoadTarget {
                address,
                tls,
                aims: templates.clone(),
            });
        }
        Ok(targets)
    }
}

/// The address to load: the first of the name's addresses that accepts a connection. A single address is not tried.
async fn address_of(
    env: &Env,
    server: &Server,
    tls: Option<&TlsClient>,
) -> Result<SocketAddr, LoadRunError> {
    let failed = |error| LoadRunError::Resolve(server.host.clone(), error);
    let found: Vec<IpAddr> = env
        .timeout(PATIENCE, env.resolve(&server.host))
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
        .map_err(failed)?;
    let addresses: Vec<SocketAddr> = found
        .into_iter()
        .map(|address| SocketAddr::new(address, server.port))
        .collect();
    let first = *addresses
        .first()
        .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    // TLS connections are always tried, because a refused certificate should be reported before the first request.
    if addresses.len() == 1 && tls.is_none() {
        return Ok(first);
    }
    for address in addresses {
        let tried = env.timeout(PATIENCE, try_out(env, address, tls)).await;
        match tried.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())) {
            Ok(()) => return Ok(address),
            Err(error) => {
                let host = server.host.clone();
                if lacks_http2(&error) {
                    return Err(LoadRunError::NoHttp2 { host });
                }
                if let Some(refusal) = refusal(&error) {
                    return Err(LoadRunError::Certificate { host, refusal });
                }
            }
        }
    }
    Ok(first)
}

async fn try_out(env: &Env, address: SocketAddr, tls: Option<&TlsClient>) -> io::Result<()> {
    let stream = env.connect(address, None).await?;
    if let Some(tls) = tls {
        tls.wrap(stream).await?;
    }
    Ok(())
}

fn participant_of(participants: &Participants, load: &str) -> ParticipantId {
    participants
        .find(load)
        .expect("a run has the loads of its scenario")
}

/// The progress of each participant.
type ParticipantProgress = Vec<Cell<(LoadProgress, Reached)>>;

fn count(counts: &ParticipantProgress, event: &Event) {
    let (Event::Sent { root } | Event::Finished { root, .. }) = event else {
        return;
    };
    let count = &counts[usize::from(root.load.0)];
    let (mut progress, mut reached) = count.get();
    match event {
        Event::Sent { .. } => {
            progress.started += 1;
            progress.in_flight += 1;
            reached.started += 1;
        }
        Event::Finished {
            outcome, sent_ns, ..
        } => {
            if outcome.answer != Answer::Dropped {
                progress.in_flight -= 1;
            }
            reached.written += u64::from(sent_ns.is_some());
            match outcome.answer {
                Answer::Ok => {
                    progress.ok += 1;
                    reached.ok += 1;
                }
                _ => progress.failed += 1,
            }
        }
        _ => {}
    }
    count.set((progress, reached));
}

/// Stops the loads once the flag is set.
async fn follow(env: Env, flag: Option<Arc<AtomicBool>>, stop: Stop) {
    let Some(flag) = flag else {
        return;
    };
    while !flag.load(Ordering::Relaxed) {
        env.sleep(STOP_POLL).await;
    }
    stop.ask();
}

/// Reports the combined progress of all loads periodically.
async fn report_progress(
    env: Env,
    duration: Duration,
    counts: Rc<ParticipantProgress>,
    mut progress: impl FnMut(LoadProgress),
) {
    let begun = env.now();
    loop {
        env.sleep(PROGRESS_INTERVAL).await;
        let mut all = LoadProgress {
            now_ns: i64::try_from(env.now().since(begun).as_nanos()).unwrap_or(i64::MAX),
            duration,
            ..LoadProgress::default()
        };
        for (one, _) in counts.iter().map(Cell::get) {
            all.started += one.started;
            all.ok += one.ok;
            all.failed += one.failed;
            all.in_flight += one.in_flight;
        }
        progress(all);
    }
}

/// The reasons why the loads are invalid, prefixed with the load's name if there are several.
fn worthless(
    fired: &[Fired],
    participants: &Participants,
    counts: &ParticipantProgress,
) -> Vec<String> {
    let reasons = fired.iter().flat_map(|one| {
        let (_, reached) = counts[usize::from(participant_of(participants, &one.name).0)].get();
        let named = |reason| match fired {
            [_] => reason,
            _ => format!("{}: {reason}", one.name),
        };
        let reasons = real::invalid(&one.tally, &reached, one.address);
        reasons.into_iter().map(named)
    });
    reasons.collect()
}
