//! `cargo xtask bench web`: this project's engine and page beside ONNX Runtime Web, in one browser.
//!
//! One document (`tests/peers/web`) holds two workers, one with each engine, and the page in a frame. Every round asks
//! each of the three in turn, so that whatever else the machine does meets all of them alike.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::peer::{Network, Python, Values, copy, copy_onnxruntime};
use crate::chromium::Chromium;
use crate::page::{Page, State};
use crate::process::{cargo, command, root, run, target_dir};
use crate::serve::{Server, Weights};
use crate::webdriver::Browser;
use crate::{dist, tools};

/// Rounds that are measured, after [`WARM_UP`] that are not.
const ROUNDS: usize = 15;
/// Rounds in which the browser still compiles its best code.
const WARM_UP: usize = 3;
/// Largest difference between the two engines' logits, relative to the largest logit.
const TOLERANCE: f64 = 1e-3;
/// The standard network, as in He et al. 2016.
const RESNET50: &str = r#"{"depth":50,"width":64,"in_channels":3,"stem_pool":true}"#;

/// A network that both engines run.
struct Case {
    name: &'static str,
    architecture: String,
    channels: u64,
    size: u64,
    outputs: u64,
    /// Where the weights lie on the server.
    weights: String,
    onnx: String,
}

/// What an engine needed, in milliseconds.
struct Times {
    first: f64,
    steady: Vec<f64>,
}

/// One line of the result.
struct Row {
    case: String,
    ours: Times,
    peer: Times,
}

/// Measures, and prints a table for people and one line of JSON a row for programs.
///
/// # Errors
///
/// If a tool is missing, the page does not answer, or the engines disagree about a network's logits.
pub fn measure_all() -> Result<()> {
    tools::for_page()?;
    let chromium = Chromium::get()?;
    let folder = target_dir()?.join("bench-web");
    let site = folder.join("site");
    dist::build_into(&site)?;
    let cases = prepare(&folder, &site)?;
    let server = Server::start(&site, Server::bind(0)?, Weights::AtOnce)?;
    let browser = Browser::launch(&chromium)?;
    browser.open(&format!("{}bench/", server.url()))?;
    browser.enter_frame(0)?;
    Page::opened(&browser)?.wait_for(State::Ready)?;

    let mut rows = Vec::new();
    for case in &cases {
        rows.extend(measure(&browser, case)?);
    }
    print(&rows);
    Ok(())
}

/// Lays everything that the browser will load below `site/bench`.
fn prepare(folder: &Path, site: &Path) -> Result<Vec<Case>> {
    let bench = site.join("bench");
    for name in ["index.html", "worker.js", "ours.js", "peer.js"] {
        copy(&root().join("tests/peers/web").join(name), &bench.join(name))?;
    }
    copy_onnxruntime(folder, &bench.join("ort"))?;
    build_engine(&bench.join("engine"))?;
    let python = Python::get(folder)?;
    let cases = vec![shipped_case()?, random_case()];
    for case in &cases {
        let network = Network { architecture: &case.architecture, size: case.size, outputs: case.outputs };
        let values = if case.weights.starts_with("/bench/") { Values::Random } else { Values::Stored };
        let on_disk = |url: &str| site.join(url.trim_start_matches('/'));
        python.write_onnx(&network, values, &on_disk(&case.weights), &on_disk(&case.onnx))?;
    }
    Ok(cases)
}

/// This project's engine alone, built as the page's is.
fn build_engine(to: &Path) -> Result<()> {
    run(cargo().args(["build", "--package", "bench-engine", "--profile", "web", "--target", tools::WASM_TARGET]))?;
    let wasm = target_dir()?.join(tools::WASM_TARGET).join("web/bench_engine.wasm");
    run(command("wasm-bindgen").args(["--target", "web", "--no-typescript", "--out-dir"]).arg(to).arg(wasm))
}

/// The shipped model.
fn shipped_case() -> Result<Case> {
    let file = root().join("static/models/xray/model.json");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let card: Value = serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
    let number = |value: &Value| value.as_u64().with_context(|| format!("{} lacks a number", file.display()));
    Ok(Case {
        name: "xray",
        architecture: card["architecture"].to_string(),
        channels: number(&card["architecture"]["in_channels"])?,
        size: number(&card["preprocessing"]["size"])?,
        outputs: card["findings"].as_array().map_or(0, Vec::len) as u64,
        weights: format!("/models/xray/{}", card["weights"]["file"].as_str().unwrap_or("model.safetensors")),
        onnx: "/bench/xray.onnx".to_owned(),
    })
}

/// A ResNet-50 as everybody knows it, so that the numbers can be compared with others'.
fn random_case() -> Case {
    Case {
        name: "resnet50-224",
        architecture: RESNET50.to_owned(),
        channels: 3,
        size: 224,
        outputs: 1000,
        weights: "/bench/resnet50-224.safetensors".to_owned(),
        onnx: "/bench/resnet50-224.onnx".to_owned(),
    }
}

/// Runs both engines, and for the shipped model the page, too.
fn measure(browser: &Browser, case: &Case) -> Result<Vec<Row>> {
    let load = json!({ "load": {
        "architecture": case.architecture,
        "channels": case.channels,
        "size": case.size,
        "outputs": case.outputs,
        "weights": case.weights,
        "onnx": case.onnx,
    }});
    browser.leave_frame()?;
    for engine in ["peer", "ours"] {
        ask(browser, engine, &load)?;
    }
    let samples = if case.name == "xray" { samples()? } else { Vec::new() };
    let (mut ours, mut peer, mut drops) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=WARM_UP + ROUNDS {
        let (peer_ms, peer_logits) = timed_run(browser, "peer")?;
        let (ours_ms, our_logits) = timed_run(browser, "ours")?;
        if round == 0 {
            agree(&our_logits, &peer_logits).with_context(|| format!("case {}", case.name))?;
        }
        peer.push(peer_ms);
        ours.push(ours_ms);
        if let Some((name, bytes)) = samples.get(round % samples.len().max(1)) {
            browser.enter_frame(0)?;
            let answer = Page::opened(browser)?.drop_and_wait(name, bytes)?;
            ensure!(answer.state == State::Answered, "the page did not answer the drop of {name}");
            drops.push(answer.ms);
            browser.leave_frame()?;
        }
    }
    let mut rows = vec![Row { case: case.name.to_owned(), ours: Times::of(&ours), peer: Times::of(&peer) }];
    if !drops.is_empty() {
        let case = format!("{}-second-drop", case.name);
        rows.push(Row { case, ours: Times::of(&drops), peer: Times::of(&peer) });
    }
    Ok(rows)
}

/// The x-rays that the page offers, name and bytes.
fn samples() -> Result<Vec<(String, Vec<u8>)>> {
    let folder = root().join("static/samples");
    let mut samples = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "png" || ending == "jpg") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            samples.push((name, fs::read(&path).with_context(|| format!("reading {}", path.display()))?));
        }
    }
    ensure!(!samples.is_empty(), "{} holds no PNG or JPEG file", folder.display());
    samples.sort();
    Ok(samples)
}

fn timed_run(browser: &Browser, engine: &str) -> Result<(f64, Vec<f64>)> {
    let answer = ask(browser, engine, &json!({ "run": true }))?;
    let logits = answer["logits"].as_array().context("no logits")?.iter().filter_map(Value::as_f64).collect();
    Ok((answer["ms"].as_f64().context("no time")?, logits))
}

fn ask(browser: &Browser, engine: &str, message: &Value) -> Result<Value> {
    let script = "ask(arguments[0], arguments[1]).then(arguments[2])";
    let answer = browser.execute_async(script, &[json!(engine), message.clone()])?;
    if let Some(error) = answer["error"].as_str() {
        bail!("{engine}: {error}");
    }
    Ok(answer)
}

/// A fast answer counts only if it is the right one.
fn agree(ours: &[f64], peer: &[f64]) -> Result<()> {
    ensure!(ours.len() == peer.len() && !ours.is_empty(), "{} logits against {}", ours.len(), peer.len());
    let largest = peer.iter().fold(0.0, |largest: f64, logit| largest.max(logit.abs()));
    for (n, (a, b)) in ours.iter().zip(peer).enumerate() {
        // Written so that NaN fails.
        ensure!((a - b).abs() <= TOLERANCE * largest, "logit {n}: {a} against {b}, of logits up to {largest}");
    }
    Ok(())
}

impl Times {
    /// The first call, and those after the warm-up.
    fn of(ms: &[f64]) -> Self {
        Self { first: ms[0], steady: ms[WARM_UP + 1..].to_vec() }
    }

    fn median(&self) -> f64 {
        let mut sorted = self.steady.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

fn print(rows: &[Row]) {
    println!("\nOne thread, CPU, medians of {ROUNDS} rounds; the first call is this project's, over its median.");
    println!("{:<20}{:>10}{:>22}{:>8}{:>12}", "case", "ours, ms", "ONNX Runtime Web, ms", "ratio", "first call");
    for Row { case, ours, peer } in rows {
        let (o, p) = (ours.median(), peer.median());
        println!("{case:<20}{o:>10.1}{p:>22.1}{:>8.2}{:>12.2}", o / p, ours.first / o);
    }
    println!();
    for Row { case, ours, peer } in rows {
        let (o, p) = (ours.median(), peer.median());
        let line = json!({
            "bench": "web",
            "case": case,
            "threads": 1,
            "peer": "onnxruntime-web",
            "ratio": rounded(o / p),
            "ours_ms": rounded(o),
            "peer_ms": rounded(p),
            "first_call": rounded(ours.first / o),
        });
        println!("{line}");
    }
}

/// To three decimals: more would pretend to a precision that no clock here has.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_logits_agree() {
        assert!(agree(&[1.0, -2.0], &[1.001, -2.0]).is_ok());
        assert!(agree(&[1.0, -2.0], &[1.01, -2.0]).is_err());
        assert!(agree(&[f64::NAN], &[1.0]).is_err());
        assert!(agree(&[1.0], &[1.0, 1.0]).is_err());
    }

    #[test]
    fn first_call_and_warm_up_are_not_in_the_median() {
        let mut ms = vec![100.0, 90.0, 80.0, 70.0];
        ms.extend((1..=ROUNDS).map(|i| i as f64));
        let times = Times::of(&ms);
        assert_eq!((times.first, times.median()), (100.0, 8.0));
    }
}
