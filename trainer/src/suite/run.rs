//! Trains what a suite still lacks.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use shared::Finding;
use shared::io::weights::sha256_hex;
use toml::Table;

use super::{Row, Suite};
use crate::checkpoint::write_atomically;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::evaluate::Scored;
use crate::train::{EpochRecord, Observer, Options, Start, train};

/// What is kept of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunResult {
    /// Hash of the experiment, so that results of another protocol are not taken for this one's.
    pub config: String,
    /// Best validation result and its epoch.
    pub validation_auroc: Option<f64>,
    /// From 1.
    pub best_epoch: usize,
    /// On the test images, at those weights.
    pub test: Areas,
    /// The same with the reports at hand.
    pub test_with_reports: Option<Areas>,
    /// Mutual-information losses on validation pairs.
    pub held_out: BTreeMap<String, f64>,
    /// Test images.
    pub n_test: usize,
    /// Duration.
    pub seconds: f64,
}

/// Areas under the curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Areas {
    /// Mean over the findings that can be measured.
    pub macro_auroc: f64,
    /// By finding.
    pub findings: BTreeMap<String, f64>,
}

impl Areas {
    fn new(scored: &Scored) -> Result<Self> {
        let findings: BTreeMap<String, f64> = Finding::ALL
            .into_iter()
            .filter_map(|finding| {
                let (scores, present) = scored.column(finding);
                Some((finding.name().to_owned(), shared::metric::auroc(&scores, &present)?))
            })
            .collect();
        let macro_auroc = findings.values().sum::<f64>() / findings.len() as f64;
        if findings.is_empty() {
            return Err(Error::TooFewImages { part: "test", found: 0, needed: 1 });
        }
        Ok(Self { macro_auroc, findings })
    }
}

/// Told of what a suite does.
pub trait Progress: Sync {
    /// A line for people.
    fn line(&self, text: &str);
}

/// A run to be done: the folder and the file of its result, and what is trained.
struct Job {
    key: String,
    seed: u64,
    config: Config,
}

/// Results by row and seed.
type ByRow = BTreeMap<String, BTreeMap<u64, RunResult>>;

/// The results of a suite, and what was chosen.
pub struct Results {
    /// By row and seed; rows that only measure others' models are filled in.
    pub(super) rows: ByRow,
    /// By group: mean validation area of each candidate.
    pub(super) tuning: BTreeMap<String, Vec<f64>>,
}

/// Trains what is missing in the folder, `jobs` runs at a time, and gives all results.
///
/// # Errors
///
/// The first error of a run; results of another protocol in the folder.
pub fn run(suite: &Suite, out: &Path, jobs: usize, progress: &impl Progress) -> Result<Results> {
    let folder = out.join("runs");
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder, "cannot make the folder"))?;
    let mut tuning = BTreeMap::new();
    let mut chosen: BTreeMap<&str, &Table> = BTreeMap::new();
    if let Some(plan) = &suite.tuning {
        let mut todo = Vec::new();
        for group in &plan.groups {
            for (i, candidate) in group.candidates.iter().enumerate() {
                for seed in plan.seeds.iter() {
                    let config = suite.config(&[&group.set, candidate], seed)?;
                    todo.push(Job { key: format!("tune-{}-{i}", group.name), seed, config });
                }
            }
        }
        let results = run_all(&folder, todo, jobs, progress)?;
        for group in &plan.groups {
            let mean = |i: usize| {
                let all = &results[&format!("tune-{}-{i}", group.name)];
                let sum: f64 = all.values().map(|result| result.validation_auroc.unwrap_or(0.5)).sum();
                sum / all.len() as f64
            };
            let means: Vec<f64> = (0..group.candidates.len()).map(mean).collect();
            let best = (1..means.len()).fold(0, |best, i| if means[i] > means[best] { i } else { best });
            progress.line(&format!(
                "{}: candidate {} of {} is chosen, mean validation AUC {:.4}",
                group.name,
                best + 1,
                means.len(),
                means[best]
            ));
            chosen.insert(&group.name, &group.candidates[best]);
            tuning.insert(group.name.clone(), means);
        }
    }
    let mut todo = Vec::new();
    // Seed by seed, so that an interrupted suite has whole comparisons.
    for seed in suite.seeds.iter() {
        for row in suite.rows.iter().filter(|row| row.with_reports_of.is_none() && has_seed(suite, row, seed)) {
            let choice = row.tuned.as_deref().and_then(|group| chosen.get(group).copied());
            let changes: Vec<&Table> = choice.into_iter().chain([&row.set]).collect();
            todo.push(Job { key: row.name.clone(), seed, config: suite.config(&changes, seed)? });
        }
    }
    let mut rows = run_all(&folder, todo, jobs, progress)?;
    for row in &suite.rows {
        let Some(source) = row.with_reports_of.as_ref().and_then(|source| rows.get(source)) else { continue };
        let again = source
            .iter()
            .filter_map(|(seed, result)| {
                let test = result.test_with_reports.clone()?;
                Some((*seed, RunResult { test, test_with_reports: None, ..result.clone() }))
            })
            .collect();
        rows.insert(row.name.clone(), again);
    }
    Ok(Results { rows, tuning })
}

fn has_seed(suite: &Suite, row: &Row, seed: u64) -> bool {
    row.seeds.is_none_or(|n| seed < suite.seeds.first + n)
}

/// Results by key and seed; what is not there yet is trained.
fn run_all(folder: &Path, todo: Vec<Job>, jobs: usize, progress: &impl Progress) -> Result<ByRow> {
    let n = todo.len();
    let queue = Mutex::new(todo.into_iter().collect::<VecDeque<Job>>());
    let done: Mutex<(ByRow, usize)> = Mutex::default();
    let lock = |queue: &Mutex<VecDeque<Job>>| queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let threads = (std::thread::available_parallelism().map_or(1, usize::from) / jobs).max(1);
    let worker = || -> Result<()> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| Error::Config { file: "threads".to_owned(), reason: error.to_string() })?;
        while let Some(job) = lock(&queue) {
            let result = match result_of(folder, &job) {
                Ok(Some(result)) => Ok((result, false)),
                Ok(None) => pool.install(|| run_one(folder, &job)).map(|result| (result, true)),
                Err(error) => Err(error),
            };
            let (result, new) = match result {
                Ok(result) => result,
                Err(error) => {
                    // The others need not begin anything new.
                    queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    return Err(error);
                }
            };
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.1 += 1;
            if new {
                progress.line(&format!(
                    "{} of {n}: {} seed {}: validation {:.4}, test {:.4}, {:.0} s",
                    done.1,
                    job.key,
                    job.seed,
                    result.validation_auroc.unwrap_or(f64::NAN),
                    result.test.macro_auroc,
                    result.seconds
                ));
            }
            done.0.entry(job.key).or_default().insert(job.seed, result);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner).0)
}

fn paths(folder: &Path, job: &Job) -> (PathBuf, PathBuf) {
    let name = format!("{}-{}", job.key, job.seed);
    (folder.join(format!("{name}.json")), folder.join(name))
}

/// Hash of an experiment.
fn hash(config: &Config) -> Result<String> {
    Ok(sha256_hex(config.to_toml()?.as_bytes()))
}

fn result_of(folder: &Path, job: &Job) -> Result<Option<RunResult>> {
    let (path, _) = paths(folder, job);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(&path, "cannot read the result")(error)),
    };
    let invalid = |reason: String| Error::Config { file: path.display().to_string(), reason };
    let result: RunResult = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    if result.config != hash(&job.config)? {
        let reason = "this result was made under another protocol; give another --out, or remove the folder";
        return Err(invalid(reason.to_owned()));
    }
    Ok(Some(result))
}

fn run_one(folder: &Path, job: &Job) -> Result<RunResult> {
    let start = Instant::now();
    let (path, out) = paths(folder, job);
    let options =
        Options { out: out.clone(), start: Start::ResumeIfAny, twin: None, command: format!("suite row {}", job.key) };
    let outcome = train(&job.config, &options, &mut Silent)?;
    let result = RunResult {
        config: hash(&job.config)?,
        validation_auroc: outcome.validation_auroc,
        best_epoch: outcome.best_epoch,
        test: Areas::new(&outcome.test)?,
        test_with_reports: outcome.test_with_reports.as_ref().map(Areas::new).transpose()?,
        held_out: outcome.held_out,
        n_test: outcome.test.present.len(),
        seconds: start.elapsed().as_secs_f64(),
    };
    let failed =
        |error: serde_json::Error| Error::Config { file: path.display().to_string(), reason: error.to_string() };
    write_atomically(&path, &serde_json::to_vec(&result).map_err(failed)?)?;
    // The result is safe; weights and checkpoints of hundreds of runs are not kept.
    std::fs::remove_dir_all(&out).map_err(Error::file(&out, "cannot remove the finished run"))?;
    Ok(result)
}

/// The runs of a suite say nothing of their epochs.
struct Silent;

impl Observer for Silent {
    fn begin(&mut self, _summary: &str, _done: usize, _steps: usize) {}
    fn step(&mut self) {}
    fn epoch(&mut self, _record: &EpochRecord) {}
}
