//! A client of chromedriver: a browser window that a program operates.
//!
//! Source: W3C WebDriver, <https://www.w3.org/TR/webdriver2/>; `goog/cdp/execute` is chromedriver's own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use ureq::Agent;

use crate::chromium::Chromium;

/// How long a script may take before the driver gives up on it, in milliseconds.
const SCRIPT_TIMEOUT_MS: u32 = 240_000;

/// How long a document may take to load, in milliseconds.
const LOAD_TIMEOUT_MS: u32 = 60_000;

/// Answers may be this long: a picture of the whole page is the longest.
const MAX_ANSWER_BYTES: u64 = 100_000_000;

/// A headless browser with one window and a fresh profile; closed when dropped.
pub struct Browser {
    driver: Child,
    agent: Agent,
    session: String,
}

/// A key without a character of its own, as the standard encodes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// To the next control.
    Tab,
    /// Activates.
    Enter,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// A page up.
    PageUp,
    /// To the beginning.
    Home,
    /// To the end.
    End,
}

impl Key {
    fn code(self) -> char {
        match self {
            Self::Tab => '\u{E004}',
            Self::Enter => '\u{E007}',
            Self::Up => '\u{E013}',
            Self::Down => '\u{E015}',
            Self::PageUp => '\u{E00E}',
            Self::Home => '\u{E011}',
            Self::End => '\u{E010}',
        }
    }
}

impl Browser {
    /// Starts a driver and, through it, a browser.
    ///
    /// # Errors
    ///
    /// If either does not start.
    pub fn launch(chromium: &Chromium) -> Result<Self> {
        let mut driver = Command::new(&chromium.driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("starting {}", chromium.driver.display()))?;
        let port = driver_port(&mut driver).inspect_err(|_| end(&mut driver))?;
        let agent = Agent::config_builder().http_status_as_error(false).build().into();
        let mut browser = Self { driver, agent, session: format!("http://127.0.0.1:{port}/session") };
        let mut capabilities = chromium.capabilities();
        capabilities["browserName"] = json!("chrome");
        capabilities["timeouts"] = json!({ "script": SCRIPT_TIMEOUT_MS, "pageLoad": LOAD_TIMEOUT_MS });
        let answer = browser.post("", &json!({ "capabilities": { "alwaysMatch": capabilities } }))?;
        let id = answer["sessionId"].as_str().context("the driver opened no session")?;
        browser.session = format!("{}/{id}", browser.session);
        Ok(browser)
    }

    /// Opens an address and waits for the document and what it loads at once.
    ///
    /// # Errors
    ///
    /// If the page cannot be reached, or takes longer than a minute.
    pub fn open(&self, url: &str) -> Result<()> {
        self.post("/url", &json!({ "url": url })).map(drop)
    }

    /// Runs the body of a function in the page, `arguments` as its parameters, and returns what it returns.
    ///
    /// # Errors
    ///
    /// If the script throws.
    pub fn execute(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// Like [`Self::execute`], but returns what the script gives to the function that is its last parameter.
    ///
    /// # Errors
    ///
    /// If the script throws, or gives nothing within four minutes.
    pub fn execute_async(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        self.post("/execute/async", &json!({ "script": script, "args": arguments }))
    }

    /// Presses and lets go of a key, wherever the focus is.
    ///
    /// # Errors
    ///
    /// If the driver refuses.
    pub fn press(&self, key: Key) -> Result<()> {
        let strokes = ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.code() }));
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.post("/actions", &json!({ "actions": [keyboard] })).map(drop)
    }

    /// Calls a function of the browser's own developer tools.
    ///
    /// # Errors
    ///
    /// If the browser refuses.
    pub fn devtools(&self, function: &str, parameters: &Value) -> Result<Value> {
        self.post("/goog/cdp/execute", &json!({ "cmd": function, "params": parameters }))
    }

    /// The whole page as it looks, beyond the window's edge, too: a PNG file.
    ///
    /// # Errors
    ///
    /// If the browser refuses.
    pub fn picture(&self) -> Result<Vec<u8>> {
        let answer = self.devtools("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }))?;
        let data = answer["data"].as_str().context("the browser made no picture")?;
        BASE64_STANDARD.decode(data).context("decoding the picture")
    }

    /// Sends a command and returns the `value` of the answer.
    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}", self.session);
        let mut response = self.agent.post(&url).send_json(body).with_context(|| format!("asking {url}"))?;
        let mut answer: Value = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_json()?;
        if let Some(error) = answer["value"]["error"].as_str() {
            let message = answer["value"]["message"].as_str().unwrap_or_default();
            // Below the first line is the driver's own stack.
            bail!("{error}: {}", message.lines().next().unwrap_or_default());
        }
        Ok(answer["value"].take())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without a session there is no browser to be closed; either way the driver ends next.
        let _ = self.agent.delete(&self.session).call();
        end(&mut self.driver);
    }
}

fn end(driver: &mut Child) {
    // An error means that it has ended already.
    let _ = driver.kill();
    let _ = driver.wait();
}

/// The port that the driver chose, from what it writes at its start.
fn driver_port(driver: &mut Child) -> Result<u16> {
    let mut lines = BufReader::new(driver.stdout.take().context("the driver's output")?).lines();
    let mut said = String::new();
    while let Some(line) = lines.next().transpose()? {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            // Read on to the end, or the driver would stop at a full pipe.
            thread::spawn(move || lines.for_each(drop));
            return port.trim_end_matches('.').parse().with_context(|| format!("reading the port in `{line}`"));
        }
        said = line;
    }
    bail!("chromedriver did not start: {said}")
}
