//! Trains what a suite still lacks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use candle_core::Device;
use serde::{Deserialize, Serialize};
use shared::Modality;
use shared::io::weights::sha256_hex;
use toml::Table;

use super::classification::{IMAGE, REPORTS};
use super::{Row, Suite};
use crate::checkpoint::write_atomically;
use crate::error::{Error, Result};
use crate::model_dir;
use crate::train::{CHECKPOINT_AFTER, Options, Start};

/// What a suite trains.
pub trait Experiment: Clone + Send + Sync {
    /// What runs of one suite share.
    type Shared: Default + Sync;

    /// Reads and checks a TOML text; `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    fn parse(file: &str, text: &str) -> Result<Self>;
    /// The experiment as TOML.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a value has no TOML form.
    fn to_toml(&self) -> Result<String>;
    /// Divides the data by another seed.
    fn split_by(&mut self, seed: u64);
    /// Takes the network in a folder for its teacher.
    fn taught_by(&mut self, teacher: PathBuf);
    /// Trains and measures; hash and duration are filled in by the suite.
    ///
    /// # Errors
    ///
    /// Those of training.
    fn run(&self, options: &Options, shared: &Self::Shared) -> Result<RunResult>;
}

/// What is kept of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunResult {
    /// Hash of the experiment, so that results of another protocol are not taken for this one's.
    pub config: String,
    /// Best validation result and its epoch.
    pub validation: Option<f64>,
    /// From 1.
    pub best_epoch: usize,
    /// On the test data, at those weights: by what was at hand.
    pub scores: BTreeMap<String, Score>,
    /// Mutual-information losses on validation pairs.
    pub held_out: BTreeMap<String, f64>,
    /// Test images or scans.
    pub n_test: usize,
    /// Duration.
    pub seconds: f64,
}

/// A result on the test data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The value that is reported.
    pub value: f64,
    /// What it consists of, or what else belongs to it.
    pub parts: BTreeMap<String, f64>,
}

impl RunResult {
    /// The score for what was at hand.
    pub fn score(&self, at_hand: &str) -> Option<&Score> {
        self.scores.get(at_hand)
    }
}

/// Told of what a suite does.
pub trait Progress: Sync {
    /// A line for people.
    fn line(&self, text: &str);
}

/// A run to be done: the folder and the file of its result, and what is trained.
#[derive(Clone)]
struct Job<E> {
    key: String,
    seed: u64,
    config: E,
    /// The job whose network teaches.
    teacher: Option<Box<Job<E>>>,
    /// Whether its weights are needed by others.
    weights: Weights,
}

/// Whether the weights of a finished run stay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weights {
    Kept,
    Removed,
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

/// Trains what is missing in the folder, `jobs` runs at a time on a device, and gives all results.
///
/// # Errors
///
/// The first error of a run; results of another protocol in the folder.
pub fn run<E: Experiment>(
    suite: &Suite,
    out: &Path,
    jobs: usize,
    device: &Device,
    progress: &impl Progress,
) -> Result<Results> {
    let folder = out.join("runs");
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder, "cannot make the folder"))?;
    let shared = E::Shared::default();
    let run_all = |todo: Vec<Job<E>>| run_all(&folder, todo, jobs, device, &shared, progress);
    let mut tuning = BTreeMap::new();
    let mut chosen: BTreeMap<&str, &Table> = BTreeMap::new();
    if let Some(plan) = &suite.tuning {
        let teachers = plan.groups.iter().filter_map(|group| group.teacher.as_deref()).collect();
        run_all(teacher_jobs(suite, teachers, plan.seeds.iter())?)?;
        let mut todo = Vec::new();
        for group in &plan.groups {
            for (i, candidate) in group.candidates.iter().enumerate() {
                for seed in plan.seeds.iter() {
                    let teacher = group.teacher.as_deref().map(|name| teacher_job(suite, name, seed)).transpose()?;
                    for (modality, ending) in each(&group.each) {
                        let config = suite.config(&[&group.set, candidate], seed, modality)?;
                        let key = format!("tune-{}-{i}{ending}", group.name);
                        let teacher = teacher.clone().map(Box::new);
                        todo.push(Job { key, seed, config, teacher, weights: Weights::Removed });
                    }
                }
            }
        }
        let results = run_all(todo)?;
        for group in &plan.groups {
            let mean = |i: usize| {
                let keys = each(&group.each).map(|(_, ending)| format!("tune-{}-{i}{ending}", group.name));
                let all: Vec<f64> = keys
                    .flat_map(|key| results[&key].values().map(|result| result.validation.unwrap_or(0.0)))
                    .collect();
                all.iter().sum::<f64>() / all.len() as f64
            };
            let means: Vec<f64> = (0..group.candidates.len()).map(mean).collect();
            let best = (1..means.len()).fold(0, |best, i| if means[i] > means[best] { i } else { best });
            progress.line(&format!(
                "{}: candidate {} of {} is chosen, mean validation result {:.4}",
                group.name,
                best + 1,
                means.len(),
                means[best]
            ));
            chosen.insert(&group.name, &group.candidates[best]);
            tuning.insert(group.name.clone(), means);
        }
    }
    let teachers = suite.rows.iter().filter_map(|row| row.teacher.as_deref()).collect();
    let mut rows = run_all(teacher_jobs(suite, teachers, suite.seeds.iter())?)?;
    let mut todo = Vec::new();
    // Seed by seed, so that an interrupted suite has whole comparisons.
    for seed in suite.seeds.iter() {
        for row in suite.rows.iter().filter(|row| row.with_reports_of.is_none() && has_seed(suite, row, seed)) {
            if rows.get(&row.name).is_some_and(|of_row| of_row.contains_key(&seed)) {
                continue;
            }
            let choice = row.tuned.as_deref().and_then(|group| chosen.get(group).copied());
            let changes: Vec<&Table> = choice.into_iter().chain([&row.set]).collect();
            let teacher = row.teacher.as_deref().map(|name| teacher_job(suite, name, seed)).transpose()?;
            for (modality, ending) in each(&row.each) {
                let config = suite.config(&changes, seed, modality)?;
                let (key, teacher) = (format!("{}{ending}", row.name), teacher.clone().map(Box::new));
                todo.push(Job { key, seed, config, teacher, weights: Weights::Removed });
            }
        }
    }
    rows.extend(run_all(todo)?);
    for row in &suite.rows {
        let Some(source) = row.with_reports_of.as_ref().and_then(|source| rows.get(source)) else { continue };
        let again = source
            .iter()
            .filter_map(|(seed, result)| {
                let score = result.score(REPORTS)?.clone();
                let scores = BTreeMap::from([(IMAGE.to_owned(), score)]);
                Some((*seed, RunResult { scores, ..result.clone() }))
            })
            .collect();
        rows.insert(row.name.clone(), again);
    }
    Ok(Results { rows, tuning })
}

/// The sequences of a row with the endings of their keys; one without either for a row that is not for a sequence.
fn each(modalities: &[Modality]) -> impl Iterator<Item = (Option<Modality>, String)> {
    let none = modalities.is_empty().then(|| (None, String::new()));
    none.into_iter().chain(modalities.iter().map(|modality| (Some(*modality), key_ending(*modality))))
}

/// What the key of a row's run for a sequence ends in.
pub(super) fn key_ending(modality: Modality) -> String {
    format!("-{}", modality.name())
}

/// The run of a row that teaches others.
fn teacher_job<E: Experiment>(suite: &Suite, name: &str, seed: u64) -> Result<Job<E>> {
    let row = suite.rows.iter().find(|row| row.name == name);
    let change = row.map(|row| &row.set).into_iter().collect::<Vec<_>>();
    let config = suite.config(&change, seed, None)?;
    Ok(Job { key: name.to_owned(), seed, config, teacher: None, weights: Weights::Kept })
}

fn teacher_jobs<E: Experiment>(
    suite: &Suite,
    names: BTreeSet<&str>,
    seeds: impl Iterator<Item = u64>,
) -> Result<Vec<Job<E>>> {
    let seeds: Vec<u64> = seeds.collect();
    names.into_iter().flat_map(|name| seeds.iter().map(move |&seed| teacher_job(suite, name, seed))).collect()
}

fn has_seed(suite: &Suite, row: &Row, seed: u64) -> bool {
    row.seeds.is_none_or(|n| seed < suite.seeds.first + n)
}

/// Results by key and seed; what is not there yet is trained.
fn run_all<E: Experiment>(
    folder: &Path,
    todo: Vec<Job<E>>,
    jobs: usize,
    device: &Device,
    shared: &E::Shared,
    progress: &impl Progress,
) -> Result<ByRow> {
    let n = todo.len();
    let queue = Mutex::new(todo.into_iter().collect::<VecDeque<Job<E>>>());
    let done: Mutex<(ByRow, usize)> = Mutex::default();
    let lock = |queue: &Mutex<VecDeque<Job<E>>>| queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let threads = (std::thread::available_parallelism().map_or(1, usize::from) / jobs).max(1);
    let worker = || -> Result<()> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| Error::Config { file: "threads".to_owned(), reason: error.to_string() })?;
        while let Some(job) = lock(&queue) {
            let result = match result_of(folder, &job) {
                Ok(Some(result)) => Ok((result, false)),
                Ok(None) => pool.install(|| run_one(folder, &job, device, shared)).map(|result| (result, true)),
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
                let scores: Vec<String> =
                    result.scores.iter().take(4).map(|(name, score)| format!("{name} {:.4}", score.value)).collect();
                progress.line(&format!(
                    "{} of {n}: {} seed {}: validation {:.4}, test {}, {:.0} s",
                    done.1,
                    job.key,
                    job.seed,
                    result.validation.unwrap_or(f64::NAN),
                    scores.join(" "),
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

fn paths<E>(folder: &Path, job: &Job<E>) -> (PathBuf, PathBuf) {
    let name = format!("{}-{}", job.key, job.seed);
    (folder.join(format!("{name}.json")), folder.join(name))
}

/// Hash of an experiment and of what it depends on.
fn hash<E: Experiment>(job: &Job<E>) -> Result<String> {
    let mut text = job.config.to_toml()?;
    if let Some(teacher) = &job.teacher {
        text += &teacher.config.to_toml()?;
    }
    Ok(sha256_hex(text.as_bytes()))
}

fn result_of<E: Experiment>(folder: &Path, job: &Job<E>) -> Result<Option<RunResult>> {
    let (path, out) = paths(folder, job);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(&path, "cannot read the result")(error)),
    };
    if job.weights == Weights::Kept && !out.join(model_dir::WEIGHTS).is_file() {
        return Ok(None);
    }
    let invalid = |reason: String| Error::Config { file: path.display().to_string(), reason };
    let result: RunResult = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    if result.config != hash(job)? {
        let reason = "this result was made under another protocol; give another --out, or remove the folder";
        return Err(invalid(reason.to_owned()));
    }
    Ok(Some(result))
}

fn run_one<E: Experiment>(folder: &Path, job: &Job<E>, device: &Device, shared: &E::Shared) -> Result<RunResult> {
    let start = Instant::now();
    let (path, out) = paths(folder, job);
    let options = Options {
        out: out.clone(),
        start: Start::Resume,
        twin: None,
        command: format!("suite row {}", job.key),
        device: device.clone(),
        checkpoint_after: CHECKPOINT_AFTER,
    };
    let mut config = job.config.clone();
    if let Some(teacher) = &job.teacher {
        config.taught_by(paths(folder, teacher).1);
    }
    let result = config.run(&options, shared)?;
    let result = RunResult { config: hash(job)?, seconds: start.elapsed().as_secs_f64(), ..result };
    let failed =
        |error: serde_json::Error| Error::Config { file: path.display().to_string(), reason: error.to_string() };
    write_atomically(&path, &serde_json::to_vec(&result).map_err(failed)?)?;
    // The result is safe; weights and checkpoints of hundreds of runs are not kept.
    if job.weights == Weights::Removed {
        std::fs::remove_dir_all(&out).map_err(Error::file(&out, "cannot remove the finished run"))?;
    }
    Ok(result)
}
