//! Everything can be reached and done with the keyboard.

use serde_json::json;
use xtask::page::State;
use xtask::serve::Weights;
use xtask::webdriver::Key;

use crate::session::{Session, rows};

/// More controls than the page has: whoever tabs on from the last one comes round to the first.
const MAX_TABS: usize = 40;

/// Presses Tab until an element that matches the selector has the focus.
fn tab_to(session: &Session, selector: &str) {
    let script = "return document.activeElement.closest(arguments[0]) !== null";
    for _ in 0..MAX_TABS {
        session.browser.press(Key::Tab).expect("tabs");
        if session.browser.execute(script, &[json!(selector)]).expect("readable") == json!(true) {
            return;
        }
    }
    panic!("{MAX_TABS} presses of Tab do not lead to {selector}");
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_sample_is_answered_by_tab_and_enter() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    tab_to(&session, r#"[data-testid="sample"]"#);
    session.browser.press(Key::Enter).expect("presses");
    page.wait_for(State::Answered).expect("an answer");
    rows(&page);
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn enter_in_the_drop_zone_opens_the_choice_of_a_file() {
    let session = Session::start(Weights::AtOnce);
    session.open_ready();
    // No dialog opens without a screen; that the hidden input is asked to open one is what can be seen.
    let listen = r#"
        window.asked = 0;
        document.querySelector('[data-testid="file-input"]').addEventListener("click", () => window.asked++);"#;
    session.browser.execute(listen, &[]).expect("listens");
    tab_to(&session, r#"[data-testid="drop-zone"], [data-testid="drop-zone"] *, [data-testid="file-input"]"#);
    session.browser.press(Key::Enter).expect("presses");
    assert_eq!(session.browser.execute("return window.asked", &[]).expect("readable"), json!(1));
}
