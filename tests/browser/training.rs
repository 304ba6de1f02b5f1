//! "Train it here": a training starts, shows its curves and its verdict, rests, goes on and is given up.

use serde_json::json;
use xtask::page::Page;
use xtask::serve::Weights;

use crate::session::Session;

/// Opens the lesson with two seeds of a training of so many steps.
fn open(session: &Session, steps: usize) -> Page<'_> {
    let page = session.open_view(&format!("lesson&train=0.3,100,2,{steps}"));
    page.wait_until("the panel appears", &exists("training-main")).expect("it does");
    page
}

fn exists(name: &str) -> String {
    format!(r#"document.querySelector('[data-testid="{name}"]') !== null"#)
}

fn click(session: &Session, name: &str) {
    let script = r#"document.querySelector(`[data-testid="${arguments[0]}"]`).click()"#;
    session.browser.execute(script, &[json!(name)]).expect("it is there");
}

fn wait_for(page: &Page, state: &str) {
    let condition =
        format!(r#"document.querySelector('[data-testid="training-status"]')?.dataset.state === "{state}""#);
    page.wait_until(&format!("the training is {state}"), &condition).expect("it is");
}

/// Texts of all elements of a name.
fn texts(session: &Session, name: &str) -> Vec<String> {
    let script = r#"return Array.from(document.querySelectorAll(`[data-testid="${arguments[0]}"]`), e => e.innerText)"#;
    let texts = session.browser.execute(script, &[json!(name)]).expect("readable");
    serde_json::from_value(texts).expect("texts")
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_training_shows_curves_results_and_a_verdict() {
    let session = Session::start(Weights::AtOnce);
    let page = open(&session, 4);
    click(&session, "training-main");
    wait_for(&page, "finished");
    let drawn = r#"return Array.from(document.querySelectorAll('[data-testid="training-chart"] > svg'),
        svg => Array.from(svg.querySelectorAll('path.mean')).every(path => path.getAttribute("d").includes("L")))"#;
    assert_eq!(session.browser.execute(drawn, &[]).expect("readable"), json!([true, true, true]));
    assert_eq!(texts(&session, "training-result").len(), 2);
    for verdict in ["verdict-joint", "verdict-twin", "verdict-gain"] {
        let text = texts(&session, verdict).concat();
        assert!(text.contains("2 seeds") && text.contains("the spread over seeds"), "{text}");
    }
    // Another setting leaves the curves and says so, until they are reset.
    let change = r#"const slider = document.querySelector('[data-testid="training-labelled"]');
        slider.value = "50"; slider.dispatchEvent(new Event("input", { bubbles: true }))"#;
    session.browser.execute(change, &[]).expect("it moves");
    page.wait_until("the page asks for a reset", &exists("training-outdated")).expect("it does");
    let address = session.browser.execute("return location.search", &[]).expect("readable");
    assert!(address.as_str().is_some_and(|address| address.contains("50%2C2%2C4")), "{address}");
    click(&session, "training-reset");
    wait_for(&page, "idle");
    assert!(texts(&session, "training-chart").is_empty());
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_training_rests_goes_on_and_is_given_up() {
    let session = Session::start(Weights::AtOnce);
    let page = open(&session, 2000);
    click(&session, "training-main");
    page.wait_until("curves appear", &exists("training-chart")).expect("they do");
    click(&session, "training-main");
    wait_for(&page, "paused");
    // What was under way when the page asked still arrives; then nothing changes any more.
    let is_still = r#"const done = arguments[arguments.length - 1];
        const drawn = () => document.querySelector('[data-testid="training"]').innerHTML;
        setTimeout(() => { const before = drawn(); setTimeout(() => done(drawn() === before), 1500); }, 1500)"#;
    assert_eq!(session.browser.execute_async(is_still, &[]).expect("looks"), json!(true));
    click(&session, "training-main");
    wait_for(&page, "running");
    click(&session, "training-reset");
    wait_for(&page, "idle");
    assert!(texts(&session, "training-chart").is_empty());
}
