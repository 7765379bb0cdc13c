//! A real Envoy as the peer of comparison: finds the binary, starts it, and reads its access log.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::seen::Fact;

/// The port of Envoy's admin interface.
pub(crate) const ADMIN_PORT: u16 = 15000;
/// Runs Envoy as a child of a shell and kills it when the shell's standard input closes, so that it never outlives the
/// test.
const WRAPPER: &str = r#""$0" "$@" </dev/null & pid=$!; cat >/dev/null; kill -9 $pid; wait $pid"#;

/// Finds the binary: `SHAKEDOWN_ENVOY`, or in a virtual environment of this repository.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("SHAKEDOWN_ENVOY") {
        return Some(PathBuf::from(path)).filter(|path| path.is_file());
    }
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    [root.join("target/envoy-venv"), root.join(".venv")]
        .iter()
        .find_map(|venv| {
            // The path is lib/python3.11/site-packages/envoy/_bin/envoy. The launcher in bin/ only starts this binary.
            let pythons = fs::read_dir(venv.join("lib")).ok()?;
            let binary =
                |python: fs::DirEntry| python.path().join("site-packages/envoy/_bin/envoy");
            pythons.flatten().map(binary).find(|path| path.is_file())
        })
}

/// A running Envoy. Dropping it ends the process.
pub(crate) struct Envoy {
    wrapper: Child,
    log: PathBuf,
    folder: PathBuf,
}

impl Envoy {
    /// Starts Envoy as the sidecar of a pod at `address`, with its files in `folder`.
    pub(crate) fn start(
        binary: &Path,
        folder: &Path,
        address: IpAddr,
        ads: SocketAddr,
    ) -> io::Result<Envoy> {
        let bootstrap = folder.join("bootstrap.json");
        fs::write(&bootstrap, bootstrap_of(address, ads).to_string())?;
        let stderr = fs::File::create(folder.join("envoy.err"))?;
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
            .stderr(stderr)
            .spawn()?;
        Ok(Envoy {
            wrapper,
            log: folder.join("access.log"),
            folder: folder.to_owned(),
        })
    }

    /// The path of the access log.
    pub(crate) fn log_in(folder: &Path) -> String {
        folder.join("access.log").display().to_string()
    }

    /// The access log's complete lines.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        // The last line may be incomplete.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(fact).collect()
    }

    /// Envoy's standard error.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.folder.join("envoy.err")).unwrap_or_default()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        drop(self.wrapper.stdin.take());
        // The exit status does not matter.
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
