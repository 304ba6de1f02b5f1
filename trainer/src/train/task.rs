//! What a run trains.

use std::collections::BTreeMap;
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::model::classifier::RunningMeans;
use shared::nn::Parameters;
use shared::train::{Losses, Trained};

use crate::config::TrainingConfig;
use crate::data::Fingerprint;
use crate::error::Result;

/// An experiment with its data: how batches are made, what is minimized, how the result is validated. The loop around it
/// is [`super::run::Run`].
pub(super) trait Task: Sync + Sized {
    /// What the experiment is.
    type Config: Clone + PartialEq + Serialize + DeserializeOwned;
    /// One step's input.
    type Batch: Send;
    /// The model on its variables.
    type Model;

    /// Name of the validation measure, such as `AUC`.
    const MEASURE: &'static str;

    /// The experiment.
    fn config(&self) -> &Self::Config;
    /// What a run of another experiment would have to be to go on as this one; the same experiment if it may.
    fn continued(&self, saved: &Self::Config) -> Self::Config;
    /// What it learns from.
    fn fingerprint(&self) -> Fingerprint;
    /// Its optimization.
    fn training(&self) -> &TrainingConfig;
    /// Its short name.
    fn name(&self) -> &str;
    /// Its seed.
    fn seed(&self) -> u64;
    /// What was read, in words.
    fn summary(&self) -> Result<String>;
    /// Writes beside the results what they depend on.
    fn write_inputs(&self, out: &Path) -> Result<()>;

    /// Builds the model on variables, making those that are not there.
    fn build(&self, parameters: &Parameters) -> Result<Self::Model>;
    /// The variables that the optimizer changes.
    fn trained(&self, parameters: &Parameters) -> Vec<Trained>;

    /// Steps of every epoch.
    fn n_steps(&self) -> usize;
    /// What the batches of an epoch consist of.
    fn steps(&self, epoch: usize) -> Vec<Vec<usize>>;
    /// The batch of some items.
    fn batch(&self, items: Vec<usize>, epoch: usize, step: usize) -> Result<Self::Batch>;
    /// The losses of a batch.
    fn losses(
        &self,
        model: &Self::Model,
        batch: &Self::Batch,
        means: &mut RunningMeans,
        rng: &mut ChaCha8Rng,
    ) -> Result<Losses>;
    /// Items of a batch, and how many of them have a partner of another modality.
    fn count(&self, batch: &Self::Batch) -> [usize; 2];
    /// The items of a batch, for messages.
    fn items(&self, batch: &Self::Batch) -> String;

    /// The validation result; greater is better. `None` where it cannot be measured.
    fn validate(&self, model: &Self::Model) -> Result<Option<f64>>;
    /// Mutual-information losses on validation data, by name.
    fn held_out(&self, model: &Self::Model) -> Result<BTreeMap<String, f64>>;
}
