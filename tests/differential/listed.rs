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
pub(crate) const LISTED: &[Listed] = &[];

/// Not supported yet.
pub(crate) const PENDING: &[Pending] = &[];
