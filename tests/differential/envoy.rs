//! A real Envoy as a peer: where it is found, how it is started, what it tells of its requests.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::seen::Fact;

/// The port of its admin interface.
pub(crate) const ADMIN_PORT: u16 = 15000;
/// Holds Envoy as a child and ends it when its own standard input does: nothing is left behind when the test dies.
const WRAPPER: &str = r#""$0" "$@" </dev/null & pid=$!; cat >/dev/null; kill -9 $pid; wait $pid"#;

/// The binary: of `SHAKEDOWN_ENVOY`, or of a virtual environment in this repository.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("SHAKEDOWN_ENVOY") {
        return Some(PathBuf::from(path)).filter(|path| path.is_file());
    }
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    [root.join("target/envoy-venv"), root.join(".venv")]
        .iter()
        .find_map(|venv| {
            // lib/python3.11/site-packages/envoy/_bin/envoy; the launcher in bin/ would only start that.
            let pythons = fs::read_dir(venv.join("lib")).ok()?;
            let binary =
                |python: fs::DirEntry| python.path().join("site-packages/envoy/_bin/envoy");
            pythons.flatten().map(binary).find(|path| path.is_file())
        })
}

/// An Envoy that runs. Dropping it ends it.
pub(crate) struct Envoy {
    wrapper: Child,
    log: PathBuf,
    folder: PathBuf,
}

impl Envoy {
    /// Starts one as the sidecar of a pod at `address`, with its files in `folder`.
    pub(crate) fn start(
        binary: &Path,
        folder: &Path,
        address: IpAddr,
        ads: SocketAddr,
    ) -> io::Result<Envoy> {
        let bootstrap = folder.join("bootstrap.json");
        fs::write(&bootstrap, bootstrap_of(address, ads).to_string())?;
        let said = fs::File::create(folder.join("envoy.err"))?;
        let wrapper = Command::new("sh")
            .args(["-c", WRAPPER])
            .arg(binary)
            .arg("-c")
            .arg(&bootstrap)
            .args(
                "--concurrency 1 --use-dynamic-base-id --file-flush-interval-msec 20 -l warning"
                    .split(' '),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()?;
        Ok(Envoy {
            wrapper,
            log: folder.join("access.log"),
            folder: folder.to_owned(),
        })
    }

    /// Where its access log is to be written.
    pub(crate) fn log_in(folder: &Path) -> String {
        folder.join("access.log").display().to_string()
    }

    /// What it has written of its requests.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(fact).collect()
    }

    /// What it said when it failed.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.join("envoy.err")).unwrap_or_default()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        drop(self.wrapper.stdin.take());
        // Whatever it says about its end, it has ended.
        let _ = self.wrapper.wait();
    }
}

fn fact(line: &str) -> Option<Fact> {
    let mut fields = line.split('\t').map(str::to_owned);
    Some(Fact {
        id: fields.next()?,
        code: fields.next()?,
        flags: fields.next()?,
        details: fields.next()?,
        cluster: fields.next()?,
        attempts: fields.next()?,
    })
}

fn bootstrap_of(address: IpAddr, ads: SocketAddr) -> serde_json::Value {
    let socket =
        |at: SocketAddr| json!({"socket_address": {"address": at.ip(), "port_value": at.port()}});
    let from_ads = json!({"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"});
    json!({
        "node": {
            "id": format!("sidecar~{address}~envoy.default~default.svc.cluster.local"),
            "cluster": "envoy",
        },
        "admin": {"address": socket(SocketAddr::new(address, ADMIN_PORT))},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            },
            "cds_config": from_ads,
            "lds_config": from_ads,
        },
        "static_resources": {"clusters": [{
            "name": "xds",
            "type": "STATIC",
            "connect_timeout": "5s",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}},
                },
            },
            "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(ads)}}]}]},
        }]},
    })
}
