//! Reports in a real browser: Chromium opens them in light and dark, and says what it saw.
//!
//! Nothing may overlap, the cursor must move in every panel, and neither an error on the console nor a request over the
//! network may come of it. Without Chromium the tests say that they were skipped; in CI (`SHAKEDOWN_CI` is set) that is a
//! failure.

mod chromium;

use std::path::Path;

use serde_json::{Value, json};

use crate::command::{folder, shakedown};
use chromium::{Chromium, Page};

/// Finds pairs of texts that lie over each other: within one drawing, and among the page's own blocks.
const OVERLAPS: &str = r#"(() => {
  const found = [];
  // What a fold or a scrolled box hides is not seen.
  const box = (e) => {
    const { left, top, right, bottom } = e.getBoundingClientRect();
    const seen = { left, top, right, bottom };
    for (let p = e.parentElement; p; p = p.parentElement) {
      if (getComputedStyle(p).overflow === "visible") continue;
      const clip = p.getBoundingClientRect();
      seen.left = Math.max(seen.left, clip.left); seen.right = Math.min(seen.right, clip.right);
      seen.top = Math.max(seen.top, clip.top); seen.bottom = Math.min(seen.bottom, clip.bottom);
    }
    return seen;
  };
  const seen = (e, b) => b.right > b.left && b.bottom > b.top && e.checkVisibility();
  const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1.5;
  const hold = (kind, all) => {
    const boxes = all.map((e) => [e, box(e)]).filter(([e, b]) => seen(e, b));
    boxes.forEach(([a, x], i) => boxes.slice(i + 1).forEach(([b, y]) => {
      if (!a.contains(b) && !b.contains(a) && over(x, y)) found.push(kind + ": " + a.textContent.trim().slice(0, 40) + " | " + b.textContent.trim().slice(0, 40));
    }));
  };
  for (const svg of document.querySelectorAll("svg")) hold("drawing", [...svg.querySelectorAll("text")]);
  hold("block", [...document.querySelectorAll("h1, h2, h3, p, table, svg, summary, button")]);
  return found;
})()"#;

/// What is wider than the window.
const TOO_WIDE: &str =
    "document.documentElement.scrollWidth - document.documentElement.clientWidth";

/// Moves the cursor to a share of the run, waits for a frame, and tells where every panel's line stands within its panel
/// and what the readings say.
const MOVE: &str = r#"(async (part) => {
  const cursor = document.getElementById("cursor");
  cursor.value = Math.round(part * cursor.max);
  cursor.dispatchEvent(new Event("input"));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const lines = [...document.querySelectorAll(".timed > i.cursor")];
  return {
    lines: lines.map((line) => Math.round(10 * (line.getBoundingClientRect().left - line.parentElement.getBoundingClientRect().left))),
    panels: document.querySelectorAll(".timed").length,
    said: document.getElementById("at").textContent,
  };
})"#;

/// How many pixels of each heatmap have ink.
const INK: &str = r#"[...document.querySelectorAll("canvas.heat")].filter((c) => c.clientWidth > 0).map((c) =>
  c.getContext("2d").getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 === 3 && v > 0).length)"#;

fn look_at(browser: &mut Chromium, file: &Path, scheme: &str, width: u32) {
    let what = format!(
        "{} in {scheme}, {width} px",
        file.file_name()
            .expect("a report is a file")
            .to_string_lossy()
    );
    let mut page = browser.open(file, scheme, width);
    let overlaps = page.evaluate(OVERLAPS);
    assert_eq!(overlaps, json!([]), "{what}: texts overlap");
    assert_eq!(page.evaluate(TOO_WIDE), json!(0), "{what}: it is too wide");
    let ink = page.evaluate(INK);
    let inked = ink.as_array().expect("a list of heatmaps");
    assert!(
        inked.iter().all(|count| count.as_u64() > Some(0)),
        "{what}: a heatmap is empty: {ink}"
    );
    the_cursor_moves_every_panel(&mut page, &what);
    let complaints = page.complaints();
    assert!(complaints.is_empty(), "{what}: {complaints:#?}");
    page.close();
}

fn the_cursor_moves_every_panel(page: &mut Page<'_>, what: &str) {
    let (early, late) = (
        page.evaluate(&format!("{MOVE}(0.25)")),
        page.evaluate(&format!("{MOVE}(0.75)")),
    );
    let lines = |of: &Value| of["lines"].as_array().expect("a list of places").clone();
    let (before, after) = (lines(&early), lines(&late));
    assert!(before.len() > 2, "{what}: panels under the cursor: {early}");
    assert_eq!(
        json!(before.len()),
        early["panels"],
        "{what}: a panel has no line"
    );
    for (index, (before, after)) in before.iter().zip(&after).enumerate() {
        assert!(
            before.as_i64() < after.as_i64(),
            "{what}: line {index} stood still at {before}"
        );
    }
    assert_ne!(early["said"], late["said"], "{what}: the time said");
}

#[test]
fn reports_stand_up_in_a_browser() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let folder = folder("browser");
    let all = folder.join("all.html");
    let all_path = all.to_str().expect("test paths are UTF-8");
    shakedown(&[
        "run",
        "canary-in-a-minute",
        "--variant",
        "all",
        "--html",
        all_path,
    ])
    .exits(0);
    let reports = ["all.html", "all-base.html", "all-bad.html"].map(|name| folder.join(name));
    for report in &reports {
        assert!(report.exists(), "{} was written", report.display());
        look_at(&mut browser, report, "light", 1280);
        look_at(&mut browser, report, "dark", 1280);
    }
    look_at(&mut browser, &reports[1], "light", 420);
}
