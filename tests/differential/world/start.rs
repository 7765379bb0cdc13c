//! Starts the processes and servers of a case.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use shakedown_control::{ControlOptions, ManagedMesh};
use shakedown_env::Env;
use shakedown_env::real::{HostOptions, Runtime};
use shakedown_istio::registry::MeshOptions;
use shakedown_proxy::{Bootstrap, ResourceCache, Secrets};

use super::block::Block;
use super::change::resources;
use super::{APP_PORT, Events, World, hosts};
use crate::ads::{self, Fixture, Refusals, Source};
use crate::case::{Case, Config, Host, PORT};
use crate::envoy::Envoy;
use crate::mesh;
use crate::upstream::{self, Journal, Running, Script};

impl<'a> World<'a> {
    pub(super) fn start(
        case: &'a Case,
        runtime: &Runtime,
        block: Block,
        binary: &Path,
        folder: &Path,
    ) -> std::result::Result<World<'a>, String> {
        let events = Events::default();
        let env = outside(runtime, "outside", &Events::default());
        let journal = Journal::default();
        let hosts = hosts(case);
        let upstreams = upstreams(&env, case, &hosts, block, &journal);
        let envoy_refuses = Refusals::default();
        let mut tasks = Vec::new();
        let mut status = None;
        let mut fixtures = Vec::new();
        let log = Some(Envoy::log_in(folder));
        let mut serve = |source, envoy: bool| {
            let log = log.clone().filter(|_| envoy);
            // Our proxy reports its rejections itself.
            let refusals = if envoy {
                Arc::clone(&envoy_refuses)
            } else {
                Refusals::default()
            };
            let task = ads::serve(&env, block.ads(envoy), source, log, &refusals);
            tasks.push(task.expect("the block is ours"));
        };
        let control = match &case.config {
            Config::Mesh(yaml) | Config::Inbound(yaml) => {
                let cluster = ManagedMesh::new(MeshOptions {
                    outbound_allow_any: !case.registry_only,
                    ..MeshOptions::default()
                });
                let inbound = matches!(case.config, Config::Inbound(_));
                let at = |index| {
                    if inbound {
                        vec![(block.envoy(), PORT).into(), (block.ours(), PORT).into()]
                    } else {
                        vec![block.upstream(index)]
                    }
                };
                cluster.set_registry(mesh::registry(
                    case,
                    &hosts,
                    &at,
                    [block.envoy(), block.ours()],
                ));
                cluster.apply(mesh::documents(yaml)?);
                let mut options = ControlOptions::new(block.control());
                options.debounce = Duration::from_millis(1);
                options.canaries = false;
                status = Some(options.status.clone());
                let own = outside(runtime, "control", &events);
                let running = shakedown_control::run(own, cluster, options);
                env.spawn("control", async move {
                    running.await.expect("the block is ours");
                });
                serve(Source::Relay(block.control()), true);
                block.control()
            }
            Config::Xds(_) => {
                for envoy in [true, false] {
                    let fixture = Fixture::new(resources(case, &hosts, block, envoy, None));
                    serve(Source::Fixture(Arc::clone(&fixture)), envoy);
                    fixtures.push(fixture);
                }
                block.ads(false)
            }
        };
        let envoy =
            Envoy::start(binary, folder, block.envoy(), block.ads(true)).expect("Envoy starts");
        let bootstrap = Bootstrap::sidecar("ours", "default", block.ours(), control);
        let own = outside(runtime, "ours", &events);
        let secrets = Secrets::new(own.clone());
        tasks.push(env.spawn_owned("ours", async move {
            shakedown_proxy::run(own, bootstrap, ResourceCache::default(), secrets)
                .await
                .expect("the block is ours");
        }));
        Ok(World {
            case,
            env,
            block,
            upstreams,
            journal,
            envoy,
            events,
            envoy_refuses,
            status,
            fixtures,
            _tasks: tasks,
        })
    }
}

fn outside(runtime: &Runtime, name: &str, events: &Events) -> Env {
    let events = Arc::clone(events);
    let options = HostOptions {
        on_event: Some(Arc::new(move |_, _, event| {
            events
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(event);
        })),
        ..HostOptions::new(name)
    };
    runtime.host(options).expect("a host")
}

fn upstreams(
    env: &Env,
    case: &Case,
    hosts: &[Host],
    block: Block,
    journal: &Journal,
) -> Vec<Running> {
    let inbound = matches!(case.config, Config::Inbound(_));
    let mut running = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        let at = if inbound {
            vec![
                (block.envoy(), APP_PORT).into(),
                (block.ours(), APP_PORT).into(),
            ]
        } else {
            vec![block.upstream(index)]
        };
        for address in at {
            let script = Script {
                host: host.name.into(),
                service: host.service.into(),
                acts: host.acts.clone(),
                manner: host.manner,
            };
            let started = upstream::start(env, address, script, journal);
            running.push(started.expect("the block is ours"));
        }
    }
    running
}
