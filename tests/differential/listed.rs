//! The accepted differences between our proxy and Envoy, with reasons. Any other difference fails the test.

/// Cases that may differ in these fields, and otherwise only in fields of other entries. An entry whose cases no longer
/// differ must be removed.
pub(crate) struct Listed {
    pub(crate) cases: &'static [&'static str],
    /// The fields; a final `*` matches any suffix.
    pub(crate) fields: &'static [&'static str],
    /// The reason for the difference.
    pub(crate) why: &'static str,
}

/// A field that no case compares.
pub(crate) struct Everywhere {
    pub(crate) field: &'static str,
    /// The reason for the exception.
    pub(crate) why: &'static str,
}

/// Cases whose configuration our side refuses with an error.
pub(crate) struct Pending {
    pub(crate) cases: &'static [&'static str],
    /// The missing feature.
    pub(crate) why: &'static str,
}

/// Differences accepted in all cases.
pub(crate) const EVERYWHERE: &[Everywhere] = &[Everywhere {
    field: "header server",
    why: "Envoy sets its own name in every response; our proxy keeps the app's",
}];

/// Differences accepted in some cases.
pub(crate) const LISTED: &[Listed] = &[
    Listed {
        cases: &[
            "framing: the two greatest lengths of a request",
            "framing: the greatest length of an answer",
        ],
        fields: &["*"],
        why: "hyper supports lengths up to 2^64-3; a longer body, which is impossible to send, is refused like one of 2^64",
    },
    Listed {
        cases: &[
            "framing: malformed chunks of requests",
            "framing: chunks of requests with bare line feeds",
            "framing: malformed trailers of requests",
        ],
        fields: &["reached*"],
        why: "Envoy forwards a head before it has parsed the body, and then resets that request; our proxy first parses the part \
              of a body that arrived together with its head, and answers an error in it before it selects a host",
    },
    Listed {
        cases: &["framing: responses without a body"],
        fields: &["header content-length"],
        why: "hyper does not write a content length for a 304",
    },
    Listed {
        cases: &["framing: responses to HEAD"],
        fields: &["header transfer-encoding"],
        why: "hyper does not write the transfer coding of a body that it does not send",
    },
    Listed {
        cases: &["framing: a status of four digits"],
        fields: &["*"],
        why: "Envoy forwards it, although no client can parse it; our proxy returns a 502, as for a status of two digits",
    },
    Listed {
        cases: &["framing: lengths of requests over HTTP/2"],
        fields: &["*"],
        why: "h2 resets the stream before our proxy sees the request; Envoy has started to process it, or ends the connection",
    },
    Listed {
        cases: &["framing: path characters that h2 refuses"],
        fields: &["*"],
        why: "the http crate, with which h2 parses `:path`, refuses `<`, `>` and a backtick, and a quotation mark in a query; h2 \
              resets the stream before our proxy sees the request, and does not expose raw headers: reading the path would \
              require a second HPACK decoder for each connection",
    },
    Listed {
        cases: &["framing: fragments over HTTP/2"],
        fields: &["*"],
        why: "the http crate, with which h2 parses `:path`, silently drops a fragment: the rest is forwarded without it",
    },
    Listed {
        cases: &["another protocol that was not requested"],
        fields: &["*"],
        why: "Envoy forwards a 101 that was not requested like any response; our proxy returns a 502, because it violates HTTP",
    },
];

/// Unsupported configurations.
pub(crate) const PENDING: &[Pending] = &[];
