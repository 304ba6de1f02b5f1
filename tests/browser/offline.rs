//! After the first visit the page works without a network.

use serde_json::json;
use xtask::page::{Page, State};
use xtask::serve::Weights;

use crate::files::png;
use crate::session::{Keeping, Session, answer};

const IS_KEPT: &str = r#"document.querySelector('[data-testid="offline"]')?.dataset.state === "yes""#;

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_second_visit_needs_no_network() {
    let session = Session::start_with(Weights::AtOnce, Keeping::Allowed);
    let page = session.open_ready();
    let first = answer(&page, &png().0, &png().1);
    page.wait_until("the page is kept", IS_KEPT).expect("kept");

    // Without its server there is no network for the page.
    let Session { server, browser } = session;
    let url = server.url();
    drop(server);
    let page = Page::open(&browser, &url).expect("the page opens");
    page.wait_for(State::Ready).expect("the model is there");
    assert_eq!(answer(&page, &png().0, &png().1), first);
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn the_page_counts_no_request_after_loading() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_ready();
    answer(&page, &png().0, &png().1);
    let counted = r#"return document.querySelector('[data-testid="requests"]').dataset.since"#;
    assert_eq!(session.browser.execute(counted, &[]).expect("readable"), json!("0"));
    // The counter counts: a request of the page's own, to see it rise.
    session.browser.execute("fetch('icon.svg?again').then((icon) => icon.text())", &[]).expect("asks");
    let one = r#"document.querySelector('[data-testid="requests"]').dataset.since === "1""#;
    page.wait_until("the request is counted", one).expect("counted");
}
