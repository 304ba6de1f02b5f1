//! Networks that outline the enhancing tumour in slices of whichever MRI sequences are there.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use super::fusion_unet::FusionUNet;
use super::hemis::{Hemis, HemisConfig};
use super::unet::{UNet, UNetConfig};
use super::voxel_mlp::VoxelMlp;
use crate::error::{Error, Result};
use crate::modality::{Modality, ModalitySet};

/// Classes of a pixel: enhancing tumour, and everything else.
pub const N_CLASSES: usize = 2;

/// The U-Net of a segmenter.
pub fn unet_config(in_channels: usize, widths: &[usize]) -> UNetConfig {
    UNetConfig { in_channels, n_classes: N_CLASSES, widths: widths.to_vec() }
}

/// What a segmenter is made of, and which sequences it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "snake_case", deny_unknown_fields)]
pub enum SegmenterConfig {
    /// A U-Net with certain sequences as channels, all of which must be there.
    Unet {
        /// The sequences.
        inputs: ModalitySet,
        /// Channels of each level, the finest first.
        widths: Vec<usize>,
    },
    /// HeMIS: any sequences.
    Hemis(HemisConfig),
    /// A U-Net with an encoder for each sequence: any sequences.
    FusionUnet {
        /// Channels of each level, the finest first.
        widths: Vec<usize>,
    },
    /// A U-Net over some sequences; one that is missing is filled with its mean over the training brains, which is 0,
    /// since every volume is standardized.
    Mean {
        /// The sequences.
        inputs: ModalitySet,
        /// Channels of each level, the finest first.
        widths: Vec<usize>,
    },
    /// A U-Net over some sequences; one that is missing is guessed voxel by voxel from those that are there.
    Mlp {
        /// The sequences.
        inputs: ModalitySet,
        /// Channels of each level, the finest first.
        widths: Vec<usize>,
    },
}

impl SegmenterConfig {
    /// Sizes of the U-Net inside, where there is one.
    fn unet(&self) -> Option<UNetConfig> {
        match self {
            Self::Unet { inputs, widths } | Self::Mean { inputs, widths } | Self::Mlp { inputs, widths } => {
                Some(unet_config(inputs.len(), widths))
            }
            Self::FusionUnet { widths } => Some(unet_config(1, widths)),
            Self::Hemis(_) => None,
        }
    }

    /// What of the sequences that are there it uses; `None` if it cannot answer from them.
    pub fn used(&self, present: ModalitySet) -> Option<ModalitySet> {
        match self {
            Self::Unet { inputs, .. } => present.contains_all(*inputs).then_some(*inputs),
            Self::Hemis(_) | Self::FusionUnet { .. } => Some(present),
            Self::Mean { inputs, .. } | Self::Mlp { inputs, .. } => present.intersection(*inputs),
        }
    }

    /// The sequences that it answers from, in words.
    pub fn needs(&self) -> String {
        match self {
            Self::Unet { inputs, .. } => inputs.to_string(),
            Self::Hemis(_) | Self::FusionUnet { .. } => "at least one sequence".to_owned(),
            Self::Mean { inputs, .. } | Self::Mlp { inputs, .. } if inputs.len() == 1 => inputs.to_string(),
            Self::Mean { inputs, .. } | Self::Mlp { inputs, .. } => format!("at least one of {inputs}"),
        }
    }

    /// What of the sequences that are there it uses.
    ///
    /// # Errors
    ///
    /// [`Error::SequencesNeeded`] if it cannot answer from them.
    pub fn require(&self, present: Option<ModalitySet>) -> Result<ModalitySet> {
        present.and_then(|present| self.used(present)).ok_or_else(|| Error::SequencesNeeded {
            needed: self.needs(),
            given: present.map_or_else(|| "none".to_owned(), |present| present.to_string()),
        })
    }

    /// What a slice's sides must be multiples of.
    pub fn size_multiple(&self) -> usize {
        self.unet().map_or(1, |unet| unet.size_multiple())
    }

    /// Checks that the values make sense.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] with the first one that does not.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Hemis(config) => config.check(),
            _ => self.unet().map_or(Ok(()), |unet| unet.check()),
        }
    }
}

/// What a segmenter says of a batch of slices.
#[derive(Debug, Clone)]
pub struct SegmenterOutput {
    /// Local features `Λ`, the bottleneck: `[N, H', W', C]`; absent where the network has none.
    pub local: Option<Tensor>,
    /// `[N, H, W, 2]`.
    pub logits: Tensor,
}

/// Slices `[N, 1, H, W]` of the sequences that are there, in the order of [`Modality::ALL`].
pub type Slices = [Option<Tensor>; Modality::COUNT];

/// A segmenter on its variables.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there are two in a run")]
pub enum Segmenter {
    /// [`SegmenterConfig::Unet`].
    Unet(ModalitySet, UNet),
    /// [`SegmenterConfig::Hemis`].
    Hemis(Hemis),
    /// [`SegmenterConfig::FusionUnet`].
    FusionUnet(FusionUNet),
    /// [`SegmenterConfig::Mean`].
    Mean(ModalitySet, UNet),
    /// [`SegmenterConfig::Mlp`], with the network of each sequence.
    Mlp(ModalitySet, UNet, [VoxelMlp; Modality::COUNT]),
}

impl Segmenter {
    /// Takes the network's tensors from the builder; those of voxel networks are `mlp.{sequence}.*`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for an impossible configuration, [`Error::Tensor`] if the builder lacks a tensor.
    pub fn new(config: &SegmenterConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        config.check()?;
        let unet = |inputs: ModalitySet, widths: &[usize]| UNet::new(&unet_config(inputs.len(), widths), vb);
        Ok(match config {
            SegmenterConfig::Hemis(config) => Self::Hemis(Hemis::new(config, vb)?),
            SegmenterConfig::FusionUnet { widths } => Self::FusionUnet(FusionUNet::new(&unet_config(1, widths), vb)?),
            SegmenterConfig::Unet { inputs, widths } => Self::Unet(*inputs, unet(*inputs, widths)?),
            SegmenterConfig::Mean { inputs, widths } => Self::Mean(*inputs, unet(*inputs, widths)?),
            SegmenterConfig::Mlp { inputs, widths } => {
                let mlp = |modality: Modality| VoxelMlp::new(&vb.pp("mlp").pp(modality.name()));
                let [flair, t1, t1c, t2] = Modality::ALL.map(mlp);
                Self::Mlp(*inputs, unet(*inputs, widths)?, [flair?, t1?, t1c?, t2?])
            }
        })
    }

    /// Slices to features and logits. A sequence that the network does not use may be there; one that it needs may not be
    /// missing.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if a sequence is missing that the network cannot do without, or if sides do not fit.
    pub fn forward_t(&self, slices: &Slices, train: bool) -> Result<SegmenterOutput> {
        let of_unet = |unet: &UNet, x: &Tensor| -> Result<SegmenterOutput> {
            let out = unet.forward_t(x, train)?;
            Ok(SegmenterOutput { local: Some(out.local), logits: out.logits })
        };
        match self {
            Self::Unet(inputs, unet) => of_unet(unet, &stack(slices, *inputs)?),
            Self::Hemis(hemis) => Ok(SegmenterOutput { local: None, logits: hemis.forward(slices)? }),
            Self::FusionUnet(fusion) => {
                let out = fusion.forward_t(slices, train)?;
                Ok(SegmenterOutput { local: Some(out.local), logits: out.logits })
            }
            Self::Mean(inputs, unet) => {
                let present = slices.iter().flatten().next().ok_or_else(|| missing(*inputs))?;
                let blank = present.zeros_like()?;
                let filled = slices.clone().map(|slice| Some(slice.unwrap_or_else(|| blank.clone())));
                of_unet(unet, &stack(&filled, *inputs)?)
            }
            Self::Mlp(inputs, unet, mlps) => {
                // Only the networks of these sequences were trained.
                let known = Modality::ALL
                    .map(|modality| if inputs.contains(modality) { slices[modality.index()].clone() } else { None });
                of_unet(unet, &stack(&guess(&known, mlps)?, *inputs)?)
            }
        }
    }
}

/// The sequences of a set as channels: `[N, |inputs|, H, W]`.
///
/// # Errors
///
/// [`Error::Shape`] if one of them is missing.
pub fn stack(slices: &Slices, inputs: ModalitySet) -> Result<Tensor> {
    let channels = inputs.iter().map(|modality| slices[modality.index()].as_ref().ok_or_else(|| missing(inputs)));
    Ok(Tensor::cat(&channels.collect::<Result<Vec<_>>>()?, 1)?)
}

fn missing(inputs: ModalitySet) -> Error {
    Error::Shape {
        what: "MRI sequences of a network",
        expected: inputs.to_string(),
        found: "not all of them".to_owned(),
    }
}

/// Fills in the sequences that are missing: at each voxel of the brain the mean of what the sequences that are there
/// guess. What is 0 is not brain and stays 0.
fn guess(slices: &Slices, mlps: &[VoxelMlp; Modality::COUNT]) -> Result<Slices> {
    let mut sum: Option<Tensor> = None;
    let mut brain: Option<Tensor> = None;
    let n = slices.iter().flatten().count();
    for (slice, mlp) in slices.iter().zip(mlps) {
        let Some(slice) = slice else { continue };
        let guessed = mlp.forward(&slice.flatten_all()?.unsqueeze(1)?)?; // [N·H·W, 4]
        sum = Some(match sum {
            Some(sum) => (sum + guessed)?,
            None => guessed,
        });
        brain.get_or_insert(slice.ne(0f64)?.to_dtype(slice.dtype())?);
    }
    let (Some(sum), Some(brain)) = (sum, brain) else { return Err(missing(ModalitySet::ALL)) };
    let mut filled = slices.clone();
    for (k, slice) in filled.iter_mut().enumerate() {
        if slice.is_none() {
            let guessed = (sum.narrow(1, k, 1)?.reshape(brain.shape())? / n as f64)?;
            *slice = Some((guessed * &brain)?);
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::Parameters;
    use crate::nn::gradcheck::random;

    fn slices(present: &str) -> Result<Slices> {
        let present: ModalitySet = present.parse()?;
        let slice = |modality: Modality| -> Result<Option<Tensor>> {
            let values = random((2, 1, 8, 8), 1 + modality.index() as u64)?.to_dtype(DType::F32)?;
            Ok(present.contains(modality).then_some(values))
        };
        let [flair, t1, t1c, t2] = Modality::ALL.map(slice);
        Ok([flair?, t1?, t1c?, t2?])
    }

    #[test]
    fn each_answers_from_what_it_can() -> Result<()> {
        let widths = vec![4, 6];
        let flair = "flair".parse()?;
        let inputs = ModalitySet::ALL;
        let hemis = HemisConfig { width: 4, fuse_width: 3, kernel: 3, head_kernel: 3, ..HemisConfig::default() };
        for (config, from_one, from_all) in [
            (SegmenterConfig::Unet { inputs: flair, widths: widths.clone() }, true, true),
            (SegmenterConfig::Unet { inputs, widths: widths.clone() }, false, true),
            (SegmenterConfig::Hemis(hemis), true, true),
            (SegmenterConfig::FusionUnet { widths: widths.clone() }, true, true),
            (SegmenterConfig::Mean { inputs, widths: widths.clone() }, true, true),
            (SegmenterConfig::Mlp { inputs, widths }, true, true),
        ] {
            let vb = Parameters::new(1).builder(DType::F32, &Device::Cpu);
            let net = Segmenter::new(&config, &vb)?;
            for (present, can) in [("flair", from_one), ("flair+t1+t1c+t2", from_all)] {
                assert_eq!(config.used(present.parse()?).is_some(), can, "{config:?} {present}");
                let out = net.forward_t(&slices(present)?, false);
                assert_eq!(out.is_ok(), can, "{config:?} {present}");
                if let Ok(out) = out {
                    assert_eq!(out.logits.dims(), &[2, 8, 8, 2]);
                }
            }
            let json = serde_json::to_string(&config).expect("json");
            assert_eq!(serde_json::from_str::<SegmenterConfig>(&json).expect("the same"), config);
        }
        Ok(())
    }

    #[test]
    fn filling_leaves_what_is_there_and_the_background() -> Result<()> {
        let vb = Parameters::new(1).builder(DType::F32, &Device::Cpu);
        let mlp = |modality: Modality| VoxelMlp::new(&vb.pp(modality.name()));
        let [flair, t1, t1c, t2] = Modality::ALL.map(mlp);
        let mlps = [flair?, t1?, t1c?, t2?];
        let x = Tensor::new(&[[[[0f32, 1.0], [-0.5, 0.0]]]], &Device::Cpu)?;
        let filled = guess(&[None, Some(x.clone()), None, None], &mlps)?;
        assert_eq!(filled[1].as_ref().expect("there").flatten_all()?.to_vec1::<f32>()?, [0.0, 1.0, -0.5, 0.0]);
        let guessed = filled[2].as_ref().expect("filled").flatten_all()?.to_vec1::<f32>()?;
        assert!(guessed[0] == 0.0 && guessed[3] == 0.0 && guessed[1] != 0.0, "{guessed:?}");
        let expected = mlps[1].forward(&Tensor::new(&[[1f32]], &Device::Cpu)?)?.to_vec2::<f32>()?[0][2];
        assert!((guessed[1] - expected).abs() < 1e-6);
        Ok(())
    }
}
