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
        cases: &["a length and chunks: 400"],
        fields: &["*"],
        why: "hyper drops the length and takes the chunks, as RFC 9112 (section 6.3) allows",
    },
    Listed {
        cases: &["a fragment in the path: 400"],
        fields: &["*"],
        why: "the http crate drops a fragment before the proxy sees the target",
    },
    Listed {
        cases: &["another protocol that nobody has asked for"],
        fields: &["*"],
        why: "Envoy passes a 101 that nobody has asked for as if it were an answer; here it breaks HTTP's rules, and is a 502",
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
];

/// Not supported yet.
pub(crate) const PENDING: &[Pending] = &[];
