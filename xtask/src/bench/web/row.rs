//! The result: one row a case, build and peer.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::bench::rounded;
use crate::simd::Simd;

/// Calls after the first in which the browser still compiles its best code; they are in no median.
pub(super) const WARM_UP: usize = 3;

/// One line of the result.
pub(super) struct Row {
    pub(super) case: String,
    pub(super) threads: usize,
    pub(super) peer: &'static str,
    pub(super) simd: Simd,
    pub(super) ours: Times,
    pub(super) theirs: Times,
}

/// What an engine needed, in milliseconds.
pub(super) struct Times {
    first: f64,
    median: f64,
}

impl Times {
    /// The first call, and the median of those after the first and the warm-up.
    ///
    /// # Errors
    ///
    /// If nothing is left then.
    pub(super) fn of(ms: &[f64], warm_up: usize) -> Result<Self> {
        ensure!(ms.len() > 1 + warm_up, "only {} calls were measured", ms.len());
        let mut steady = ms[1 + warm_up..].to_vec();
        steady.sort_by(f64::total_cmp);
        Ok(Self { first: ms[0], median: steady[steady.len() / 2] })
    }
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours.median / self.theirs.median
    }

    fn first_call(&self) -> f64 {
        self.ours.first / self.ours.median
    }

    fn json(&self) -> Value {
        json!({
            "bench": "web",
            "case": self.case,
            "threads": self.threads,
            "peer": self.peer,
            "simd": self.simd.name(),
            "ratio": rounded(self.ratio()),
            "ours_ms": rounded(self.ours.median),
            "peer_ms": rounded(self.theirs.median),
            "first_call": rounded(self.first_call()),
        })
    }
}

/// A table for people, and below it one line of JSON a row.
pub(super) fn print(rows: &[Row]) {
    println!("\nOn the CPU, medians; the first call is this project's, over its median.");
    println!(
        "{:<22}{:<14}{:>8}  {:<18}{:>10}{:>10}{:>8}{:>12}",
        "case", "simd", "threads", "peer", "ours, ms", "peer, ms", "ratio", "first call"
    );
    for row in rows {
        let Row { case, threads, peer, simd, ours, theirs } = row;
        print!("{case:<22}{:<14}{threads:>8}  {peer:<18}", simd.name());
        println!("{:>10.1}{:>10.1}{:>8.2}{:>12.2}", ours.median, theirs.median, row.ratio(), row.first_call());
    }
    println!();
    for row in rows {
        println!("{}", row.json());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_call_and_warm_up_are_not_in_the_median() {
        let times = Times::of(&[100.0, 90.0, 80.0, 70.0, 3.0, 1.0, 2.0], 3).expect("enough");
        assert_eq!((times.first, times.median), (100.0, 2.0));
        assert!(Times::of(&[100.0, 90.0], 1).is_err());
    }

    #[test]
    fn a_row_is_what_programs_read() {
        let times = |first, median| Times { first, median };
        let row = Row {
            case: "unet-240".to_owned(),
            threads: 1,
            peer: "onnxruntime-web",
            simd: Simd::RelaxedSimd,
            ours: times(150.0, 100.0),
            theirs: times(500.0, 400.0),
        };
        let expected = json!({
            "bench": "web", "case": "unet-240", "threads": 1, "peer": "onnxruntime-web", "simd": "relaxed-simd",
            "ratio": 0.25, "ours_ms": 100.0, "peer_ms": 400.0, "first_call": 1.5,
        });
        assert_eq!(row.json(), expected);
    }
}
