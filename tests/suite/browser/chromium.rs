//! Chromium, headless, spoken to over its debugging pipe: one JSON message after another, each ended by a zero byte.
//! Source: Chromium, `--remote-debugging-pipe`; the Chrome DevTools Protocol.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::command::folder;

/// The longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where Chromium is looked for.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser; dropping it ends it.
pub(crate) struct Chromium {
    process: Child,
    commands: File,
    messages: Receiver<Value>,
    last_id: u64,
}

/// A page that is open.
pub(crate) struct Page<'b> {
    browser: &'b mut Chromium,
    session: String,
    target: String,
    events: Vec<Value>,
}

impl Chromium {
    /// Starts it. `None`, with a word on stderr, where there is none.
    pub(crate) fn start() -> Option<Chromium> {
        let Some(program) = find() else {
            assert!(
                std::env::var_os("SHAKEDOWN_CI").is_none(),
                "CI needs Chromium: `.ci/run` installs it"
            );
            eprintln!("skipped: no Chromium here (install Debian's `chromium`)");
            return None;
        };
        let folder = folder("chromium");
        let (to, from) = (pipe(&folder, "to"), pipe(&folder, "from"));
        // The pipe's ends are descriptors 3 and 4 of the browser, which a shell can arrange.
        let process = Command::new("sh")
            .arg("-c")
            .arg("exec \"$0\" \"$@\" 3<\"$SHAKEDOWN_TO\" 4>\"$SHAKEDOWN_FROM\"")
            .arg(program)
            .args(["--headless", "--remote-debugging-pipe", "--no-sandbox"])
            .args([
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
            ])
            .arg(format!(
                "--user-data-dir={}",
                folder.join("profile").display()
            ))
            .env("SHAKEDOWN_TO", &to)
            .env("SHAKEDOWN_FROM", &from)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        let commands = File::options()
            .write(true)
            .open(to)
            .expect("the browser reads its pipe");
        let answers = File::open(from).expect("the browser writes its pipe");
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut answers = BufReader::new(answers);
            loop {
                let mut message = Vec::new();
                match answers.read_until(0, &mut message) {
                    Ok(1..) => {
                        message.pop();
                        let message = serde_json::from_slice(&message).expect("it speaks JSON");
                        if sender.send(message).is_err() {
                            return;
                        }
                    }
                    _ => return,
                }
            }
        });
        Some(Chromium {
            process,
            commands,
            messages,
            last_id: 0,
        })
    }

    /// Opens a file in a window of this width, under a colour scheme.
    pub(crate) fn open(&mut self, file: &Path, scheme: &str, width: u32) -> Page<'_> {
        let url = format!("file://{}", file.display());
        let mut events = Vec::new();
        let target = self.call(
            None,
            "Target.createTarget",
            json!({"url": "about:blank"}),
            &mut events,
        );
        let target = text(&target["targetId"]);
        let attach = json!({"targetId": target, "flatten": true});
        let session = self.call(None, "Target.attachToTarget", attach, &mut events);
        let session = text(&session["sessionId"]);
        events.clear();
        let mut page = Page {
            browser: self,
            session,
            target,
            events,
        };
        for domain in [
            "Page.enable",
            "Runtime.enable",
            "Log.enable",
            "Network.enable",
        ] {
            page.call(domain, json!({}));
        }
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        page.call("Emulation.setDeviceMetricsOverride", size);
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        page.call("Emulation.setEmulatedMedia", media);
        page.call("Page.navigate", json!({"url": url}));
        page.wait_for("Page.loadEventFired");
        page
    }

    fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
        events: &mut Vec<Value>,
    ) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = json!(session);
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands
            .write_all(&bytes)
            .expect("the browser listens");
        loop {
            let message = self.next();
            if message["id"] != json!(id) {
                events.push(message);
                continue;
            }
            assert!(message.get("error").is_none(), "{method}: {message}");
            return message["result"].clone();
        }
    }

    fn next(&self) -> Value {
        self.messages
            .recv_timeout(PATIENCE)
            .expect("the browser answers in time")
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Page<'_> {
    /// The value of an expression, which may be a promise.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let result = self.call("Runtime.evaluate", params);
        assert!(result.get("exceptionDetails").is_none(), "{result:#}");
        result["result"]["value"].clone()
    }

    /// What the page complained of, and what it asked of the network.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.events.iter().filter_map(complaint).collect()
    }

    /// Closes it.
    pub(crate) fn close(mut self) {
        let params = json!({"targetId": self.target});
        self.browser
            .call(None, "Target.closeTarget", params, &mut self.events);
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.browser
            .call(Some(&self.session), method, params, &mut self.events)
    }

    fn wait_for(&mut self, event: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.events.iter().any(|known| known["method"] == event) {
            assert!(Instant::now() < until, "no {event} in time");
            let message = self.browser.next();
            self.events.push(message);
        }
    }
}

fn complaint(event: &Value) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(format!("exception: {}", params["exceptionDetails"])),
        "Runtime.consoleAPICalled" => Some(format!("console: {}", params["args"])),
        "Log.entryAdded" => Some(format!("log: {}", params["entry"]["text"])),
        "Network.requestWillBeSent" => {
            let url = text(&params["request"]["url"]);
            let own = url.starts_with("file://") && params["type"] == "Document";
            (!own && !url.starts_with("data:")).then(|| format!("request: {url}"))
        }
        _ => None,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let files = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    files.into_iter().find(|file| file.is_file())
}

/// A named pipe of the test's.
fn pipe(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    path
}
