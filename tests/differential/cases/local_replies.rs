//! Answers that the proxy gives by itself.

use crate::case::{Case, get, grpc, host, mesh};
use crate::upstream::{Act, Manner, status};

/// The table.
pub(super) fn cases() -> Vec<Case> {
    vec![
        mesh("a plain request is answered").get("/").wants("200 -"),
        mesh("no endpoint: UH").empty("app").get("/").wants("503 UH"),
        mesh("an upstream that refuses: UF")
            .routes("[{TO_APP, retries: {attempts: 0}}]")
            .host(host("a").is(Manner::Refuses))
            .get("/")
            .wants("503 UF"),
    ]
}
