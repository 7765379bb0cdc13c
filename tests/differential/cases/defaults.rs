//! Cases of Istio's defaults: known hosts, dangling references, path normalisation.

use crate::case::{Case, get, host, mesh};

pub(super) fn cases() -> Vec<Case> {
    let mut all = paths();
    all.extend(hosts());
    all.extend(references());
    all
}

const YES: &str = "route: [{destination: {host: yes-svc}}]";

/// Adds the services `app`, and `yes-svc` for requests that a document routes there.
fn two(name: &'static str) -> Case {
    mesh(name).host(host("a")).host(host("yes").of("yes-svc"))
}

fn virtual_service(hosts: &str, http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v}}\nspec: {{hosts: {hosts}, http: {http}}}"
    )
}

fn paths() -> Vec<Case> {
    let to_yes = |name: &'static str| {
        two(name).routes(&format!(
            "[{{match: [{{uri: {{prefix: /x}}}}], {YES}}}, {{TO_APP}}]"
        ))
    };
    let each = |case: Case, paths: &[&str]| paths.iter().fold(case, |case, path| case.get(path));
    vec![
        each(
            to_yes("dot segments are resolved before routes are matched"),
            &[
                "/a/../x",
                "/a/./x",
                "/x/..",
                "/../../x",
                "/a//../x",
                "//x",
                "/x/./y/../z?q=../a",
            ],
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -, 200 -, 200 -"),
        each(
            to_yes("escaped dots are dots, and escaped slashes are not slashes"),
            &[
                "/a/%2e%2E/x",
                "/a/.%2e/x",
                "/a/%2e%2e%2fx",
                "/x%2f..",
                "/%252e%252e/x",
            ],
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -"),
        each(
            to_yes("a path's backslashes are slashes"),
            &["/a\\..\\x", "/x\\y", "/x?a\\b"],
        )
        .wants("200 -, 200 -, 200 -"),
        each(
            to_yes("unnecessary escapes are decoded, and necessary ones are added"),
            &[
                "/%78%41%7e%2d",
                "/x%20%c3%a9%7f",
                "/x{a}|^",
                "/x\"",
                "/x%zz%",
            ],
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -"),
        each(
            to_yes("dot segments lose their parameters"),
            &["/a/..;/x", "/a/..;p/x", "/a/.;p", "/a;p/x", "/a/%2e%2e;/x"],
        )
        .wants("200 -, 200 -, 200 -, 200 -, 200 -"),
        to_yes("a path with an escaped NUL is refused")
            .get("/x%00")
            .wants("400 -"),
        to_yes("a path is normalised of HTTP/2, too")
            .send(get("/a/../x").h2())
            .send(get("/a/%2e%2e/x%41").h2())
            .wants("200 -, 200 -"),
    ]
}

fn hosts() -> Vec<Case> {
    vec![
        two("a host in another spelling goes before the service of that name")
            .yaml(&virtual_service("[app.default]", &format!("[{{{YES}}}]")))
            .send(get("/").to("app.default"))
            .send(get("/").to("app.default.svc"))
            .send(get("/").to("app"))
            .wants("200 -, 200 -, 200 -"),
        two("a host in all spellings at once")
            .yaml(&virtual_service(
                "[app, app.default, app.default.svc, app.default.svc.cluster.local]",
                &format!("[{{{YES}}}]"),
            ))
            .send(get("/").to("app.default"))
            .send(get("/").to("app.default.svc.cluster.local"))
            .get("/")
            .wants("200 -, 200 -, 200 -"),
        two("a wildcard that no service has")
            .yaml(&virtual_service(
                "['*.shop.example']",
                &format!("[{{{YES}}}]"),
            ))
            .send(get("/").to("www.shop.example"))
            .send(get("/").to("www.shop.example:80"))
            .wants("200 -, 200 -"),
        two("the port of a host says nothing at port 80")
            .yaml(&virtual_service("[api.example]", &format!("[{{{YES}}}]")))
            .send(get("/").to("api.example:12345"))
            .send(get("/").to("api.example:80"))
            .wants("200 -, 200 -"),
        two("a service's absolute name")
            .send(get("/").to("app.default.svc.cluster.local."))
            .send(get("/").to("app.default.svc.cluster.local.:8080"))
            .wants("200 -, 200 -"),
        two("a service whose routes are all for other callers has its own")
            .routes(&format!(
                "[{{match: [{{sourceLabels: {{app: other}}}}], {YES}}}]"
            ))
            .caller("", &[("app", "web")])
            .get("/")
            .wants("200 -"),
    ]
}

fn references() -> Vec<Case> {
    let to = |name: &'static str, destination: &str| {
        mesh(name)
            .routes(&format!(
                "[{{route: [{{destination: {{{destination}}}}}]}}]"
            ))
            .get("/")
            .wants("503 NC")
    };
    vec![
        to("a service that does not exist: NC", "host: nobody"),
        to("a subset that does not exist: NC", "host: app, subset: v9"),
        to("a port that does not exist: NC", "host: app, port: {number: 81}"),
        mesh("a service that does not exist, for its share: NC")
            .routes("[{route: [{destination: {host: app}, weight: 50}, {destination: {host: nobody}, weight: 50}]}]")
            .get("/")
            .shares(200),
        mesh("a mirror that does not exist is not missed")
            .routes("[{TO_APP, mirror: {host: nobody}}]")
            .get("/")
            .wants("200 -"),
        mesh("a delegate that does not exist takes its route along")
            .routes("[{match: [{uri: {prefix: /a}}], delegate: {name: nobody}}, {TO_APP}]")
            .get("/a")
            .wants("200 -"),
    ]
}
