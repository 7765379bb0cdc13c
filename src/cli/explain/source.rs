//! Loads the mesh that `explain` is asked about: from mesh documents alone, or from a scenario with its services.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use shakedown_analysis::advise;
use shakedown_analysis::explain::{ExplainedRequest, SenderWorkload};
use shakedown_istio::registry::{
    Endpoint, Hostname, Locality, Mesh, MeshOptions, Port, Registry, Service, Workload,
    augment_labels,
};
use shakedown_istio::{Document, Omission};
use shakedown_results::Pod;
use shakedown_scenarios::scenario::{LoadSpec, ParticipantRole, ResolvedScenario};
use shakedown_scenarios::{Edits, load};
use shakedown_translate::{Caller, validate};
use shakedown_yaml::suggest;

use crate::cli::fault::words;
use crate::cli::input::{InputKind, MeshFiles, inputs};

/// The mesh, as far as the inputs describe it.
pub(super) struct MeshSource {
    pub(super) mesh: Mesh,
    pub(super) warnings: Vec<String>,
    /// Parts of the documents that are not modelled.
    pub(super) omissions: Vec<Omission>,
    /// True if the services are those of a scenario, and so complete.
    complete: bool,
    /// The address of the first pod of each of a scenario's loads. Loads belong to no service.
    loads: BTreeMap<String, IpAddr>,
}

impl MeshSource {
    /// Reads all paths as one mesh.
    pub(super) fn read(
        paths: &[PathBuf],
        edits: &Edits,
        request: &ExplainedRequest,
    ) -> Result<MeshSource, String> {
        let mut known = MeshSource {
            mesh: Mesh::default(),
            warnings: Vec::new(),
            omissions: Vec::new(),
            complete: false,
            loads: BTreeMap::new(),
        };
        let mut files = MeshFiles::default();
        for input in inputs(paths)? {
            match input.held() {
                InputKind::Mesh(bytes) => files.read(&input.name(), &bytes),
                InputKind::Other(omission) => files.omissions.push(omission),
                InputKind::Scenario => known.scenario(&input.path(), &input.name(), edits)?,
            }
        }
        if !known.complete && *edits != Edits::default() {
            return Err(
                "invalid --variant or --set: no scenario is given; expected one in --config".into(),
            );
        }
        known.omissions.append(&mut files.omissions);
        if !known.complete {
            known.mesh.registry = files.declared();
        }
        known.mesh.documents.append(&mut files.documents);
        let mut problems = files.problems;
        if problems.is_empty() {
            problems.append(validate(&known.mesh));
        }
        if !problems.is_empty() {
            return Err(problems.sorted().to_string());
        }
        if !known.complete && known.mesh.registry.services.is_empty() {
            known.mesh.registry = Registry::named_by(&known.mesh.documents, request.port());
            known.mesh.registry.extend(&files.services);
        }
        known.warn_of_documents();
        known.warn_of_canaries();
        Ok(known)
    }

    fn scenario(&mut self, path: &str, name: &str, edits: &Edits) -> Result<(), String> {
        if self.complete {
            return Err(format!(
                "{name}: more than one scenario is given; expected at most one, because a scenario defines all services"
            ));
        }
        let scenario = load(path, edits).map_err(words)?;
        self.warnings
            .extend(scenario.warnings.iter().map(ToString::to_string));
        (self.mesh.registry, self.loads) = registry(&scenario);
        self.mesh.options = MeshOptions {
            root_namespace: scenario.control.root_namespace.clone(),
            trust_domain: scenario.control.trust_domain.clone(),
            outbound_allow_any: scenario.control.outbound_allow_any,
            destination_rules_for: scenario.control.destination_rules_for,
            virtual_services_for: scenario.control.virtual_services_for,
            ..MeshOptions::default()
        };
        self.mesh.documents.extend(scenario.mesh);
        self.omissions.extend(scenario.omissions);
        self.complete = true;
        Ok(())
    }

    /// Adds the analysis' advice for the mesh documents. A scenario's own documents were checked when it was loaded.
    fn warn_of_documents(&mut self) {
        for advice in advise(&self.mesh).iter().map(ToString::to_string) {
            if !self.warnings.contains(&advice) {
                self.warnings.push(advice);
            }
        }
    }

    fn warn_of_canaries(&mut self) {
        for document in &self.mesh.documents {
            if let Document::Canary(canary) = document {
                self.warnings.push(format!(
                    "{}: the resources that the control plane generates for this Canary are not considered",
                    canary.place
                ));
            }
        }
    }

    /// Returns the pod of the given workload name, or a pod outside of all services without a name.
    pub(super) fn sender(&self, name: Option<&str>) -> Result<SenderWorkload, String> {
        let Some(name) = name else {
            return Ok(SenderWorkload::default());
        };
        let (short, namespace) = name.split_once('.').unwrap_or((name, "default"));
        if !self.complete {
            return Ok(SenderWorkload {
                caller: Caller {
                    namespace: namespace.into(),
                    labels: BTreeMap::from([("app".into(), short.into())]),
                },
                ..SenderWorkload::default()
            });
        }
        let registry = &self.mesh.registry;
        let hostname = Hostname::for_service(short, namespace);
        if let Some(service) = registry.service(hostname.as_str()) {
            let first = service.endpoints.first();
            return Ok(first.map_or_else(SenderWorkload::default, |first| {
                SenderWorkload::at(registry, first.address.ip())
            }));
        }
        if let Some(address) = self.loads.get(name) {
            return Ok(SenderWorkload::at(registry, *address));
        }
        let services = registry.services.values();
        let names = services.map(|service| match service.namespace.as_str() {
            "default" => service.name.clone(),
            namespace => format!("{}.{namespace}", service.name),
        });
        let names: Vec<String> = names.chain(self.loads.keys().cloned()).collect();
        let hint = suggest::hint(name, names.iter().map(String::as_str));
        Err(format!("invalid --from: no service `{name}`: {hint}"))
    }
}

/// Builds the registry of a scenario's services, with replicas at the addresses of a simulated run, and returns the
/// address of the first pod of each load.
fn registry(scenario: &ResolvedScenario) -> (Registry, BTreeMap<String, IpAddr>) {
    let mut registry = Registry::new();
    for service in &scenario.services {
        registry.insert(Service::new(
            &service.name,
            &service.namespace,
            vec![Port::http(service.port)],
        ));
    }
    let mut loads = BTreeMap::new();
    let participants = shakedown_scenarios::list_participants(scenario, &[]);
    for (number, pod) in participants.pods.iter().enumerate() {
        let service = match scenario.role(pod.participant) {
            ParticipantRole::Service(service) => service,
            ParticipantRole::Load(load) => {
                let load = scenario.load(load);
                let first = loads.entry(load.name.clone());
                first.or_insert_with(|| address(number));
                registry
                    .clients
                    .insert(address(number), client(load, locality(scenario, pod)));
                continue;
            }
            ParticipantRole::Control | ParticipantRole::Host(_) => continue,
        };
        let version = scenario.version(service, pod.version.into());
        let service = scenario.service(service);
        let locality = locality(scenario, pod);
        let endpoint = Endpoint {
            address: SocketAddr::new(address(number), service.port),
            labels: augment_labels(&locality, version.labels.clone()),
            locality,
            ready: true,
            workload: format!("{}-{}", service.name, version.name),
        };
        let hostname = Hostname::for_service(&service.name, &service.namespace);
        if let Some(known) = registry.services.get_mut(&hostname) {
            known.endpoints.push(endpoint);
        }
    }
    (registry, loads)
}

/// The workload of a load's pod.
fn client(load: &LoadSpec, locality: Locality) -> Workload {
    let labels = BTreeMap::from([("app".to_owned(), load.name.clone())]);
    Workload {
        namespace: load.namespace.clone(),
        labels: augment_labels(&locality, labels),
        locality,
    }
}

fn locality(scenario: &ResolvedScenario, pod: &Pod) -> Locality {
    let zone = &scenario.zones[usize::from(pod.zone)];
    Locality {
        region: zone.region.clone(),
        zone: zone.name.clone(),
        subzone: zone.subzone.clone(),
    }
}

/// The address of a pod in a simulated run.
fn address(number: usize) -> IpAddr {
    let number = u32::try_from(number).expect("pods are numbered in 32 bits");
    let base = u32::from_be_bytes([10, 0, 0, 0]);
    IpAddr::V4(Ipv4Addr::from_bits(
        base + number / 254 * 256 + number % 254 + 1,
    ))
}
