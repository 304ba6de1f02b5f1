//! Two programs that do the same work in turn, so that whatever else the machine does meets both alike.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Largest difference between two programs' values, relative to the largest value.
const TOLERANCE: f64 = 1e-3;

/// A running program: it says a line when it is ready, answers each line of input with a line of JSON that holds `ms`,
/// and says a last line when its input ends.
pub struct Contestant {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What a program needed.
pub struct Times {
    /// The first run, in milliseconds.
    pub first: f64,
    /// The runs that count, in milliseconds.
    pub steady: Vec<f64>,
    /// The last answer.
    pub last: Value,
    /// What it said at its end.
    pub end: Value,
}

impl Contestant {
    /// Starts a program and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If it cannot be started or ends at once.
    pub fn start(name: &'static str, program: &mut Command) -> Result<Self> {
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.get_program().to_string_lossy()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{name} has no input or output");
        };
        let mut contestant = Self { name, child, input, output: BufReader::new(output) };
        contestant.read()?;
        Ok(contestant)
    }

    fn run(&mut self) -> Result<(f64, Value)> {
        writeln!(self.input).with_context(|| format!("asking {}", self.name))?;
        let answer = self.read()?;
        let ms = answer["ms"].as_f64().with_context(|| format!("{} answered {answer}", self.name))?;
        Ok((ms, answer))
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line).with_context(|| format!("listening to {}", self.name))?;
        if line.is_empty() {
            bail!("{} ended early", self.name);
        }
        serde_json::from_str(&line).with_context(|| format!("{} said {line:?}", self.name))
    }

    fn end(self) -> Result<Value> {
        let Self { name, mut child, input, mut output } = self;
        drop(input);
        let mut line = String::new();
        output.read_line(&mut line)?;
        if !child.wait()?.success() {
            bail!("{name} failed at its end");
        }
        serde_json::from_str(&line).with_context(|| format!("{name} said {line:?}"))
    }
}

/// Runs two programs in turn: once, then `warm_up` times that do not count, then `rounds` times.
///
/// # Errors
///
/// If one of them fails.
pub fn fight(mut both: [Contestant; 2], warm_up: usize, rounds: usize) -> Result<[Times; 2]> {
    let mut ms = [Vec::new(), Vec::new()];
    let mut last = [Value::Null, Value::Null];
    for _ in 0..=warm_up + rounds {
        for (i, contestant) in both.iter_mut().enumerate() {
            let (time, answer) = contestant.run()?;
            ms[i].push(time);
            last[i] = answer;
        }
    }
    let [a, b] = both;
    let ends = [a.end()?, b.end()?];
    let mut times = ms.into_iter().zip(last).zip(ends).map(|((ms, last), end)| Times {
        first: ms[0],
        steady: ms[warm_up + 1..].to_vec(),
        last,
        end,
    });
    match (times.next(), times.next()) {
        (Some(a), Some(b)) => Ok([a, b]),
        _ => bail!("two contestants were not two"),
    }
}

impl Times {
    /// Median of the runs that count.
    pub fn median(&self) -> f64 {
        median(&self.steady)
    }

    /// Numbers that the last answer lists under a name.
    ///
    /// # Errors
    ///
    /// If it lists none.
    pub fn values(&self, name: &str) -> Result<Vec<f64>> {
        let values = self.last[name].as_array().with_context(|| format!("no {name}"))?;
        values.iter().map(|value| value.as_f64().with_context(|| format!("{value} among the {name}"))).collect()
    }
}

/// A fast answer counts only if it is the right one.
///
/// # Errors
///
/// If two programs' values differ by more than a thousandth of the largest.
pub fn agree(ours: &[f64], peer: &[f64]) -> Result<()> {
    ensure!(ours.len() == peer.len() && !ours.is_empty(), "{} values against {}", ours.len(), peer.len());
    let largest = peer.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    for (n, (a, b)) in ours.iter().zip(peer).enumerate() {
        // Written so that NaN fails.
        ensure!((a - b).abs() <= TOLERANCE * largest, "value {n}: {a} against {b}, of values up to {largest}");
    }
    Ok(())
}

/// The middle value; the upper one of two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_run_in_turn_and_the_first_runs_do_not_count() {
        let script = r#"echo '{"ready":1}'; n=10; while read line; do n=$((n-1)); echo "{\"ms\":$n}"; done; echo '{"peak_bytes":7}'"#;
        let both = ["a", "b"].map(|name| Contestant::start(name, &mut shell(script)).expect("starts"));
        let [a, b] = fight(both, 1, 3).expect("runs");
        assert_eq!((a.first, a.steady.as_slice(), b.median()), (9.0, &[7.0, 6.0, 5.0][..], 6.0));
        assert_eq!((&a.last["ms"], &a.end["peak_bytes"]), (&Value::from(5), &Value::from(7)));
    }

    #[test]
    fn only_equal_values_agree() {
        assert!(agree(&[1.0, -2.0], &[1.001, -2.0]).is_ok());
        assert!(agree(&[1.0, -2.0], &[1.01, -2.0]).is_err());
        assert!(agree(&[f64::NAN], &[1.0]).is_err());
        assert!(agree(&[1.0], &[1.0, 1.0]).is_err());
        assert!(agree(&[], &[]).is_err());
    }

    #[test]
    fn a_program_that_ends_early_is_an_error() {
        assert!(Contestant::start("a", &mut shell("exit 1")).is_err());
        let dies = || Contestant::start("a", &mut shell("echo '{}'; read line; exit 1")).expect("starts");
        assert!(fight([dies(), dies()], 0, 1).is_err());
    }
}
