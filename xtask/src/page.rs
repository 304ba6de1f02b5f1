//! The page as a user meets it: drops files on it and reads its answers.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::webdriver::Browser;

/// How long the page may take to come to a state: generous, for machines that do other work at the same time.
const PATIENCE_MS: u32 = 180_000;

/// Drops files on the drop zone: `arguments[0]` lists their names, `arguments[1]` their contents (base64).
const DROP: &str = r#"
const transfer = new DataTransfer();
arguments[0].forEach((name, i) => {
  const bytes = Uint8Array.from(atob(arguments[1][i]), c => c.charCodeAt(0));
  transfer.items.add(new File([bytes], name));
});
const zone = document.querySelector('[data-testid="drop-zone"]');
const start = performance.now();
for (const kind of ["dragenter", "dragover", "drop"]) {
  zone.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer }));
}
"#;

/// Calls `done` with the state and the milliseconds since `start` at the next answer or error. A state that was there
/// before counts only when it is set anew.
const NEXT_ANSWER: &str = r#"
const done = arguments[arguments.length - 1];
const status = () => document.querySelector('[data-testid="status"]');
const final = state => state === "answered" || state === "error";
const before = status();
let fresh = !final(before.dataset.state);
const observer = new MutationObserver(records => {
  const state = status()?.dataset.state;
  fresh ||= status() !== before || records.some(record => record.type === "attributes" && record.target === before);
  if (fresh && final(state)) {
    observer.disconnect();
    done({ state, ms: performance.now() - start });
  }
});
observer.observe(document.body, { attributes: true, attributeFilter: ["data-state"], childList: true, subtree: true });
"#;

/// The page in a browser's window or frame.
pub struct Page<'a> {
    browser: &'a Browser,
}

/// A state of the page, as its status line tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The weights are on their way.
    Loading,
    /// Waits for an image.
    Ready,
    /// Works at one.
    Busy,
    /// Shows the scores of one.
    Answered,
    /// Says what went wrong.
    Error,
}

/// What came of a dropped file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// [`State::Answered`] or [`State::Error`].
    pub state: State,
    /// From the drop to the answer's appearance, in milliseconds.
    pub ms: f64,
}

/// A row of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name of the finding.
    pub finding: String,
    /// The model's score, of which `cmim predict` prints the same.
    pub score: f64,
    /// What the bar shows: the score as a probability, where the model is calibrated, else the score.
    pub shown: f64,
}

/// Files as [`DROP`] takes them.
fn arguments(files: &[(&str, &[u8])]) -> [Value; 2] {
    let (names, contents): (Vec<&str>, Vec<String>) =
        files.iter().map(|(name, bytes)| (*name, BASE64_STANDARD.encode(bytes))).unzip();
    [json!(names), json!(contents)]
}

impl State {
    const ALL: [Self; 5] = [Self::Loading, Self::Ready, Self::Busy, Self::Answered, Self::Error];

    /// The page's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Busy => "busy",
            Self::Answered => "answered",
            Self::Error => "error",
        }
    }

    fn of(value: &Value) -> Result<Self> {
        let name = value.as_str().context("the page tells no state")?;
        Self::ALL.into_iter().find(|state| state.name() == name).with_context(|| format!("unknown state `{name}`"))
    }
}

impl<'a> Page<'a> {
    /// Opens the page and waits until the drop zone is there.
    ///
    /// # Errors
    ///
    /// If it does not come.
    pub fn open(browser: &'a Browser, url: &str) -> Result<Self> {
        browser.open(url)?;
        Self::opened(browser)
    }

    /// Takes the page that a window or frame already shows, and waits until the drop zone is there.
    ///
    /// # Errors
    ///
    /// If it does not come.
    pub fn opened(browser: &'a Browser) -> Result<Self> {
        let page = Self::of(browser);
        page.wait_until("the drop zone appears", r#"document.querySelector('[data-testid="drop-zone"]') !== null"#)?;
        Ok(page)
    }

    /// Takes whatever part of the page a window or frame shows.
    pub fn of(browser: &'a Browser) -> Self {
        Self { browser }
    }

    /// Waits until an expression of JavaScript holds, looked at with every change of the document.
    ///
    /// # Errors
    ///
    /// If that takes longer than three minutes: names `what` and the page's text.
    pub fn wait_until(&self, what: &str, condition: &str) -> Result<()> {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             const timer = setInterval(look, 20), start = performance.now();
             function look() {{
               const holds = {condition};
               if (holds || performance.now() - start > {PATIENCE_MS}) {{ clearInterval(timer); done(holds); }}
             }}"
        );
        if self.browser.execute_async(&script, &[])? != json!(true) {
            let text = self.browser.execute("return document.body.innerText", &[])?;
            bail!("waited in vain until {what}; the page says: {text}");
        }
        Ok(())
    }

    /// Waits until the page is in a state.
    ///
    /// # Errors
    ///
    /// If that takes longer than three minutes.
    pub fn wait_for(&self, state: State) -> Result<()> {
        let name = state.name();
        let condition = format!(r#"document.querySelector('[data-testid="status"]')?.dataset.state === "{name}""#);
        self.wait_until(&format!("its state is {name}"), &condition)
    }

    /// The page's state.
    ///
    /// # Errors
    ///
    /// If the page tells none.
    pub fn state(&self) -> Result<State> {
        let script = r#"return document.querySelector('[data-testid="status"]')?.dataset.state"#;
        State::of(&self.browser.execute(script, &[])?)
    }

    /// Drops a file and does not wait.
    ///
    /// # Errors
    ///
    /// If the page has no drop zone.
    pub fn drop_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.drop_files(&[(name, bytes)])
    }

    /// Drops several files at once and does not wait.
    ///
    /// # Errors
    ///
    /// If the page has no drop zone.
    pub fn drop_files(&self, files: &[(&str, &[u8])]) -> Result<()> {
        self.browser.execute(DROP, &arguments(files)).map(drop)
    }

    /// Drops a file and waits for what comes of it.
    ///
    /// # Errors
    ///
    /// If nothing comes within four minutes.
    pub fn drop_and_wait(&self, name: &str, bytes: &[u8]) -> Result<Answer> {
        // The observer is there before the drop; `start` is read only when it is called.
        let script = format!("{NEXT_ANSWER}{DROP}");
        let answer = self.browser.execute_async(&script, &arguments(&[(name, bytes)]))?;
        let ms = answer["ms"].as_f64().context("the page's answer came without a time")?;
        Ok(Answer { state: State::of(&answer["state"])?, ms })
    }

    /// The rows of the answer, from top to bottom.
    ///
    /// # Errors
    ///
    /// If a row has no finding or no score.
    pub fn rows(&self) -> Result<Vec<Row>> {
        let script = r#"
            const rows = document.querySelectorAll('[data-testid="finding"]');
            return Array.from(rows, ({ dataset }) => [dataset.finding, dataset.score, dataset.probability ?? dataset.score]);"#;
        let rows = self.browser.execute(script, &[])?;
        let row = |row: &Value| {
            let finding = row[0].as_str().context("a row without a finding")?.to_owned();
            let number = |i: usize| {
                let text = row[i].as_str().context("a row without a score")?;
                text.parse().with_context(|| format!("`{text}` is no number"))
            };
            Ok(Row { finding, score: number(1)?, shown: number(2)? })
        };
        rows.as_array().context("no list of rows")?.iter().map(row).collect()
    }

    /// What the error box says; nothing if it is not shown.
    ///
    /// # Errors
    ///
    /// If the browser refuses.
    pub fn error(&self) -> Result<Option<String>> {
        let script = r#"
            const box = document.querySelector('[data-testid="error"]');
            return box && box.checkVisibility() ? box.innerText : null;"#;
        Ok(self.browser.execute(script, &[])?.as_str().map(str::to_owned))
    }
}
