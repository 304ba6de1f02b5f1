//! `cargo xtask bench web`: this project's engine and page beside ONNX Runtime Web and TensorFlow.js, in one browser.
//!
//! A document (`tests/peers/web`) holds a worker for each engine and asks one after the other, round after round, so
//! that whatever else the machine does meets all of them alike. Every case has a fresh browser, so that its first call
//! meets code that nothing has optimised yet. The page itself is open in a browser of its own beside the document's.

mod case;
mod job;
mod row;
mod site;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::page::{Page, State};
use crate::serve::{Server, Weights};
use crate::simd::Simd;
use crate::tools;
use crate::webdriver::Browser;
use case::{Case, Measure};
use job::Bench;
use row::{Row, Times, WARM_UP};
use site::Site;

/// Rounds that are measured, after [`WARM_UP`] that are not.
const ROUNDS: usize = 15;
/// The same where a round is a whole volume.
const VOLUME_ROUNDS: usize = 3;
/// Slices of a BraTS volume.
const SLICES: usize = 155;
/// Largest difference between two engines' logits, relative to the largest logit.
const TOLERANCE: f64 = 1e-3;

/// The engine of each peer: its name, and that of its script in `tests/peers/web`.
const PEERS: [(&str, &str); 2] = [("onnxruntime-web", "onnxruntime"), ("tfjs-backend-wasm", "tfjs")];

/// A build of this project's engine, as `tests/peers/web/bench.js` knows it: script, build, and what tells two alike apart.
fn ours(simd: Simd) -> String {
    format!("ours:{}", simd.name())
}

/// Measures, and prints a table for people and one line of JSON a row for programs.
///
/// # Errors
///
/// If there is no case of one of the names, a tool is missing, the page does not answer, or the engines disagree about
/// a network's logits.
pub fn measure(names: &[&str]) -> Result<()> {
    let cases = case::named(names)?;
    tools::for_page()?;
    let chromium = Chromium::get()?;
    let site = Site::build(&cases)?;
    let server = Server::start(site.folder(), Server::bind(0)?, Weights::AtOnce)?;
    let mut rows = Vec::new();
    for case in &cases {
        let browser = browser_at(&chromium, &format!("{}bench/", server.url()))?;
        let bench = Bench::of(&browser);
        rows.extend(match case.measure {
            Measure::Engines => engines(&bench, case)?,
            Measure::EnginesAndPage => {
                let mut rows = engines(&bench, case)?;
                rows.push(second_drop(&bench, &Browser::launch(&chromium)?, &server, case)?);
                rows
            }
            Measure::Volume => vec![volume(&bench, case)?],
        });
    }
    row::print(&rows);
    Ok(())
}

/// A browser that shows a document.
///
/// On a busy machine a browser that has just started now and then never reports its first document as loaded; a second
/// browser does.
fn browser_at(chromium: &Chromium, url: &str) -> Result<Browser> {
    let open = || {
        let browser = Browser::launch(chromium)?;
        browser.open(url)?;
        anyhow::Ok(browser)
    };
    open().or_else(|_lost| open())
}

/// Both builds of this project's engine beside each peer.
fn engines(bench: &Bench, case: &Case) -> Result<Vec<Row>> {
    let mut names = PEERS.map(|(_, script)| script.to_owned()).to_vec();
    names.extend(Simd::ALL.map(ours));
    bench.load(&names, case)?;
    let result = bench.run(&json!({ "compare": { "names": names, "rounds": 1 + WARM_UP + ROUNDS } }))?;
    for name in &names {
        agree(&result["differences"][name]).with_context(|| format!("{}, {name}", case.name))?;
    }
    let mut rows = Vec::new();
    for simd in Simd::ALL.into_iter().rev() {
        for (peer, script) in PEERS {
            rows.push(Row {
                case: case.name.to_owned(),
                threads: 1,
                peer,
                simd,
                ours: Times::of(&numbers(&result["ms"][ours(simd)])?, WARM_UP)?,
                theirs: Times::of(&numbers(&result["ms"][script])?, WARM_UP)?,
            });
        }
    }
    Ok(rows)
}

/// From the drop of an x-ray to the page's answer, beside ONNX Runtime Web's inference alone.
fn second_drop(bench: &Bench, browser: &Browser, server: &Server, case: &Case) -> Result<Row> {
    let page = Page::open(browser, &server.url())?;
    page.wait_for(State::Ready)?;
    let samples = site::samples()?;
    let (peer, script) = PEERS[0];
    let (mut drops, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=WARM_UP + ROUNDS {
        let (name, bytes) = &samples[round % samples.len()];
        let answer = page.drop_and_wait(name, bytes)?;
        ensure!(answer.state == State::Answered, "the page did not answer the drop of {name}");
        drops.push(answer.ms);
        let result = bench.run(&json!({ "compare": { "names": [script], "rounds": 1 } }))?;
        theirs.extend(numbers(&result["ms"][script])?);
    }
    let (ours, theirs) = (Times::of(&drops, WARM_UP)?, Times::of(&theirs, WARM_UP)?);
    Ok(Row { case: format!("{}-second-drop", case.name), threads: 1, peer, simd: Simd::RelaxedSimd, ours, theirs })
}

/// A volume's slices through two workers, beside the same through one.
fn volume(bench: &Bench, case: &Case) -> Result<Row> {
    let simd = Simd::RelaxedSimd;
    let pair = [ours(simd), format!("{}:2", ours(simd))];
    bench.load(&pair, case)?;
    let groups = json!([pair, [&pair[0]]]);
    let result = bench
        .run(&json!({ "volume": { "groups": groups, "slices": SLICES, "rounds": 1 + VOLUME_ROUNDS } }))
        .with_context(|| case.name)?;
    let sums = [numbers(&result["sums"][0])?, numbers(&result["sums"][1])?];
    ensure!(sums[0].len() == SLICES && sums[0] == sums[1], "{}: one worker and two do not agree", case.name);
    let times = |group: usize| Times::of(&numbers(&result["ms"][group])?, 0);
    Ok(Row { case: case.name.to_owned(), threads: 2, peer: "one-worker", simd, ours: times(0)?, theirs: times(1)? })
}

/// The numbers of a JSON list; a NaN, which JSON lacks, is an error.
fn numbers(value: &Value) -> Result<Vec<f64>> {
    let list = value.as_array().with_context(|| format!("{value} is no list"))?;
    list.iter().map(|value| value.as_f64().with_context(|| format!("{value} is no number"))).collect()
}

/// A fast answer counts only if it is the right one.
fn agree(difference: &Value) -> Result<()> {
    match difference.as_f64() {
        Some(apart) if apart <= TOLERANCE => Ok(()),
        Some(apart) => bail!("the logits lie {apart:.1e} of the largest from the peer's, more than {TOLERANCE}"),
        None => bail!("the logits are no numbers, or not as many as the peer's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_logits_agree() {
        assert!(agree(&json!(0.0)).is_ok());
        assert!(agree(&json!(0.9e-3)).is_ok());
        assert!(agree(&json!(1.1e-3)).is_err());
        assert!(agree(&json!(f64::NAN)).is_err());
    }

    #[test]
    fn only_numbers_are_numbers() {
        assert_eq!(numbers(&json!([1, 2.5])).expect("numbers"), [1.0, 2.5]);
        assert!(numbers(&json!([1, null])).is_err());
        assert!(numbers(&Value::Null).is_err());
    }
}
