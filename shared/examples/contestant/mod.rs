//! One side of a benchmark: a run for every line of input.

#![allow(clippy::print_stdout, reason = "the answers are what this program is for")]

use std::error::Error;
use std::io::{Write as _, stdin, stdout};
use std::time::Instant;

use serde_json::{Value, json};

/// At most so many values are told.
const VALUES: usize = 2048;

/// Says that it is ready; answers every line of standard input with a line of JSON that holds the milliseconds of a run
/// and, under a name, some of its values; when the input ends, says so.
pub(crate) fn serve<S>(
    name: &str,
    state: &mut S,
    run: impl for<'a> Fn(&'a mut S) -> Result<&'a [f32], Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    answer(&json!({ "ready": env!("CARGO_PKG_VERSION") }))?;
    for line in stdin().lines() {
        line?;
        let start = Instant::now();
        let values = run(state)?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let some: Vec<f32> = values.iter().step_by(values.len().div_ceil(VALUES)).copied().collect();
        answer(&json!({ "ms": ms, name: some }))?;
    }
    answer(&json!({ "end": true }))
}

fn answer(value: &Value) -> Result<(), Box<dyn Error>> {
    println!("{value}");
    Ok(stdout().flush()?)
}
