//! The circles of imports that exist. The list may only become shorter.

/// The folder of a crate, the files of a circle relative to its `src` in alphabetical order, and the reason.
pub(super) const EXCEPTIONS: [(&str, &[&str], &str); 1] = [(
    "mesh/wire",
    &[
        "pool.rs",
        "pool/connection.rs",
        "pool/error.rs",
        "pool/http1.rs",
        "pool/http2.rs",
        "pool/lease.rs",
        "pool/open.rs",
        "pool/response_body.rs",
        "pool/waiting.rs",
    ],
    "the pool, its connections, its requests and their protocols use each other",
)];
