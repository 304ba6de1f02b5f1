//! One run from its first epoch, or from its checkpoint, to its results.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::time::Instant;

use candle_core::{Device, Tensor};
use shared::io::weights::NamedTensor;
use shared::model::classifier::RunningMeans;
use shared::nn::Parameters;
use shared::train::{Adam, Losses, Moments, gradients};

use super::average::Average;
use super::loader::Loader;
use super::stream::{Stream, generator};
use super::task::Task;
use super::{EpochRecord, Observer, Options, Start, curves};
use crate::checkpoint::{Checkpoint, Progress, write_atomically};
use crate::config::Schedule;
use crate::error::{Error, Result};

/// Name of the checkpoint in the run's folder.
const CHECKPOINT: &str = "checkpoint.safetensors";
/// Name of the metrics in the run's folder.
const METRICS: &str = "metrics.jsonl";
/// A run in progress.
pub(super) struct Run<'a, T: Task> {
    pub(super) task: T,
    pub(super) options: &'a Options,
    parameters: Parameters,
    model: T::Model,
    average: Average<T::Model>,
    adam: Adam,
    pub(super) progress: Progress<T::Config>,
    /// Weights of the best epoch, by name.
    pub(super) best: BTreeMap<String, NamedTensor>,
    records: Vec<EpochRecord>,
}

/// Sums of an epoch's losses.
#[derive(Default)]
struct Sums {
    items: usize,
    paired: usize,
    steps: usize,
    total: f64,
    /// By name: sum and number of steps that had the loss.
    parts: BTreeMap<&'static str, (f64, usize)>,
    chances: BTreeMap<&'static str, (f64, usize)>,
}

impl<'a, T: Task> Run<'a, T> {
    /// Takes up the run of the folder, or begins it. `parameters` are the variables that the task has set already.
    ///
    /// # Errors
    ///
    /// A folder that holds another run, or none to go on with.
    pub(super) fn new(task: T, parameters: Parameters, options: &'a Options) -> Result<Self> {
        let checkpoint = open_folder(&task, options)?;
        let model = task.build(&parameters)?;
        let average = Average::new(&task, &parameters)?;
        let adam = Adam::new(task.trained(&parameters), task.training().weight_decay)?;
        let progress = Progress {
            epoch: 0,
            step: 0,
            best_epoch: 0,
            best: None,
            means: RunningMeans::default(),
            config: task.config().clone(),
        };
        let (best, records) = (BTreeMap::new(), Vec::new());
        let mut run = Self { task, options, parameters, model, average, adam, progress, best, records };
        match checkpoint {
            Some(checkpoint) => run.restore(checkpoint)?,
            None => run.task.write_inputs(&options.out)?,
        }
        Ok(run)
    }

    /// Trains until the last epoch, or until patience is out.
    ///
    /// # Errors
    ///
    /// A loss that is not finite, a full disk, data that cannot be read. The last checkpoint survives all of them.
    pub(super) fn train(&mut self, observer: &mut impl Observer) -> Result<()> {
        observer.begin(&self.task.summary()?, self.progress.step, self.all_steps());
        while self.progress.epoch < self.task.training().max_epochs && !self.is_out_of_patience() {
            let record = self.epoch(observer)?;
            observer.epoch(&record);
        }
        Ok(())
    }

    /// Steps of a run that no patience ends.
    fn all_steps(&self) -> usize {
        self.task.n_steps() * self.task.training().max_epochs
    }

    fn is_out_of_patience(&self) -> bool {
        self.progress.epoch >= self.progress.best_epoch + self.task.training().patience
    }

    /// Share of the learning rate in a step, from 0, of a run of so many.
    fn rate(&self, step: usize, all_steps: usize) -> f64 {
        match self.task.training().schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (PI * step as f64 / all_steps as f64).cos()),
        }
    }

    fn epoch(&mut self, observer: &mut impl Observer) -> Result<EpochRecord> {
        let start = Instant::now();
        let epoch = self.progress.epoch + 1;
        let steps = self.task.steps(epoch);
        let mut locations = generator(self.task.seed(), epoch, Stream::Locations);
        let mut sums = Sums::default();
        let mut means = self.progress.means;
        let mut adam = std::mem::replace(&mut self.adam, Adam::new(Vec::new(), 0.0)?);
        let all_steps = self.all_steps();
        let run = &*self;
        let trained = std::thread::scope(|scope| {
            let mut loader = Loader::start(scope, &run.task, &steps, epoch);
            while let Some(batch) = loader.next() {
                let batch = batch?;
                let losses = run.task.losses(&run.model, &batch, &mut means, &mut locations)?;
                let rate = run.rate(adam.steps(), all_steps);
                if let Some((grads, value)) = gradients(&losses, run.task.training().mi_gradient(), &adam)? {
                    if !value.is_finite() {
                        let items = run.task.items(&batch);
                        return Err(Error::NonFiniteLoss { loss: value, epoch, step: sums.steps + 1, items });
                    }
                    adam.step(&grads, rate)?;
                    run.average.follow(&run.parameters, adam.steps())?;
                    sums.total += f64::from(value);
                }
                sums.add(run.task.count(&batch), &losses)?;
                observer.step();
            }
            Ok(loader.waited())
        });
        self.adam = adam;
        let waited = trained?;
        let waiting = waited.as_secs_f64() / start.elapsed().as_secs_f64().max(1e-9);
        self.progress.means = means;
        self.progress.epoch = epoch;
        self.progress.step = self.adam.steps();
        let validation = self.task.validate(&self.average.model)?;
        let held_out = self.task.held_out(&self.average.model)?;
        let best = self.progress.best.is_none_or(|best| validation.is_some_and(|value| value > best));
        if best {
            self.progress.best_epoch = epoch;
            self.progress.best = validation;
            self.best = self.average.parameters.to_tensors()?;
        }
        let mean = |parts: &BTreeMap<&'static str, (f64, usize)>| -> BTreeMap<String, f64> {
            parts.iter().map(|(name, (sum, n))| ((*name).to_owned(), sum / *n as f64)).collect()
        };
        let record = EpochRecord {
            epoch,
            step: self.progress.step,
            loss: sums.total / sums.steps.max(1) as f64,
            losses: mean(&sums.parts),
            held_out,
            chance: mean(&sums.chances),
            paired: sums.paired as f64 / sums.items.max(1) as f64,
            measure: T::MEASURE.to_owned(),
            validation,
            best,
            seconds: start.elapsed().as_secs_f64(),
            waiting,
        };
        self.records.push(record.clone());
        let last = epoch == self.task.training().max_epochs || self.is_out_of_patience();
        if last || epoch.is_multiple_of(self.task.training().checkpoint_every) {
            self.save()?;
        }
        Ok(record)
    }

    /// The model with the weights of the best epoch.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub(super) fn best_model(&self) -> Result<T::Model> {
        let parameters = Parameters::on(&self.options.device, 0);
        for (name, tensor) in &self.best {
            parameters.set(name, &Tensor::from_slice(&tensor.data, tensor.shape.as_slice(), &Device::Cpu)?)?;
        }
        self.task.build(&parameters)
    }

    /// The record of the best epoch.
    pub(super) fn best_record(&self) -> Option<&EpochRecord> {
        self.records.iter().find(|record| record.epoch == self.progress.best_epoch)
    }

    /// Writes the checkpoint, then the metrics: what the metrics say is always in a checkpoint.
    fn save(&self) -> Result<()> {
        let mut all = BTreeMap::new();
        let mut put = |group: &str, tensors: BTreeMap<String, NamedTensor>| {
            all.extend(tensors.into_iter().map(|(name, tensor)| (format!("{group}:{name}"), tensor)));
        };
        put("parameter", self.parameters.to_tensors()?);
        put("average", self.average.parameters.to_tensors()?);
        put("best", self.best.clone());
        let vector = |data: Vec<f32>| NamedTensor { shape: vec![data.len()], data };
        let moments = self.adam.moments()?;
        let (first, second): (Vec<_>, Vec<_>) =
            moments.into_iter().map(|(name, m)| ((name.clone(), vector(m.first)), (name, vector(m.second)))).unzip();
        put("first", first.into_iter().collect());
        put("second", second.into_iter().collect());
        let out = &self.options.out;
        Checkpoint { progress: self.progress.clone(), tensors: all }.write(&out.join(CHECKPOINT))?;
        let mut metrics = String::new();
        for record in &self.records {
            let line = serde_json::to_string(record)
                .map_err(|error| Error::Config { file: METRICS.to_owned(), reason: error.to_string() })?;
            metrics += &line;
            metrics.push('\n');
        }
        write_atomically(&out.join(METRICS), metrics.as_bytes())?;
        curves::write(out, self.task.name(), &self.records)
    }

    fn restore(&mut self, checkpoint: Checkpoint<T::Config>) -> Result<()> {
        let path = self.options.out.join(CHECKPOINT);
        let mut moments: BTreeMap<String, Moments> = BTreeMap::new();
        let empty = || Moments { first: Vec::new(), second: Vec::new() };
        for (name, tensor) in checkpoint.tensors {
            let Some((group, name)) = name.split_once(':') else { continue };
            match group {
                "first" => moments.entry(name.to_owned()).or_insert_with(empty).first = tensor.data,
                "second" => moments.entry(name.to_owned()).or_insert_with(empty).second = tensor.data,
                "best" => {
                    self.best.insert(name.to_owned(), tensor);
                }
                _ => {
                    let target = if group == "average" { &self.average.parameters } else { &self.parameters };
                    target.set(name, &Tensor::from_vec(tensor.data, tensor.shape, &Device::Cpu)?)?;
                }
            }
        }
        if !self.adam.fits(&moments) {
            return Err(Error::NotResumable { path, reason: "its tensors are not this model's".to_owned() });
        }
        self.adam.restore(checkpoint.progress.step, moments)?;
        self.progress = Progress { config: self.task.config().clone(), ..checkpoint.progress };
        let metrics = self.options.out.join(METRICS);
        let text = std::fs::read_to_string(&metrics).map_err(Error::file(&metrics, "cannot read the metrics"))?;
        for line in text.lines().take(self.progress.epoch) {
            let record = serde_json::from_str(line).map_err(|error| Error::NotResumable {
                path: metrics.clone(),
                reason: format!("a line is not a record of an epoch: {error}"),
            })?;
            self.records.push(record);
        }
        Ok(())
    }
}

impl Sums {
    fn add(&mut self, (items, paired): (usize, usize), losses: &Losses) -> Result<()> {
        self.steps += 1;
        self.items += items;
        self.paired += paired;
        for (name, loss) in &losses.parts {
            let sum = self.parts.entry(name).or_default();
            sum.0 += f64::from(loss.to_scalar::<f32>()?);
            sum.1 += 1;
        }
        for (name, chance) in &losses.chances {
            let sum = self.chances.entry(name).or_default();
            sum.0 += chance;
            sum.1 += 1;
        }
        Ok(())
    }
}

/// Makes the folder and checks that this run may use it; gives the checkpoint to go on from.
fn open_folder<T: Task>(task: &T, options: &Options) -> Result<Option<Checkpoint<T::Config>>> {
    std::fs::create_dir_all(&options.out).map_err(Error::file(&options.out, "cannot make the folder"))?;
    let path = options.out.join(CHECKPOINT);
    match options.start {
        Start::Fresh if path.exists() => Err(Error::RunExists { path: options.out.clone() }),
        Start::Fresh => Ok(None),
        Start::ResumeIfAny if !path.exists() => Ok(None),
        Start::Resume | Start::ResumeIfAny => {
            let checkpoint = Checkpoint::read(&path)?;
            if !task.may_continue(&checkpoint.progress.config) {
                let reason = "it was made with another configuration (only training.patience and, at a constant rate, \
                              training.max_epochs may change); give the same one, or another --out"
                    .to_owned();
                return Err(Error::NotResumable { path, reason });
            }
            Ok(Some(checkpoint))
        }
    }
}
