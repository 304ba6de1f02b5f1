//! axe-core finds no violation of level serious or critical, in any part of the page, light or dark, wide or narrow.
//!
//! axe-core 4.11.4 lies in `tests/browser/axe`, under the Mozilla Public License 2.0.

use serde_json::{Value, json};
use xtask::page::State;
use xtask::serve::Weights;

use crate::files::png;
use crate::session::{Session, answer};

const AXE: &str = include_str!("axe/axe.min.js");

/// Runs axe on what is shown, and gives the serious violations with the elements that have them.
const RUN: &str = r#"
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"] }).then(
  ({ violations }) => done(violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html, failureSummary }) => [html, failureSummary]) }))),
  (error) => done([{ id: "axe failed", help: String(error) }]));
"#;

fn expect_accessible(session: &Session, what: &str) {
    session.browser.execute(AXE, &[]).expect("axe starts");
    let violations = session.browser.execute_async(RUN, &[]).expect("axe runs");
    assert_eq!(violations, Value::Array(vec![]), "{what}: {violations:#}");
}

fn show(session: &Session, scheme: &str, width: u32) {
    let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
    session.browser.devtools("Emulation.setEmulatedMedia", &json!({ "features": [feature] })).expect("a scheme");
    let screen = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600 });
    session.browser.devtools("Emulation.setDeviceMetricsOverride", &screen).expect("a screen");
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn no_part_of_the_page_has_a_serious_violation() {
    let session = Session::start(Weights::AtOnce);
    for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)] {
        show(&session, scheme, width);
        for view in ["xray", "mri", "lesson", "help"] {
            session.open_view(view);
            expect_accessible(&session, &format!("{view}, {scheme}, {width}"));
        }
    }
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn an_answer_and_an_error_have_no_serious_violation() {
    let session = Session::start(Weights::AtOnce);
    for scheme in ["light", "dark"] {
        show(&session, scheme, 1280);
        let page = session.open_ready();
        answer(&page, &png().0, &png().1);
        expect_accessible(&session, &format!("an answer, {scheme}"));
        let outcome = page.drop_and_wait("notes.txt", b"The heart is of normal size.").expect("something comes of it");
        assert_eq!(outcome.state, State::Error);
        expect_accessible(&session, &format!("an error, {scheme}"));
    }
}
