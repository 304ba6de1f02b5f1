//! A served page and a browser of its own for every test: no test meets what another has left in a cache.

use serde_json::json;
use shared::Finding;
use xtask::chromium::Chromium;
use xtask::dist;
use xtask::page::{Page, Row, State};
use xtask::serve::{Server, Weights};
use xtask::webdriver::Browser;

/// A server and a browser.
pub(crate) struct Session {
    pub(crate) server: Server,
    pub(crate) browser: Browser,
}

/// Whether the browser keeps the page for use without a network. It fetches its files a second time for that, which a test
/// that counts requests has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// It does.
    Allowed,
    /// It has no service workers, as in some private windows.
    Refused,
}

impl Session {
    /// A browser without service workers.
    pub(crate) fn start(weights: Weights) -> Self {
        Self::start_with(weights, Keeping::Refused)
    }

    pub(crate) fn start_with(weights: Weights, keeping: Keeping) -> Self {
        let listener = Server::bind(0).expect("a free port");
        let server = Server::start(&dist::folder(), listener, weights).expect("the page is built");
        let chromium = Chromium::get().expect("a browser is installed");
        let browser = Browser::launch(&chromium).expect("the browser starts");
        if keeping == Keeping::Refused {
            let script = json!({ "source": "delete Navigator.prototype.serviceWorker;" });
            browser.devtools("Page.addScriptToEvaluateOnNewDocument", &script).expect("the browser takes the script");
        }
        Self { server, browser }
    }

    /// The page, opened and without waiting for its weights.
    pub(crate) fn open(&self) -> Page<'_> {
        Page::open(&self.browser, &self.server.url()).expect("the page opens")
    }

    /// The page, opened and with its weights.
    pub(crate) fn open_ready(&self) -> Page<'_> {
        let page = self.open();
        page.wait_for(State::Ready).expect("the weights arrive");
        page
    }

    /// A part of the page, opened by its address: `help`, or `lesson&case=1`.
    pub(crate) fn open_view(&self, view: &str) -> Page<'_> {
        self.browser.open(&format!("{}?view={view}", self.server.url())).expect("the page opens");
        let page = Page::of(&self.browser);
        page.wait_until("the page is there", r#"document.querySelector("main > *") !== null"#)
            .expect("the part is there");
        page
    }

    /// How often the page has asked for weights.
    pub(crate) fn n_weights_requests(&self) -> usize {
        self.server.requested().iter().filter(|path| path.ends_with(".safetensors")).count()
    }
}

/// Drops a file and returns the rows of the answer, having looked at everything that must hold of any answer.
pub(crate) fn answer(page: &Page, name: &str, bytes: &[u8]) -> Vec<Row> {
    let answer = page.drop_and_wait(name, bytes).expect("something comes of the drop");
    assert_eq!(answer.state, State::Answered, "{name}: {:?}", page.error());
    assert_eq!(page.error().expect("readable"), None, "{name}");
    rows(page)
}

/// The rows shown: all 14 findings, each once, with numbers in `0..=1`, the most probable first.
pub(crate) fn rows(page: &Page) -> Vec<Row> {
    let rows = page.rows().expect("readable rows");
    for finding in Finding::ALL {
        let n = rows.iter().filter(|row| row.finding == finding.name()).count();
        assert_eq!(n, 1, "{} has {n} rows: {rows:?}", finding.name());
    }
    assert_eq!(rows.len(), Finding::COUNT);
    let range = 0.0..=1.0;
    assert!(rows.iter().all(|row| range.contains(&row.score) && range.contains(&row.shown)), "{rows:?}");
    assert!(rows.is_sorted_by(|a, b| a.shown >= b.shown), "{rows:?}");
    rows
}
