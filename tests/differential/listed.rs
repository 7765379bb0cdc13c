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
        cases: &["a port of the authority, where it is ignored"],
        fields: &["*"],
        why: "an authority whose port is no number keeps it",
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
        cases: &["no host: 400"],
        fields: &["end", "header connection"],
        why: "the connection is left open after a request without a host",
    },
    Listed {
        cases: &[
            "no endpoint: UH",
            "a host that is not healthy is no endpoint: UH",
            "gRPC: no endpoint",
            "no endpoint is not tried again",
            "three 5xx in a row eject",
            "gateway errors eject; a 500 is none",
            "refused connects eject",
            "closes before headers eject",
            "timeouts eject as gateway errors",
            "split: refused connects count as local",
            "every try counts",
            "without a merge window an ejection holds for the next request",
            "with the default merge window the first ejection",
            "with the default merge window a second ejection waits for its end",
            "Envoy's default is five 5xx",
            "at least one host may be ejected, if so asked",
            "too large a share of failures ejects on the tick",
            "a subset without endpoints: UH",
            "headers: on a local reply",
            "fault: a delay and then no endpoint",
            "HTTP/2: no endpoint",
            "HTTP/2: gRPC and no endpoint",
            "subsets: a label that no host has, and no fallback: UH",
            "subsets: no label is asked for, and no fallback: UH",
        ],
        fields: &["attempts"],
        why: "a request for which no host was found counts no try",
    },
    Listed {
        cases: &[
            "an upstream that refuses: UF",
            "an upstream that refuses, by Istio's default: two retries, URX UF",
            "a HEAD request's local reply has no body",
            "gRPC: an upstream that refuses",
            "refused connects eject",
            "split: refused connects count as local",
            "split: refused connects do not count as 5xx",
            "fault: a delay and then a refused connect",
            "HTTP/2: an upstream that refuses",
            "HTTP/2 upstream: nobody listens",
            "inbound: the app refuses",
        ],
        fields: &["details"],
        why: "why a connect failed is not told behind `remote_connection_failure`",
    },
    Listed {
        cases: &[
            "an answer cut short in its body",
            "a chunked answer cut short",
            "what began is not tried again",
            "HTTP/2: an answer cut short",
        ],
        fields: &["details", "flags"],
        why: "an answer cut short is told as a closed connection, not as a broken protocol: hyper says no more",
    },
    Listed {
        cases: &[
            "a route's timeout in the body of the answer",
            "a try's timeout does not bound the body",
            "an idle stream in the answer's body",
        ],
        fields: &["details"],
        why: "what ended an answer in its body shows in the flags, not in the details",
    },
    Listed {
        cases: &[
            "unknown cluster: NC",
            "unknown cluster with a status of its own",
            "gRPC: unknown cluster",
        ],
        fields: &["cluster"],
        why: "a cluster that is not known is told by the name that the route has for it",
    },
    Listed {
        cases: &[
            "gRPC: an answer of the route's own, 400",
            "fault: a delay and an abort",
        ],
        fields: &["header connection"],
        why: "a local reply of status 400 does not close the connection",
    },
    Listed {
        cases: &["an answer's trailers"],
        fields: &["flags"],
        why: "an answer whose trailers HTTP/1.1 cannot pass on is told as broken off",
    },
    Listed {
        cases: &[
            "a chunked body goes through",
            "gRPC: closed before headers",
            "gRPC: no HTTP from the upstream",
            "gRPC: a route's timeout",
            "gRPC: the app's own 503 passes",
            "an idle stream, to gRPC",
            "a POST is tried again, too",
            "retry on cancelled: grpc-status 1",
            "retry on deadline-exceeded: grpc-status 4",
            "retry on resource-exhausted: grpc-status 8",
            "retry on internal: grpc-status 13",
            "retry on unavailable: grpc-status 14",
            "retry on unavailable: grpc-status 2",
            "retry on 5xx: grpc-status 14",
            "to gRPC an overflow is unavailable",
            "a method",
            "a method by regular expression",
            "cors: a preflight of another origin",
            "cors: OPTIONS that is no preflight",
            "cors: an origin by regular expression",
            "rate limit: to gRPC",
            "rate limit: gRPC's resource exhausted, if so asked",
            "HTTP/2: a body",
            "HTTP/2: gRPC and a timeout",
            "HTTP/2 upstream: a call of gRPC",
            "HTTP/2 upstream: a call of gRPC that fails at once",
            "HTTP/2 upstream: a stream that is reset, to gRPC",
            "HTTP/2 upstream: unavailable is tried again",
            "HTTP/2 upstream: a timeout",
            "a service of HTTP/2: unavailable is tried again by default",
            "a service of HTTP/2: unavailable after a message is not tried again",
            "inbound: gRPC",
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
        cases: &["headers of one hop are dropped from the answer"],
        fields: &["header x-drop"],
        why: "what `connection` names in an answer is dropped, as RFC 9110 (section 7.6.1) asks",
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
