//! The losses of a step and their gradients.

use candle_core::Tensor;
use candle_core::backprop::GradStore;
use rand::Rng;

use super::adam::Adam;
use super::targets::{PairedBatch, Targets};
use crate::error::Result;
use crate::mi::Estimate;
use crate::model::classifier::{CrossModalClassifier, RunningMeans};
use crate::model::resnet::ImageOutput;
use crate::nn::last_backward;

/// The losses of one step.
#[derive(Debug, Default)]
pub struct Losses {
    /// All but the mutual-information losses, weighted.
    pub task: Option<Tensor>,
    /// The mutual-information losses, weighted.
    pub mutual_information: Option<Tensor>,
    /// Each loss by name, unweighted, for the record.
    pub parts: Vec<(&'static str, Tensor)>,
    /// What a critic without knowledge would have for each mutual-information loss.
    pub chances: Vec<(&'static str, f64)>,
}

impl Losses {
    /// Adds a loss that is none of mutual information.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn add(&mut self, name: &'static str, loss: Tensor, weight: f64) -> Result<()> {
        let weighted = (&loss * weight)?;
        self.task = Some(match self.task.take() {
            Some(sum) => (sum + weighted)?,
            None => weighted,
        });
        self.parts.push((name, loss));
        Ok(())
    }

    /// Adds what the reports of a batch give the cross-modal classifier: its mutual-information losses, and the loss of
    /// its head for both modalities, weighted as the model says. `image` is the output for the whole batch.
    ///
    /// # Errors
    ///
    /// Those of [`CrossModalClassifier::cross_modal`].
    pub fn add_cross_modal(
        &mut self,
        model: &CrossModalClassifier,
        image: &ImageOutput,
        paired: &PairedBatch,
        targets: &Targets,
        means: &mut RunningMeans,
        rng: &mut impl Rng,
    ) -> Result<()> {
        let of_pairs = image.select(&paired.rows)?;
        let found = model.cross_modal(&of_pairs, &paired.reports, &paired.negatives, means, rng, true)?;
        let lambda_joint = model.weights().lambda_joint;
        if lambda_joint > 0.0
            && let Some(loss) = targets.loss(&found.joint_logits, Some(&paired.rows))?
        {
            self.add("joint", loss, lambda_joint)?;
        }
        self.mutual_information.clone_from(&found.mutual_information);
        for (name, Estimate { loss, chance }) in found.estimates() {
            self.parts.push((name, loss));
            self.chances.push((name, chance));
        }
        Ok(())
    }

    /// Adds the loss of the head for both modalities alone, as the control trains it that needs both at test time.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn add_joint(
        &mut self,
        model: &CrossModalClassifier,
        image: &ImageOutput,
        paired: &PairedBatch,
        targets: &Targets,
    ) -> Result<()> {
        let logits = model.joint_logits(&image.select(&paired.rows)?, &paired.reports, true)?;
        match targets.loss(&logits, Some(&paired.rows))? {
            Some(loss) => self.add("joint", loss, 1.0),
            None => Ok(()),
        }
    }
}

/// What becomes of the gradient of the mutual-information losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MiGradient {
    /// It is added as it is.
    Whole,
    /// It is scaled down to the length of the other losses' gradient where it is longer.
    AtMostTask,
}

/// The sums of the first and of the second of pairs of numbers, which a GPU is waited for once for.
fn sums_of_pairs(pairs: &[Tensor]) -> Result<(f32, f32)> {
    if pairs.is_empty() {
        return Ok((0.0, 0.0));
    }
    let pairs = Tensor::stack(pairs, 0)?.to_vec1::<f32>()?;
    Ok(pairs.as_chunks::<2>().0.iter().fold((0.0, 0.0), |(a, b), [first, second]| (a + first, b + second)))
}

/// The gradients of all losses and their sum's value; `None` if the batch has no loss. Of all that was computed for them,
/// the losses alone can be read afterwards ([`last_backward`]).
///
/// # Errors
///
/// Those of the tensor library.
pub fn gradients(losses: &Losses, mi_gradient: MiGradient, adam: &Adam) -> Result<Option<(GradStore, f32)>> {
    let both = match (&losses.task, &losses.mutual_information) {
        (None, None) => return Ok(None),
        (Some(loss), None) | (None, Some(loss)) => return Ok(Some((last_backward(loss)?, loss.to_scalar()?))),
        (Some(task), Some(mi)) if mi_gradient == MiGradient::Whole => (task + mi)?,
        (Some(task), Some(mi)) => {
            let value = task.to_scalar::<f32>()? + mi.to_scalar::<f32>()?;
            let mut grads = task.backward()?;
            let of_mi = last_backward(mi)?;
            // Compared over what both reach: the image path.
            let mut squares = Vec::new();
            for trained in adam.vars() {
                if let (Some(a), Some(b)) = (grads.get(&trained.var), of_mi.get(&trained.var)) {
                    squares.extend([a.sqr()?.sum_all()?, b.sqr()?.sum_all()?]);
                }
            }
            let (task_square, mi_square) = sums_of_pairs(&squares)?;
            let scale = f64::from((task_square / mi_square.max(f32::MIN_POSITIVE)).sqrt().min(1.0));
            for trained in adam.vars() {
                let Some(extra) = of_mi.get(&trained.var) else { continue };
                let scaled = (extra * scale)?;
                let sum = match grads.get(&trained.var) {
                    Some(grad) => (grad + scaled)?,
                    None => scaled,
                };
                grads.insert(&trained.var, sum);
            }
            return Ok(Some((grads, value)));
        }
    };
    Ok(Some((last_backward(&both)?, both.to_scalar()?)))
}
