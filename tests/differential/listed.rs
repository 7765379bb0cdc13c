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
    why: "Envoy names itself in every answer; we are no Envoy, and leave the app's own name",
}];

/// Differences accepted in some cases.
pub(crate) const LISTED: &[Listed] = &[
    Listed {
        cases: &[
            "framing: the two greatest lengths of a request",
            "framing: the greatest length of an answer",
        ],
        fields: &["*"],
        why: "hyper counts to 2^64-3; a longer body, which nobody could send, is refused as one of 2^64 is",
    },
    Listed {
        cases: &[
            "framing: chunks of requests that are none",
            "framing: chunks of requests with bare line feeds",
            "framing: trailers of requests that are none",
        ],
        fields: &["reached*"],
        why: "Envoy sends a head on before it has parsed the body behind it, and then cuts that request off; our proxy takes in \
              the part of a body that came together with its head first, and a fault in it is answered before a host is chosen",
    },
    Listed {
        cases: &["framing: answers without a body"],
        fields: &["header content-length"],
        why: "hyper writes no length with a 304",
    },
    Listed {
        cases: &["framing: answers to HEAD"],
        fields: &["header transfer-encoding"],
        why: "hyper writes no coding of a body that it does not send",
    },
    Listed {
        cases: &["framing: a status of four digits"],
        fields: &["*"],
        why: "Envoy sends it on, and no caller can read it; here it is a 502, as one of two digits is",
    },
    Listed {
        cases: &["framing: lengths of requests over HTTP/2"],
        fields: &["*"],
        why: "h2 resets the stream before anybody learns of the request; Envoy has begun with it, or ends the connection",
    },
    Listed {
        cases: &["framing: characters that h2 takes for no path"],
        fields: &["*"],
        why: "the http crate, by which h2 reads `:path`, refuses `<`, `>` and a backtick, and a quotation mark in a query; h2 \
              resets the stream before anybody learns of the request, and shows no header as it came: to see the path would \
              take a second HPACK decoder for each connection",
    },
    Listed {
        cases: &["framing: fragments over HTTP/2"],
        fields: &["*"],
        why: "the http crate, by which h2 reads `:path`, drops a fragment without a trace: the rest is forwarded, and the \
              fragment reaches nobody",
    },
    Listed {
        cases: &["another protocol that nobody has asked for"],
        fields: &["*"],
        why: "Envoy passes a 101 that nobody has asked for as if it were an answer; here it breaks HTTP's rules, and is a 502",
    },
];

/// Unsupported configurations.
pub(crate) const PENDING: &[Pending] = &[];
