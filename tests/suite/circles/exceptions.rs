//! The circles of imports that exist. The list may only become shorter.

/// The folder of a crate, the files of a circle relative to its `src` in alphabetical order, and the reason.
pub(super) const EXCEPTIONS: [(&str, &[&str], &str); 5] = [
    (
        "sim/runner",
        &["app.rs", "app/connection.rs", "app/steps.rs"],
        "files below use types of app.rs, which uses them",
    ),
    (
        "scenarios",
        &[
            "check/resolve.rs",
            "check/resolve/temporal.rs",
            "check/resolve/units.rs",
        ],
        "files below use types of check/resolve.rs, which uses them",
    ),
    (
        "mesh/proxy",
        &["state/health.rs", "state/host.rs", "state/upstream.rs"],
        "a host, its health and its cluster refer to each other",
    ),
    (
        "mesh/wire",
        &[
            "body.rs",
            "body/replay.rs",
            "framing.rs",
            "framing/response.rs",
            "pool.rs",
            "pool/connection.rs",
            "pool/error.rs",
            "pool/http1.rs",
            "pool/http2.rs",
            "pool/lease.rs",
            "pool/open.rs",
            "pool/waiting.rs",
        ],
        "a body may hold a lease of a pooled connection, and the pool, its connections, leases and protocols use each other",
    ),
    (
        "mesh/istio",
        &[
            "fields.rs",
            "lib.rs",
            "manifest.rs",
            "meta.rs",
            "omission.rs",
            "registry.rs",
        ],
        "the registry contains the documents of lib.rs, whose fields are checked against the registry",
    ),
];
