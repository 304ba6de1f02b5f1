//! A U-Net for whichever MRI sequences are there: an encoder for each, whose maps are averaged level by level, and one
//! decoder.
//!
//! Ours; the average over what is there is HeMIS's (Havaei et al. 2016, arXiv 1607.05194), the U-Net Ronneberger's.

use candle_core::Tensor;
use candle_nn::VarBuilder;

use super::unet::{Decoder, Encoder, UNetConfig, UNetOutput, bottleneck};
use crate::error::{Error, Result};
use crate::modality::Modality;
use crate::nn::precision::full;

/// A U-Net with an encoder for each sequence.
#[derive(Debug, Clone)]
pub struct FusionUNet {
    config: UNetConfig,
    encoders: [Encoder; Modality::COUNT],
    decoder: Decoder,
}

impl FusionUNet {
    /// Takes `encoder.{sequence}.down.*`, `up.*` and `head` from the builder; the configuration's `in_channels` must be 1.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for an impossible configuration, [`Error::Tensor`] if the builder lacks a tensor.
    pub fn new(config: &UNetConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        config.check()?;
        if config.in_channels != 1 {
            let (expected, found) = ("1".to_owned(), config.in_channels.to_string());
            return Err(Error::Shape { what: "input channels of each encoder", expected, found });
        }
        let encoder = |modality: Modality| Encoder::new(config, &vb.pp(format!("encoder.{}", modality.name())));
        let [flair, t1, t1c, t2] = Modality::ALL.map(encoder);
        let encoders = [flair?, t1?, t1c?, t2?];
        Ok(Self { encoders, decoder: Decoder::new(config, vb)?, config: config.clone() })
    }

    /// Slices `[N, 1, H, W]` of the sequences that are there, in the order of [`Modality::ALL`], to features and logits.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if no sequence is there or the sides do not fit, [`Error::Tensor`] if the slices' sizes differ.
    pub fn forward_t(&self, slices: &[Option<Tensor>; Modality::COUNT], train: bool) -> Result<UNetOutput> {
        let mut sums: Vec<Tensor> = Vec::new();
        let n = slices.iter().flatten().count();
        for (encoder, slice) in self.encoders.iter().zip(slices) {
            let Some(slice) = slice else { continue };
            let (_, _, height, width) = slice.dims4()?;
            self.config.check_size(height, width)?;
            let maps = encoder.forward_t(slice, train)?;
            sums = if sums.is_empty() {
                maps
            } else {
                sums.iter().zip(&maps).map(|(a, b)| a + b).collect::<candle_core::Result<_>>()?
            };
        }
        let maps = sums.iter().map(|sum| sum / n as f64).collect::<candle_core::Result<Vec<_>>>()?;
        let local = full(bottleneck(&maps)?)?;
        Ok(UNetOutput { local, logits: self.decoder.forward_t(&maps, train)? })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::Parameters;
    use crate::nn::gradcheck::random;

    fn net(parameters: &Parameters) -> Result<FusionUNet> {
        let config = UNetConfig { in_channels: 1, n_classes: 2, widths: vec![4, 6] };
        FusionUNet::new(&config, &parameters.builder(DType::F32, &Device::Cpu))
    }

    #[test]
    fn every_encoder_that_is_used_receives_a_gradient_and_no_other() -> Result<()> {
        let parameters = Parameters::new(1);
        let net = net(&parameters)?;
        let x = random((2, 1, 8, 4), 1)?.to_dtype(DType::F32)?;
        let out = net.forward_t(&[Some(x.clone()), None, Some(x), None], true)?;
        assert_eq!(out.logits.dims(), &[2, 8, 4, 2]);
        let grads = out.logits.sqr()?.sum_all()?.backward()?;
        for (name, var) in parameters.trainable() {
            let grad = grads.get(&var).map(|g| g.abs()?.sum_all()?.to_scalar::<f32>()).transpose()?;
            let used = !name.starts_with("encoder.t1.") && !name.starts_with("encoder.t2.");
            assert_eq!(grad.is_some_and(|g| g > 0.0), used, "{name}: {grad:?}");
        }
        Ok(())
    }

    #[test]
    fn one_sequence_is_as_a_plain_unet_and_none_is_refused() -> Result<()> {
        let parameters = Parameters::new(1);
        let fusion = net(&parameters)?;
        let x = random((1, 1, 8, 8), 1)?.to_dtype(DType::F32)?;
        let plain = Parameters::new(0);
        for (name, var) in parameters.all() {
            if !name.starts_with("encoder.") || name.starts_with("encoder.t2.") {
                plain.set(name.trim_start_matches("encoder.t2."), var.as_tensor())?;
            }
        }
        let config = UNetConfig { in_channels: 1, n_classes: 2, widths: vec![4, 6] };
        let unet = super::super::unet::UNet::new(&config, &plain.builder(DType::F32, &Device::Cpu))?;
        let a = fusion.forward_t(&[None, None, None, Some(x.clone())], false)?.logits;
        let b = unet.forward_t(&x, false)?.logits;
        assert_eq!((a - b)?.abs()?.max_all()?.to_scalar::<f32>()?, 0.0);
        assert!(fusion.forward_t(&[None, None, None, None], false).is_err());
        Ok(())
    }
}
