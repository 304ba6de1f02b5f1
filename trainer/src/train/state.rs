//! All that changes in a run, which is what its checkpoint holds.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use shared::io::weights::NamedTensor;
use shared::nn::Parameters;
use shared::train::{Adam, Moments};

use super::average::Average;
use super::task::Task;
use crate::checkpoint::{Checkpoint, Progress};
use crate::device::{algorithms, set_algorithms};
use crate::error::{Error, Result};

/// Weights, optimizer, and how far they have come.
pub(super) struct State<T: Task> {
    pub(super) parameters: Parameters,
    pub(super) average: Average<T::Model>,
    pub(super) adam: Adam,
    pub(super) progress: Progress<T::Config>,
    /// Weights of the best epoch, by name.
    pub(super) best: BTreeMap<String, NamedTensor>,
}

impl<T: Task> State<T> {
    /// At the beginning, on variables that the model has been built on.
    pub(super) fn new(task: &T, parameters: Parameters, progress: Progress<T::Config>) -> Result<Self> {
        let average = Average::new(task, &parameters)?;
        let adam = Adam::new(task.trained(&parameters), task.training().weight_decay)?;
        Ok(Self { parameters, average, adam, progress, best: BTreeMap::new() })
    }

    /// As it is now.
    ///
    /// # Errors
    ///
    /// [`Error::NonFiniteWeights`] for weights that nothing could be continued from.
    pub(super) fn checkpoint(&self) -> Result<Checkpoint<T::Config>> {
        let mut all = BTreeMap::new();
        let mut put = |group: &str, tensors: BTreeMap<String, NamedTensor>| {
            all.extend(tensors.into_iter().map(|(name, tensor)| (format!("{group}:{name}"), tensor)));
        };
        let parameters = self.parameters.to_tensors()?;
        if let Some((name, _)) =
            parameters.iter().find(|(_, tensor)| tensor.data.iter().any(|value| !value.is_finite()))
        {
            return Err(Error::NonFiniteWeights {
                name: name.clone(),
                epoch: self.progress.epochs() + 1,
                step: self.adam.steps(),
            });
        }
        put("parameter", parameters);
        put("average", self.average.parameters.to_tensors()?);
        put("best", self.best.clone());
        let vector = |data: Vec<f32>| NamedTensor { shape: vec![data.len()], data };
        let moments = self.adam.moments()?;
        let (first, second): (Vec<_>, Vec<_>) =
            moments.into_iter().map(|(name, m)| ((name.clone(), vector(m.first)), (name, vector(m.second)))).unzip();
        put("first", first.into_iter().collect());
        put("second", second.into_iter().collect());
        let algorithms = algorithms(self.parameters.device())?;
        Ok(Checkpoint {
            progress: Progress { step: self.adam.steps(), algorithms, ..self.progress.clone() },
            tensors: all,
        })
    }

    /// Goes back to a checkpoint of the same configuration, whose own one is kept.
    ///
    /// # Errors
    ///
    /// A message if it has not this model's tensors.
    pub(super) fn restore(&mut self, checkpoint: Checkpoint<T::Config>) -> std::result::Result<(), String> {
        if let Some(record) = &checkpoint.progress.algorithms {
            set_algorithms(self.parameters.device(), record).map_err(|error| error.to_string())?;
        }
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
                    let value = Tensor::from_vec(tensor.data, tensor.shape, &Device::Cpu);
                    value.and_then(|value| target.set(name, &value)).map_err(|error| error.to_string())?;
                }
            }
        }
        if !self.adam.fits(&moments) {
            return Err("its tensors are not this model's".to_owned());
        }
        self.adam.restore(checkpoint.progress.step, moments).map_err(|error| error.to_string())?;
        let config = self.progress.config.clone();
        self.progress = Progress { config, ..checkpoint.progress };
        Ok(())
    }
}
