//! What the page loads, when, and what it never does.

use serde_json::json;
use xtask::page::State;
use xtask::serve::Weights;

use crate::files::{jpeg, png};
use crate::session::{Session, answer, rows};

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn the_drop_zone_is_there_before_the_weights_and_a_drop_waits_for_them() {
    let session = Session::start(Weights::Held);
    let page = session.open();
    let visible = r#"return document.querySelector('[data-testid="drop-zone"]').checkVisibility()"#;
    assert_eq!(session.browser.execute(visible, &[]).expect("readable"), json!(true));
    assert_eq!(page.state().expect("a state"), State::Loading);
    page.drop_file(&png().0, &png().1).expect("drops");
    assert!(page.rows().expect("readable rows").is_empty(), "scores without weights");

    session.server.release_weights();
    page.wait_for(State::Answered).expect("the drop is answered when the weights are there");
    rows(&page);
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn the_weights_are_fetched_once_and_kept() {
    let session = Session::start(Weights::AtOnce);
    let first = answer(&session.open_ready(), &png().0, &png().1);
    assert_eq!(session.n_weights_requests(), 1, "{:?}", session.server.requested());
    let second = answer(&session.open_ready(), &png().0, &png().1);
    assert_eq!(session.n_weights_requests(), 1, "{:?}", session.server.requested());
    assert_eq!(first, second);
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_drop_causes_no_request() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    let loaded = "return performance.getEntriesByType('resource').map(entry => entry.name)";
    let (served, seen) = (session.server.requested(), session.browser.execute(loaded, &[]).expect("readable"));
    answer(&page, &png().0, &png().1);
    answer(&page, &jpeg().0, &jpeg().1);
    assert_eq!(session.server.requested(), served);
    assert_eq!(session.browser.execute(loaded, &[]).expect("readable"), seen);
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn everything_comes_from_the_pages_own_address() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    answer(&page, &png().0, &png().1);
    let foreign = "return performance.getEntriesByType('resource').map(entry => entry.name)
        .filter(name => !name.startsWith(location.origin + '/') && !name.startsWith('blob:' + location.origin))";
    assert_eq!(session.browser.execute(foreign, &[]).expect("readable"), json!([]));
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn the_page_says_that_it_is_no_medical_device() {
    let session = Session::start(Weights::Held);
    session.open();
    let notice = r#"
        const notice = document.querySelector('[data-testid="notice"]');
        return notice.checkVisibility() ? notice.innerText : """#;
    let notice = session.browser.execute(notice, &[]).expect("readable");
    assert!(notice.as_str().is_some_and(|text| text.to_lowercase().contains("not a medical device")), "{notice}");
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn the_page_fits_a_phone() {
    let session = Session::start(Weights::AtOnce);
    let screen = json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true });
    session.browser.devtools("Emulation.setDeviceMetricsOverride", &screen).expect("a small screen");
    let page = session.open_ready();
    answer(&page, &png().0, &png().1);
    let width = "return [document.documentElement.scrollWidth, window.innerWidth]";
    assert_eq!(session.browser.execute(width, &[]).expect("readable"), json!([360, 360]));
}
