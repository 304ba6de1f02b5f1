//! Running average of the image path's weights: what is validated and kept.

use candle_core::{DType, Device, Tensor};
use shared::finding::Finding;
use shared::model::classifier::IMAGE_PREFIX;
use shared::model::resnet::{ImageClassifier, ResNetConfig};
use shared::nn::Parameters;

use crate::error::Result;

/// A second image path that follows the trained one.
pub(super) struct Average {
    decay: f64,
    /// Its variables, under the same names as the trained ones.
    pub(super) parameters: Parameters,
    /// The image path on them.
    pub(super) image: ImageClassifier,
}

impl Average {
    /// Starts as a copy of the trained image path.
    pub(super) fn new(decay: f64, config: &ResNetConfig, trained: &Parameters) -> Result<Self> {
        let parameters = Parameters::new(0);
        for (name, var) in trained.all() {
            if is_image(&name) {
                parameters.set(&name, var.as_tensor())?;
            }
        }
        let vb = parameters.builder(DType::F32, &Device::Cpu).pp(IMAGE_PREFIX);
        let image = ImageClassifier::new(config, Finding::COUNT, &vb)?;
        Ok(Self { decay, parameters, image })
    }

    /// Moves towards the trained weights after step `step`, from 1; early on faster, so that the start is soon forgotten.
    /// The running statistics of batch norm, averages already, are copied.
    pub(super) fn follow(&self, trained: &Parameters, step: usize) -> Result<()> {
        let decay = self.decay.min((1 + step) as f64 / (10 + step) as f64);
        let trained = trained.all();
        for (name, var) in self.parameters.all() {
            let value = trained[&name].as_detached_tensor();
            let is_statistic = name.contains("running_");
            let value: Tensor = if is_statistic || self.decay == 0.0 {
                value
            } else {
                ((var.as_detached_tensor() * decay)? + (value * (1.0 - decay))?)?
            };
            var.set(&value)?;
        }
        Ok(())
    }
}

/// Whether a variable belongs to the image path.
fn is_image(name: &str) -> bool {
    name.strip_prefix(IMAGE_PREFIX).is_some_and(|rest| rest.starts_with('.'))
}
