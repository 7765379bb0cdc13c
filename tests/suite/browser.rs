//! Opens reports in a headless Chromium, and checks that no texts overlap, that the cursor moves over every chart, that
//! the console is silent and that nothing is fetched. Without Chromium these tests are skipped, except in CI
//! (`SHAKEDOWN_CI` is set), where they fail.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::command::{folder, shakedown};

const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// The time limit of the browser process, in s.
const LIFE: &str = "120";
const WIDE: u32 = 1280;
const NARROW: u32 = 420;

/// Returns the texts of a drawing that overlap or exceed the page, and the page's horizontal overflow.
const OVERLAPS: &str = r#"(() => {
  const bad = [];
  for (const svg of document.querySelectorAll("svg")) {
    if (!svg.getBoundingClientRect().width) continue;
    const texts = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([words, a], i) => {
      if (a.left < -1 || a.right > innerWidth + 1) bad.push("beyond the page: " + words);
      for (const [others, b] of texts.slice(i + 1)) {
        if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3) bad.push(words + " on " + others);
      }
    });
  }
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) bad.push("too wide by " + wide);
  return JSON.stringify(bad);
})()"#;

/// Moves the cursor, then returns its position and reading in each chart.
const CURSOR: &str = r#"((part) => {
  const cursor = document.getElementById("cursor");
  cursor.value = Math.round(part * cursor.max);
  cursor.dispatchEvent(new Event("input", { bubbles: true }));
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
    const panels = [...document.querySelectorAll(".over .timed")].filter((panel) => panel.getBoundingClientRect().width);
    const lines = panels.map((panel) => {
      const [box, line] = [panel.getBoundingClientRect(), panel.querySelector("i.cursor").getBoundingClientRect()];
      return [Math.round(1000 * (line.left - box.left) / box.width), Math.round(line.height - box.height)];
    });
    const read = [...document.querySelectorAll(".over .v")].map((mark) => mark.textContent);
    done(JSON.stringify({ lines, read }));
  })));
})"#;

/// A browser, driven by the DevTools protocol over pipes on its file descriptors 3 and 4.
struct Browser {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    calls: u64,
    events: Vec<Value>,
}

impl Browser {
    /// Starts the browser. `None` if no Chromium is installed.
    fn start(home: &Path) -> Option<Browser> {
        let paths: Vec<_> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
        let name = NAMES
            .into_iter()
            .find(|name| paths.iter().any(|path| path.join(name).is_file()))?;
        let script = format!(
            "exec timeout {LIFE} {name} --headless=new --no-sandbox --disable-gpu --no-first-run \
             --user-data-dir=\"$0\" --remote-debugging-pipe about:blank 3<&0 4>&1 </dev/null >/dev/null 2>&1"
        );
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .arg(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        Some(Browser {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().expect("it is piped")),
            child,
            calls: 0,
            events: Vec::new(),
        })
    }

    fn call(&mut self, method: &str, params: Value, session: Option<&str>) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let input = self.input.as_mut().expect("it is open until the end");
        write!(input, "{message}\0").expect("the browser listens");
        input.flush().expect("the browser listens");
        loop {
            let answer = self.next();
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn next(&mut self) -> Value {
        let mut bytes = Vec::new();
        let read = self.output.read_until(0, &mut bytes);
        assert!(
            read.is_ok_and(|read| read > 0),
            "the browser has gone, or its {LIFE} s are over"
        );
        bytes.pop();
        serde_json::from_slice(&bytes).expect("the browser speaks JSON")
    }

    fn wait(&mut self, method: &str) {
        while !self.events.iter().any(|event| event["method"] == method) {
            let event = self.next();
            self.events.push(event);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser exits when its pipe is closed.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// An open page.
struct Page<'a> {
    browser: &'a mut Browser,
    session: String,
}

impl<'a> Page<'a> {
    fn open(browser: &'a mut Browser, path: &Path, scheme: &str, width: u32) -> Page<'a> {
        browser.events.clear();
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}), None);
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach, None);
        let session = session["sessionId"].as_str().expect("a session").to_owned();
        let mut page = Page { browser, session };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        let scheme = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        page.call("Emulation.setEmulatedMedia", json!({"features": scheme}));
        let metrics =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        page.call("Emulation.setDeviceMetricsOverride", metrics);
        let url = format!("file://{}", path.display());
        page.call("Page.navigate", json!({"url": url}));
        page.browser.wait("Page.loadEventFired");
        page
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.browser.call(method, params, Some(&self.session))
    }

    /// Evaluates a script that returns JSON as text.
    fn evaluate(&mut self, script: &str) -> Value {
        let params = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let result = self.call("Runtime.evaluate", params);
        let text = result["result"]["value"].as_str();
        let text = text.unwrap_or_else(|| panic!("{script}\n{result}"));
        serde_json::from_str(text).expect("the script writes JSON")
    }

    /// The page's network requests and console messages.
    fn trouble(&self) -> Vec<String> {
        let trouble = self.browser.events.iter().filter_map(|event| {
            let params = &event["params"];
            match event["method"].as_str()? {
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str()?;
                    let own = url.starts_with("file://") || url.starts_with("data:");
                    (!own).then(|| format!("fetches {url}"))
                }
                "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded" => {
                    Some(params.to_string())
                }
                _ => None,
            }
        });
        trouble.collect()
    }
}

/// Checks a page in both colour schemes and widths.
fn check_page(browser: &mut Browser, path: &Path) {
    for (scheme, width) in [("light", WIDE), ("dark", WIDE), ("light", NARROW)] {
        let who = format!("{}, {scheme}, {width} pixels", path.display());
        let mut page = Page::open(browser, path, scheme, width);
        assert_eq!(page.evaluate(OVERLAPS), json!([]), "{who}");
        let mut before = None;
        for part in ["0.25", "0.75"] {
            let seen = page.evaluate(&format!("{CURSOR}({part})"));
            let lines = seen["lines"].as_array().expect("a list");
            assert!(lines.len() > 1, "{who}: {seen}");
            for line in lines {
                // The cursors are at the same position up to rounding, and as high as their charts.
                let apart = line[0].as_i64().zip(lines[0][0].as_i64());
                assert!(
                    apart.is_some_and(|(a, b)| (a - b).abs() <= 3),
                    "{who}: {seen}"
                );
                assert_eq!(line[1], 0, "{who}: {seen}");
            }
            let read = seen["read"].as_array().expect("a list");
            assert!(read.iter().all(|words| words != ""), "{who}: {seen}");
            assert_ne!(
                before.replace(lines[0][0].clone()),
                Some(lines[0][0].clone()),
                "{who}"
            );
        }
        assert_eq!(page.trouble(), [""; 0], "{who}");
    }
}

#[test]
fn reports_are_fit_to_be_seen() {
    let folder = folder("browser");
    let Some(mut browser) = Browser::start(&folder.join("home")) else {
        assert!(
            std::env::var_os("SHAKEDOWN_CI").is_none(),
            "no Chromium on the path: in CI that is a failure"
        );
        eprintln!("skipped: no Chromium on the path");
        return;
    };
    let page = |name: &str, args: &[&str], code| {
        let path = folder.join(name);
        let text = path.to_str().expect("test paths are UTF-8");
        shakedown(&[&["run"], args, &["--html", text]].concat()).exits(code);
        path
    };
    let one = page("one.html", &["header-routing", "--variant", "fragile"], 1);
    let all = page("all.html", &["canary-in-a-minute", "--variant", "all"], 0);
    check_page(&mut browser, &one);
    check_page(&mut browser, &all);
}
