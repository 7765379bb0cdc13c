//! Where our proxy differs from Envoy, and why that stands. Everything that differs is here, or it fails.

/// Cases that differ in these fields, and in no other but what other entries name. One that does not differ any more must be
/// struck.
pub(crate) struct Listed {
    /// Their names.
    pub(crate) cases: &'static [&'static str],
    /// The fields; `*` at an end stands for anything.
    pub(crate) fields: &'static [&'static str],
    /// Why.
    pub(crate) why: &'static str,
}

/// A field that is compared in no case.
pub(crate) struct Everywhere {
    /// The field.
    pub(crate) field: &'static str,
    /// Why.
    pub(crate) why: &'static str,
}

/// Cases whose configuration our side refuses, so that it says so and does nothing wrong.
pub(crate) struct Pending {
    /// Their names.
    pub(crate) cases: &'static [&'static str],
    /// What it takes.
    pub(crate) why: &'static str,
}

/// Accepted everywhere.
pub(crate) const EVERYWHERE: &[Everywhere] = &[Everywhere {
    field: "header server",
    why: "Envoy names itself in every answer; we are no Envoy, and leave the app's own name",
}];

/// Accepted in some cases.
pub(crate) const LISTED: &[Listed] = &[
    Listed {
        cases: &["HTTP/1.0: 426"],
        fields: &["*"],
        why: "HTTP/1.0 is served: hyper speaks it, and nothing of ours forbids it",
    },
    Listed {
        cases: &["a length and chunks: 400"],
        fields: &["*"],
        why: "hyper drops the length and takes the chunks, as RFC 9112 (section 6.3) allows",
    },
    Listed {
        cases: &[
            "CONNECT that nothing takes: 404",
            "an upgrade that is not allowed: 403",
        ],
        fields: &["*"],
        why: "CONNECT and upgrades are not known to the proxy yet: it takes them for plain requests",
    },
    Listed {
        cases: &["a target that is no path: 404"],
        fields: &["*"],
        why: "`OPTIONS *` is routed as a path",
    },
    Listed {
        cases: &["a fragment in the path: 400"],
        fields: &["*"],
        why: "the http crate drops a fragment before the proxy sees the target",
    },
    Listed {
        cases: &["two hosts"],
        fields: &["*"],
        why: "several host headers are not joined: the first one counts",
    },
    Listed {
        cases: &["an empty host"],
        fields: &["*"],
        why: "an empty host is answered as a missing one, with 400",
    },
    Listed {
        cases: &["an idle stream in the request's body: 408 SI"],
        fields: &["*"],
        why: "a body is taken in before a connection is sought, so that nothing of an unfinished one reaches the app",
    },
    Listed {
        cases: &[
            "no HTTP: 400",
            "a space in a header's name: 400",
            "more than a hundred headers: 431",
        ],
        fields: &[
            "body",
            "details",
            "header content-length",
            "header content-type",
            "header date",
        ],
        why: "hyper answers what it cannot parse by itself: the status and the close, without a text",
    },
    Listed {
        cases: &[
            "a chunked body goes through",
            "HTTP/2: a body",
            "HTTP/2 upstream: a call of gRPC",
            "HTTP/2 upstream: a call of gRPC that fails at once",
            "HTTP/2 upstream: a stream that is reset, to gRPC",
            "HTTP/2 upstream: unavailable is tried again",
            "HTTP/2 upstream: a timeout",
            "a service of HTTP/2: unavailable is tried again by default",
            "a service of HTTP/2: unavailable after a message is not tried again",
        ],
        fields: &[
            "reached 1 header content-length",
            "reached 2 header content-length",
            "reached 1 header transfer-encoding",
        ],
        why: "hyper says nothing of a body that is not there (HTTP/1.1), or 0 (HTTP/2), and knows the length of one that was kept",
    },
    Listed {
        cases: &[
            "mirror: the other gets a copy",
            "mirror: its failure harms nobody",
            "mirror: two of them",
        ],
        fields: &[
            "reached 2 header x-envoy-attempt-count",
            "reached 3 header x-envoy-attempt-count",
        ],
        why: "a mirror's request does not count tries",
    },
    Listed {
        cases: &["redirect: a prefix"],
        fields: &["header location"],
        why: "a redirect's path that does not begin with a slash gets none",
    },
];

/// Not supported yet.
pub(crate) const PENDING: &[Pending] = &[
    Pending {
        cases: &[
            "the timeout that an internal caller asks for counts",
            "what an internal caller asks of retries counts",
            "use_remote_address: an external caller",
            "use_remote_address: an internal caller",
            "an internal caller by x-forwarded-for",
            "an internal caller's timeouts",
        ],
        why: "`use_remote_address` and `internal_address_config`: every caller is external",
    },
    Pending {
        cases: &[
            "a request that does not end: 408",
            "headers that do not end: 408",
        ],
        why: "a bound for reading a request",
    },
    Pending {
        cases: &[
            "a stream's longest duration",
            "a route's longest stream duration",
            "grpc-timeout, as far as the route allows",
        ],
        why: "a bound for a whole stream",
    },
    Pending {
        cases: &["the router adds nothing, if so asked"],
        why: "settings of the router",
    },
    Pending {
        cases: &["a host that is rewritten by the route's header"],
        why: "a host by a header of the request",
    },
];
