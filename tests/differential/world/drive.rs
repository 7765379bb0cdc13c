//! Sends the requests of a case through a proxy, and collects the observations.

use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Duration;

use shakedown_types::MeshEvent;

use super::{LOG_TIMEOUT, OUTBOUND_PORT, POLL_INTERVAL, World};
use crate::case::{Compare, Config, PORT, Step};
use crate::client::{ClientRequest, send_request};
use crate::seen::{Fact, Run};

impl World<'_> {
    /// Sends all requests through one of the proxies.
    pub(super) async fn drive(&self, envoy: bool) -> Run {
        self.journal.borrow_mut().clear();
        let logged_before = if envoy {
            self.envoy.facts().len()
        } else {
            self.our_facts().len()
        };
        let repetitions = match self.case.compare {
            Compare::Shares(repetitions) => repetitions,
            _ => 1,
        };
        let mut run = Run::default();
        let mut number = 0u64;
        for _ in 0..repetitions {
            for (step, what) in self.case.steps.iter().enumerate() {
                let (requests, change) = match what {
                    Step::One(request) => (std::slice::from_ref(request), None),
                    Step::All(all) => (&all[..], None),
                    Step::Amid(all, after, change) => (&all[..], Some((*after, change))),
                    Step::Change(change) => (&[][..], Some((0, change))),
                    Step::Pause(ms) => {
                        self.env.sleep(Duration::from_millis(*ms)).await;
                        continue;
                    }
                };
                run.steps.push((step, self.journal.borrow().len()));
                let requests: Vec<ClientRequest> = requests
                    .iter()
                    .map(|request| identified(request.clone(), &mut number))
                    .collect();
                let asking = requests.iter().map(|request| {
                    let to = self.listener(envoy, request);
                    async move { send_request(&self.env, to, request).await }
                });
                let asking = futures_util::future::join_all(asking);
                let changing = self.change(envoy, change);
                let (answers, ()) = futures_util::future::join(asking, changing).await;
                run.answers.extend(
                    requests
                        .into_iter()
                        .zip(answers)
                        .map(|(request, answer)| (step, request, answer)),
                );
            }
        }
        let deadline = self.env.now() + LOG_TIMEOUT;
        loop {
            run.facts = if envoy {
                self.envoy.facts()
            } else {
                self.our_facts()
            }
            .split_off(logged_before);
            if run.facts.len() >= run.answers.len() || self.env.now() > deadline {
                break;
            }
            self.env.sleep(POLL_INTERVAL).await;
        }
        // A truncated request is recorded when its connection ends, which may be last.
        self.env.sleep(POLL_INTERVAL).await;
        run.received = self.journal.take();
        run
    }

    fn listener(&self, envoy: bool, request: &ClientRequest) -> SocketAddr {
        let address = if envoy {
            self.block.envoy()
        } else {
            self.block.ours()
        };
        let usual = if matches!(self.case.config, Config::Inbound(_)) {
            PORT
        } else {
            OUTBOUND_PORT
        };
        (address, request.port.unwrap_or(usual)).into()
    }

    fn our_facts(&self) -> Vec<Fact> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = events.iter().filter_map(|event| match event {
            MeshEvent::Request(request) => Some(Fact::from(request)),
            _ => None,
        });
        requests.collect()
    }
}

/// Adds a request id to identify the request, unless it has one or is given as bytes.
fn identified(mut request: ClientRequest, number: &mut u64) -> ClientRequest {
    *number += 1;
    let has = request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("x-request-id"));
    if request.raw.is_none() && !has {
        let id = format!("00000000-0000-4000-8000-{:012x}", *number);
        request.headers.push(("x-request-id".into(), id));
    }
    request
}
