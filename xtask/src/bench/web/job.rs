//! The document that holds the engines, and what it is asked to do.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::case::Case;
use crate::webdriver::Browser;

/// Between two looks at a job. Each costs the machine a few milliseconds, so they are rare.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long a job may stay at the same step: far more than any engine needs for a volume.
const PATIENCE: Duration = Duration::from_mins(5);

/// `tests/peers/web/index.html` in a browser.
pub(super) struct Bench<'a> {
    browser: &'a Browser,
}

impl<'a> Bench<'a> {
    /// Takes the document that a browser shows.
    pub(super) fn of(browser: &'a Browser) -> Self {
        Self { browser }
    }

    /// Loads the network of a case into engines, and starts those that are not there.
    ///
    /// # Errors
    ///
    /// Those of [`Self::run`].
    pub(super) fn load(&self, names: &[String], case: &Case) -> Result<()> {
        let mut network = case.network.clone();
        for (key, value) in
            [("weights", case.weights.clone()), ("onnx", case.file(".onnx")), ("folded", case.file(".folded"))]
        {
            network[key] = value.into();
        }
        self.run(&json!({ "load": { "names": names, "network": network } })).map(drop)
    }

    /// Starts a job and waits for its result.
    ///
    /// The job itself runs in the document alone; here it is only looked at from time to time. A script that the
    /// driver would have to wait for can get lost, and then nobody knows what it waited for.
    ///
    /// # Errors
    ///
    /// If the job fails, or stays at the same step for five minutes; names the step.
    pub(super) fn run(&self, job: &Value) -> Result<Value> {
        self.browser.execute("bench.start(arguments[0])", std::slice::from_ref(job))?;
        let (mut doing, mut since) = (Value::Null, Instant::now());
        loop {
            thread::sleep(INTERVAL);
            let mut state = self.browser.execute("return bench.poll()", &[])?;
            if let Some(error) = state["error"].as_str() {
                bail!("{error}");
            }
            if !state["result"].is_null() {
                return Ok(state["result"].take());
            }
            if state["doing"] != doing {
                (doing, since) = (state["doing"].take(), Instant::now());
            }
            ensure!(since.elapsed() < PATIENCE, "nothing has happened for {} s: {doing}", PATIENCE.as_secs());
        }
    }
}
