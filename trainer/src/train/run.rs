//! One run from its first epoch, or from its checkpoint, to its results.

use std::f64::consts::PI;
use std::time::Instant;

use candle_core::{Device, Tensor};
use shared::nn::Parameters;
use shared::train::gradients;

use super::folder::RunFolder;
use super::loader::Loader;
use super::state::State;
use super::stream::{Stream, generator};
use super::task::Task;
use super::{EpochRecord, Observer, Options, curves};
use crate::checkpoint::{Found, Progress, write_atomically};
use crate::config::{Schedule, TrainingConfig, differences};
use crate::device::{describe, full_memory};
use crate::error::{Error, Result};

/// Name of the metrics in the run's folder.
pub(super) const METRICS: &str = "metrics.jsonl";

/// A run in progress.
pub(super) struct Run<'a, T: Task> {
    pub(super) task: T,
    pub(super) options: &'a Options,
    folder: RunFolder,
    model: T::Model,
    pub(super) state: State<T>,
}

impl<'a, T: Task> Run<'a, T> {
    /// Takes up the run of the folder, or begins it. `parameters` are the variables that the task has set already.
    ///
    /// # Errors
    ///
    /// A checkpoint of another run, or one that cannot be read.
    pub(super) fn new(
        task: T,
        parameters: Parameters,
        folder: RunFolder,
        options: &'a Options,
        observer: &mut impl Observer,
    ) -> Result<Self> {
        let model = task.build(&parameters)?;
        let progress = Progress::new(task.config().clone(), task.fingerprint(), describe(&options.device));
        let state = State::new(&task, parameters, progress)?;
        let mut run = Self { task, options, folder, model, state };
        let start = Instant::now();
        if let Some(found) = run.folder.checkpoints.read()? {
            run.go_on(found, observer)?;
            let (epochs, steps, seconds) =
                (run.state.progress.epochs(), run.state.progress.open.steps, start.elapsed().as_secs_f64());
            observer.note(&format!("goes on after {epochs} epochs and {steps} steps, taken up in {seconds:.2} s"));
        }
        // Also of a run that goes on: it may be for longer now.
        run.task.write_inputs(&run.folder.path)?;
        Ok(run)
    }

    /// Goes on from a checkpoint.
    fn go_on(&mut self, found: Found<T::Config>, observer: &mut impl Observer) -> Result<()> {
        let failed = |path, reason| Err(Error::NotResumable { path, reason });
        let path = self.folder.checkpoints.newest().to_owned();
        let Found { checkpoint, instead } = found;
        let begun = &checkpoint.progress;
        let settings = differences(self.task.config(), &self.task.continued(&begun.config))?;
        if !settings.is_empty() {
            let settings = settings.join(", ");
            return failed(
                path,
                format!("it was begun with another configuration: {settings}; give the same one, or another --out"),
            );
        }
        let data = self.state.progress.data.differences(&begun.data);
        if !data.is_empty() {
            return failed(
                path,
                format!("it was begun with other data: {}; give the same, or another --out", data.join("; ")),
            );
        }
        if let Some(why) = instead {
            observer.note(&why);
        }
        let (then, now) = (&begun.processor, &self.state.progress.processor);
        if then != now {
            observer.note(&format!(
                "the run was begun on {then} and goes on on {now}: its weights will not be, to the last bit, those of a \
                 run on one of them"
            ));
        }
        self.state.restore(checkpoint).or_else(|reason| failed(path, reason))?;
        // It may have been stopped between the checkpoint and these.
        self.write_records()
    }

    /// Trains until the last epoch, or until patience is out.
    ///
    /// # Errors
    ///
    /// A loss that is not finite, a full disk, data that cannot be read. The last checkpoint survives all of them.
    pub(super) fn train(&mut self, observer: &mut impl Observer) -> Result<()> {
        let all_steps = self.task.n_steps() * self.task.training().max_epochs;
        let progress = &self.state.progress;
        let done = progress.epochs() * self.task.n_steps() + progress.open.steps;
        observer.begin(&self.task.summary()?, &progress.records, done, all_steps);
        while !self.is_at_end() {
            let record = self.epoch(all_steps, observer)?;
            observer.epoch(&record);
        }
        Ok(())
    }

    fn is_at_end(&self) -> bool {
        let (progress, training) = (&self.state.progress, self.task.training());
        progress.epochs() >= training.max_epochs.min(progress.best_epoch() + training.patience)
    }

    /// Takes the steps of an epoch, or those that are left of it.
    fn steps(&mut self, all_steps: usize, observer: &mut impl Observer) -> Result<()> {
        let Self { task, options, folder, model, state } = self;
        let training = task.training();
        let epoch = state.progress.epochs() + 1;
        let steps = task.steps(epoch);
        let mut locations = generator(task.seed(), epoch, Stream::Locations);
        locations.set_word_pos(u128::from(state.progress.open.locations));
        let (mut since, mut saved) = (Instant::now(), Instant::now());
        let task = &*task;
        std::thread::scope(|scope| {
            let mut loader = Loader::start(scope, task, &steps, epoch, state.progress.open.steps);
            while let Some(batch) = loader.next() {
                let batch = batch?;
                let found = task
                    .losses(model, &batch, &mut state.progress.means, &mut locations)
                    .and_then(|losses| Ok((gradients(&losses, training.mi_gradient(), &state.adam)?, losses)));
                let (grads, losses) = match found {
                    Ok(found) => found,
                    Err(error) => {
                        drop(batch);
                        let step = state.progress.open.steps;
                        return Err(with_what_fits(error, &options.device, &steps[step], |items| {
                            let (mut means, mut locations) = (state.progress.means, locations.clone());
                            let losses =
                                task.losses(model, &task.batch(items, epoch, step)?, &mut means, &mut locations)?;
                            gradients(&losses, training.mi_gradient(), &state.adam).map(drop).map_err(Error::from)
                        }));
                    }
                };
                let mut total = None;
                if let Some((grads, loss)) = grads {
                    if !loss.is_finite() {
                        let step = state.progress.open.steps + 1;
                        return Err(Error::NonFiniteLoss { loss, epoch, step, items: task.items(&batch) });
                    }
                    state.adam.step(&grads, rate(training, state.adam.steps(), all_steps))?;
                    state.average.follow(&state.parameters, state.adam.steps())?;
                    total = Some(loss);
                }
                let open = &mut state.progress.open;
                let record = open.sums.add(task.count(&batch), total, &losses)?;
                open.steps += 1;
                open.waited += loader.take_waited().as_secs_f64();
                open.seconds += since.elapsed().as_secs_f64();
                since = Instant::now();
                observer.step(&record);
                if saved.elapsed() >= options.checkpoint_after && open.steps < steps.len() {
                    open.locations = u64::try_from(locations.get_word_pos()).unwrap_or(u64::MAX);
                    folder.checkpoints.write(&state.checkpoint()?)?;
                    saved = Instant::now();
                }
            }
            Ok(())
        })
    }

    fn epoch(&mut self, all_steps: usize, observer: &mut impl Observer) -> Result<EpochRecord> {
        self.steps(all_steps, observer)?;
        let start = Instant::now();
        let validation = self.task.validate(&self.state.average.model)?;
        let held_out = self.task.held_out(&self.state.average.model)?;
        let progress = &mut self.state.progress;
        let epoch = progress.epochs() + 1;
        let before = progress.best().and_then(|record| record.validation);
        let best = before.is_none_or(|before| validation.is_some_and(|value| value > before));
        if best {
            self.state.best = self.state.average.parameters.to_tensors()?;
        }
        let open = std::mem::take(&mut progress.open);
        let record = EpochRecord {
            epoch,
            step: self.state.adam.steps(),
            loss: open.sums.loss(),
            losses: open.sums.losses(),
            held_out,
            chance: open.sums.chance(),
            paired: open.sums.paired(),
            measure: T::MEASURE.to_owned(),
            validation,
            best,
            seconds: open.seconds + start.elapsed().as_secs_f64(),
            waiting: open.waited / open.seconds.max(1e-9),
        };
        progress.records.push(record.clone());
        if self.is_at_end() || epoch.is_multiple_of(self.task.training().checkpoint_every) {
            // First the checkpoint: what the metrics say is always in one.
            self.folder.checkpoints.write(&self.state.checkpoint()?)?;
            self.write_records()?;
        }
        Ok(record)
    }

    /// Writes the records of the epochs, as lines and as curves.
    fn write_records(&self) -> Result<()> {
        let mut metrics = String::new();
        for record in &self.state.progress.records {
            let line = serde_json::to_string(record)
                .map_err(|error| Error::Config { file: METRICS.to_owned(), reason: error.to_string() })?;
            metrics += &line;
            metrics.push('\n');
        }
        write_atomically(&self.folder.path.join(METRICS), metrics.as_bytes())?;
        curves::write(&self.folder.path, self.task.name(), &self.state.progress.records)
    }

    /// The model with the weights of the best epoch.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub(super) fn best_model(&self) -> Result<T::Model> {
        let parameters = Parameters::on(&self.options.device, 0);
        for (name, tensor) in &self.state.best {
            parameters.set(name, &Tensor::from_slice(&tensor.data, tensor.shape.as_slice(), &Device::Cpu)?)?;
        }
        self.task.build(&parameters)
    }
}

/// Where a GPU's memory is full, an error that names the batch that would fit; else the error as it is. `attempt` computes
/// the gradients of some of the step's items.
fn with_what_fits(
    error: Error,
    device: &Device,
    items: &[usize],
    mut attempt: impl FnMut(Vec<usize>) -> Result<()>,
) -> Error {
    let advice = full_memory(&error.to_string(), device, items.len(), |n| attempt(items[..n].to_vec()));
    advice.map_or(error, |advice| Error::FullMemory { advice })
}

/// Share of the learning rate in a step, from 0, of a run of so many.
fn rate(training: &TrainingConfig, step: usize, all_steps: usize) -> f64 {
    match training.schedule {
        Schedule::Constant => 1.0,
        Schedule::Cosine => 0.5 * (1.0 + (PI * step as f64 / all_steps as f64).cos()),
    }
}
