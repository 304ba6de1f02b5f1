//! Any of the networks that outline tumours, compiled from its weights.

use crate::error::{Error, Result};
use crate::infer::fusion_unet::FusionUNetPlan;
use crate::infer::hemis::HemisPlan;
use crate::infer::unet::UNetPlan;
use crate::io::Weights;
use crate::kernel::Buffer;
use crate::modality::{Modality, ModalitySet};
use crate::model::segmenter::{N_CLASSES, SegmenterConfig, unet_config};
use crate::model::voxel_mlp::VoxelTable;
use crate::prep::volume::Grid;

/// A slice `[H, W]` of each sequence that is there, in the order of [`Modality::ALL`].
pub type SlicesOf<'a> = [Option<&'a [f32]>; Modality::COUNT];

/// A network ready to run on one slice at a time: the compiled counterpart of [`Segmenter`].
///
/// All memory is taken when the plan is made.
///
/// [`Segmenter`]: crate::model::segmenter::Segmenter
pub struct SegmenterPlan {
    config: SegmenterConfig,
    area: usize,
    network: Network,
    probabilities: Buffer,
}

enum Network {
    /// A U-Net whose channels are sequences; those that are missing are filled in.
    Unet {
        plan: UNetPlan,
        inputs: ModalitySet,
        channels: Buffer,
        missing: Missing,
    },
    Hemis(HemisPlan),
    Fusion(FusionUNetPlan),
}

/// What stands for a sequence that is missing.
enum Missing {
    /// Its mean over the brains, which is 0; also of a network whose sequences must all be there.
    Zero,
    /// At each voxel the mean of what the sequences that are there guess.
    Guess(Box<[VoxelTable; Modality::COUNT]>),
}

impl SegmenterPlan {
    /// Packs the weights, whose names are the segmenter's own. Tensors of other names are left alone.
    ///
    /// # Errors
    ///
    /// [`Error::MissingTensor`] or [`Error::WrongTensor`] if the weights are not this network's,
    /// [`Error::NonFiniteTensor`] if they overflow when batch norm is folded in, [`Error::Shape`] for an impossible
    /// configuration or a grid that does not fit it, [`Error::OutOfMemory`] if there is no room.
    pub fn new(config: &SegmenterConfig, grid: Grid, weights: &Weights) -> Result<Self> {
        config.check()?;
        grid.check()?;
        let (size, area) = (grid.size, grid.area());
        let network = match config {
            SegmenterConfig::Hemis(hemis) => {
                if hemis.n_classes != N_CLASSES {
                    let (expected, found) = (N_CLASSES.to_string(), hemis.n_classes.to_string());
                    return Err(Error::Shape { what: "classes of a pixel", expected, found });
                }
                Network::Hemis(HemisPlan::new(hemis, size, size, weights)?)
            }
            SegmenterConfig::FusionUnet { widths } => {
                Network::Fusion(FusionUNetPlan::new(&unet_config(1, widths), size, size, weights)?)
            }
            SegmenterConfig::Unet { inputs, widths }
            | SegmenterConfig::Mean { inputs, widths }
            | SegmenterConfig::Mlp { inputs, widths } => {
                let missing = if matches!(config, SegmenterConfig::Mlp { .. }) {
                    let table = |modality: Modality| VoxelTable::new(weights, &format!("mlp.{}.", modality.name()));
                    let [flair, t1, t1c, t2] = Modality::ALL.map(table);
                    Missing::Guess(Box::new([flair?, t1?, t1c?, t2?]))
                } else {
                    Missing::Zero
                };
                Network::Unet {
                    plan: UNetPlan::new(&unet_config(inputs.len(), widths), size, size, weights)?,
                    inputs: *inputs,
                    channels: Buffer::zeros(inputs.len() * area)?,
                    missing,
                }
            }
        };
        Ok(Self { config: config.clone(), area, network, probabilities: Buffer::zeros(area)? })
    }

    /// What the network is.
    pub fn config(&self) -> &SegmenterConfig {
        &self.config
    }

    /// Slices of the grid to the probability of enhancing tumour at each pixel, `[H, W]`.
    ///
    /// Sequences that the network does not use may be there. Values are standardized; 0 is no brain.
    ///
    /// # Errors
    ///
    /// [`Error::SequencesNeeded`] if the network cannot answer from what is there, [`Error::Shape`] if a slice has not the
    /// grid's size, [`Error::NonFinite`] if one holds NaN or infinity, or if the weights are so large that the logits do.
    pub fn run(&mut self, slices: &SlicesOf<'_>) -> Result<&[f32]> {
        let used = self.config.require(set_of(slices))?;
        if let Some(slice) = slices.iter().flatten().find(|slice| slice.len() != self.area) {
            return Err(Error::Shape {
                what: "slice of a network's grid",
                expected: format!("{} pixels", self.area),
                found: slice.len().to_string(),
            });
        }
        let logits = match &mut self.network {
            Network::Hemis(plan) => plan.run(slices)?,
            Network::Fusion(plan) => plan.run(slices)?,
            Network::Unet { plan, inputs, channels, missing } => {
                for (channel, wanted) in channels.chunks_exact_mut(self.area).zip(inputs.iter()) {
                    match (slices[wanted.index()], &*missing) {
                        (Some(slice), _) => channel.copy_from_slice(slice),
                        (None, Missing::Zero) => channel.fill(0.0),
                        (None, Missing::Guess(tables)) => guess(tables, slices, used, wanted, channel),
                    }
                }
                plan.run(channels)?
            }
        };
        let (rest, tumour) = logits.split_at(self.area);
        for ((probability, rest), tumour) in self.probabilities.iter_mut().zip(rest).zip(tumour) {
            // Softmax of two logits.
            *probability = 1.0 / (1.0 + (rest - tumour).exp());
        }
        Ok(&self.probabilities)
    }
}

/// Which sequences are there.
fn set_of<T>(of: &[Option<T>; Modality::COUNT]) -> Option<ModalitySet> {
    let there = of.iter().zip(Modality::ALL).filter(|(value, _)| value.is_some());
    ModalitySet::new(there.map(|(_, modality)| modality)).ok()
}

/// The mean of what the used sequences guess of a missing one, where the first of them has brain.
fn guess(
    tables: &[VoxelTable; Modality::COUNT],
    slices: &SlicesOf<'_>,
    used: ModalitySet,
    wanted: Modality,
    channel: &mut [f32],
) {
    let given = |modality: Modality| slices[modality.index()].map(|slice| (&tables[modality.index()], slice));
    let share = 1.0 / used.len() as f32;
    for (i, value) in channel.iter_mut().enumerate() {
        let mut known = used.iter().filter_map(given).peekable();
        let is_brain = known.peek().is_some_and(|(_, first)| first[i] != 0.0);
        *value = if is_brain { known.map(|(table, slice)| table.guess(slice[i], wanted) * share).sum() } else { 0.0 };
    }
}

#[cfg(test)]
mod tests;
