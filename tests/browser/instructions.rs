//! Which build of the worker the page loads: relaxed-simd's where the browser has it and the page was built with it.

use serde_json::json;
use xtask::page::Row;
use xtask::serve::Weights;

use crate::files::png;
use crate::session::{Session, answer};

/// Largest difference of two logits.
const TOLERANCE: f64 = 1e-3;

/// The answer of a page, and which of the worker's modules it has asked for.
fn answer_of(session: &Session) -> (Vec<Row>, Vec<String>) {
    let rows = answer(&session.open_ready(), &png().0, &png().1);
    let mut modules = session.server.requested();
    modules.retain(|path| path.starts_with("/worker") && path.strip_suffix(".wasm").is_some());
    (rows, modules)
}

/// The answer in a browser that finds no relaxed-simd.
fn answer_of_simd128() -> Vec<Row> {
    let session = Session::start(Weights::AtOnce);
    let script = json!({ "source": "WebAssembly.validate = () => false;" });
    session.browser.devtools("Page.addScriptToEvaluateOnNewDocument", &script).expect("the browser takes the script");
    let (rows, modules) = answer_of(&session);
    assert_eq!(modules, ["/worker_bg.wasm"]);
    rows
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn both_builds_answer_alike() {
    let session = Session::start(Weights::AtOnce);
    let (relaxed, modules) = answer_of(&session);
    assert_eq!(modules, ["/worker-relaxed_bg.wasm"]);

    let logit = |score: f64| (score / (1.0 - score)).ln();
    for row in answer_of_simd128() {
        let other = relaxed.iter().find(|other| other.finding == row.finding).expect("the same findings");
        let (a, b) = (logit(row.score), logit(other.score));
        assert!((a - b).abs() <= TOLERANCE, "{}: logits {a} and {b}", row.finding);
    }
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_page_without_the_relaxed_build_works() {
    let session = Session::start(Weights::AtOnce);
    let pattern = json!({ "urls": ["*/worker-relaxed*"] });
    session.browser.devtools("Network.enable", &json!({})).expect("the browser watches requests");
    session.browser.devtools("Network.setBlockedURLs", &pattern).expect("the browser blocks requests");
    let (_, modules) = answer_of(&session);
    assert_eq!(modules, ["/worker_bg.wasm"]);
}
