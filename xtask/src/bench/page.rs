//! `cargo xtask bench page`: how long a person waits for the built page, beside what its readers are promised.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::rounded;
use crate::chromium::Chromium;
use crate::page::{Page, State};
use crate::process::root;
use crate::serve::{Server, Weights};
use crate::webdriver::Browser;
use crate::{dist, tools};

/// Visits that are measured, after one that fills the browser's stores.
const VISITS: usize = 7;
/// Drops of an x-ray, after one that is not measured.
const DROPS: usize = 9;
/// Outlines of a volume, after one that brings workers and weights.
const OUTLINES: usize = 3;
/// Frames of scrolling.
const FRAMES: usize = 240;

/// Notes when the page can be used, and every task that blocks it for more than 50 ms.
const WATCH: &str = r#"
window.longest = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
}).observe({ type: "longtask", buffered: true });
new MutationObserver((_, observer) => {
  if (document.querySelector('[data-testid="drop-zone"]')) { window.usable = performance.now(); observer.disconnect(); }
}).observe(document, { childList: true, subtree: true });
"#;

/// Makes files of `arguments[0]`, names with bytes in base64; what that takes is not the page's.
const MAKE: &str = r"
const done = arguments[arguments.length - 1];
window.given = arguments[0].map(([name, text]) => new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], name));
setTimeout(() => { window.longest = 0; done(); }, 1000);
";

/// Drops the files and gives the milliseconds until the volumes are shown, from then until the first slice is outlined, and
/// until all are.
const OUTLINE: &str = r#"
const done = arguments[arguments.length - 1];
const transfer = new DataTransfer();
for (const file of window.given) transfer.items.add(file);
const state = (id) => document.querySelector(`[data-testid="${id}"]`)?.dataset;
let shown, first;
const start = performance.now();
const observer = new MutationObserver(() => {
  const now = performance.now(), outline = state("mri-state");
  if (state("mri-status")?.state === "reading") first = shown = undefined;
  if (state("mri-status")?.state === "shown") shown ??= now;
  if (shown && Number(outline?.done) > 0) first ??= now;
  if (first && outline?.state === "done") { observer.disconnect(); done([shown - start, first - shown, now - shown]); }
});
observer.observe(document.body, { attributes: true, childList: true, subtree: true });
document.querySelector('[data-testid="drop-zone"]')
  .dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: transfer }));
"#;

/// Turns the wheel once a frame on the axial plane and gives the times between frames.
const SCROLL: &str = r#"
const done = arguments[arguments.length - 1], plane = document.querySelector('[data-testid="plane-axial"]'), times = [];
const step = (now) => {
  times.push(now);
  if (times.length > arguments[0]) return done(times.slice(1).map((time, i) => time - times[i]));
  const deltaY = times.length % 100 < 50 ? 40 : -40;
  plane.dispatchEvent(new WheelEvent("wheel", { deltaY, bubbles: true, cancelable: true }));
  requestAnimationFrame(step);
};
requestAnimationFrame(step);
"#;

/// Measures, and prints a line of JSON for each thing a person waits for: the times, their median and the promise, all in
/// milliseconds.
///
/// # Errors
///
/// If the page cannot be built or does not come to its states.
pub fn measure() -> Result<()> {
    tools::for_page()?;
    dist::build()?;
    let server = Server::start(&dist::folder(), Server::bind(0)?, Weights::AtOnce)?;
    let browser = Browser::launch(&Chromium::get()?)?;
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": WATCH }))?;
    let url = server.url();

    let mut starts = Vec::new();
    for visit in 0..=VISITS {
        let page = Page::open(&browser, &url)?;
        page.wait_for(State::Ready)?;
        page.wait_until(
            "the page is kept",
            r#"document.querySelector('[data-testid="offline"]').dataset.state !== "unknown""#,
        )?;
        if visit > 0 {
            starts.push(number(&browser.execute("return window.usable", &[])?)?);
        }
    }
    print("usable, warm cache", starts, 1000.0);

    let page = Page::open(&browser, &url)?;
    page.wait_for(State::Ready)?;
    let name = "nih-unnumbered-512.png";
    let xray = fs::read(root().join("static/samples").join(name)).context("reading the sample x-ray")?;
    let mut answers = Vec::new();
    for drop in 0..=DROPS {
        let answer = page.drop_and_wait(name, &xray)?;
        ensure!(answer.state == State::Answered, "{name} is not answered");
        if drop > 0 {
            answers.push(answer.ms);
        }
    }
    print("x-ray, from drop to answer", answers, 500.0);
    print("longest task of the x-ray page", vec![number(&browser.execute("return window.longest", &[])?)?], 50.0);

    volumes(&browser, &url)
}

/// A patient of the page's own samples, with four sequences.
fn volumes(browser: &Browser, url: &str) -> Result<()> {
    browser.open(&format!("{url}?view=mri"))?;
    let page = Page::of(browser);
    page.wait_until("the workbench is there", r#"document.querySelector('[data-testid="mri-status"]') !== null"#)?;
    browser.execute_async(MAKE, &[json!(sample_volumes()?)])?;
    let mut times: [Vec<f64>; 3] = Default::default();
    for outline in 0..=OUTLINES {
        let measured = browser.execute_async(OUTLINE, &[])?;
        for (times, time) in times.iter_mut().zip(measured.as_array().context("the page gave no times")?) {
            if outline > 0 {
                times.push(number(time)?);
            }
        }
    }
    let [shown, first, all] = times;
    print("four sequences, from drop to picture", shown, f64::INFINITY);
    print("first slice outlined", first, 500.0);
    print("whole volume outlined", all, 40_000.0);
    let frames = browser.execute_async(SCROLL, &[json!(FRAMES)])?;
    let frames = frames.as_array().context("the page gave no frames")?.iter().map(number).collect::<Result<_>>()?;
    print("a frame while scrolling", frames, 1000.0 / 60.0);
    print("longest task of the MRI page", vec![number(&browser.execute("return window.longest", &[])?)?], 50.0);
    Ok(())
}

/// The files of the first real case in `static/samples/mri`: name and content in base64.
fn sample_volumes() -> Result<Vec<(String, String)>> {
    let folder = root().join("static/samples/mri");
    let entries = fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.to_string_lossy().ends_with(".nii.gz"));
    paths.sort();
    let file = |path: &PathBuf| {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, BASE64_STANDARD.encode(bytes)))
    };
    // A case has four files; their names begin alike.
    paths.iter().rev().take(4).map(file).collect()
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("{value} is no time"))
}

fn print(what: &str, mut times: Vec<f64>, promise: f64) {
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let last = times[times.len() - 1];
    let promise = promise.is_finite().then_some(rounded(promise));
    println!(
        "{}",
        json!({ "what": what, "n": times.len(), "median_ms": rounded(median), "max_ms": rounded(last), "promise_ms": promise })
    );
}
