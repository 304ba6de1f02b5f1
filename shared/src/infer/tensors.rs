//! A network's weights on their way into a plan: shapes checked, batch norm folded in.

use crate::error::{Error, Result};
use crate::io::Weights;
use crate::kernel::ConvShape;

/// PyTorch's, and [`crate::nn`]'s.
const BATCH_NORM_EPS: f64 = 1e-5;

/// A tensor whose shape and length are right.
///
/// # Errors
///
/// [`Error::MissingTensor`] or [`Error::WrongTensor`].
pub(super) fn tensor<'a>(weights: &'a Weights, name: &str, shape: &[usize]) -> Result<&'a [f32]> {
    let data = weights.get(name, shape)?;
    if shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)) != Some(data.len()) {
        return Err(Error::WrongTensor {
            file: weights.file().to_owned(),
            tensor: name.to_owned(),
            expected: format!("as many elements as {shape:?} has"),
            found: format!("{} elements", data.len()),
        });
    }
    Ok(data)
}

/// Weight `[C_out, C_in, k, k]` and bias `[C_out]` of a convolution that has both.
///
/// # Errors
///
/// Those of [`tensor`].
pub(super) fn conv_tensors<'a>(weights: &'a Weights, conv: &str, shape: ConvShape) -> Result<(&'a [f32], &'a [f32])> {
    let ConvShape { in_channels, out_channels, kernel, .. } = shape;
    let weight = tensor(weights, &format!("{conv}.weight"), &[out_channels, in_channels, kernel, kernel])?;
    Ok((weight, tensor(weights, &format!("{conv}.bias"), &[out_channels])?))
}

/// Weight `[C_out, C_in, k, k]` and bias `[C_out]` of a convolution and the batch norm after it as one convolution.
///
/// # Errors
///
/// Those of [`tensor`], [`Error::WrongTensor`] for a negative variance, and [`Error::NonFiniteTensor`] if the result
/// overflows.
pub(super) fn fold_batch_norm(
    weights: &Weights,
    conv: &str,
    norm: &str,
    shape: ConvShape,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let ConvShape { in_channels, out_channels, kernel, .. } = shape;
    fold_batch_norm_into(weights, conv, norm, &[out_channels, in_channels, kernel, kernel])
}

/// The same for a convolution of any number of dimensions, whose weight has the shape `[C_out, C_in, …]`.
///
/// # Errors
///
/// Those of [`fold_batch_norm`].
pub(super) fn fold_batch_norm_into(
    weights: &Weights,
    conv: &str,
    norm: &str,
    shape: &[usize],
) -> Result<(Vec<f32>, Vec<f32>)> {
    let out_channels = shape[0];
    let weight_name = format!("{conv}.weight");
    let weight = tensor(weights, &weight_name, shape)?;
    let [gamma, beta, mean] =
        ["weight", "bias", "running_mean"].map(|part| tensor(weights, &format!("{norm}.{part}"), &[out_channels]));
    let (gamma, beta, mean) = (gamma?, beta?, mean?);
    let variance_name = format!("{norm}.running_var");
    let variance = tensor(weights, &variance_name, &[out_channels])?;
    if let Some(channel) = variance.iter().position(|&variance| variance < 0.0) {
        return Err(Error::WrongTensor {
            file: weights.file().to_owned(),
            tensor: variance_name,
            expected: "no negative variance".to_owned(),
            found: format!("{} at element {channel}", variance[channel]),
        });
    }
    let mut folded = Vec::with_capacity(weight.len());
    let mut bias = Vec::with_capacity(out_channels);
    for (channel, kernels) in weight.chunks_exact(weight.len() / out_channels.max(1)).enumerate() {
        let scale = f64::from(gamma[channel]) / (f64::from(variance[channel]) + BATCH_NORM_EPS).sqrt();
        folded.extend(kernels.iter().map(|&value| (f64::from(value) * scale) as f32));
        bias.push((f64::from(beta[channel]) - f64::from(mean[channel]) * scale) as f32);
    }
    for (values, part) in [(&folded, &weight_name), (&bias, &format!("{norm}.bias"))] {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NonFiniteTensor {
                file: weights.file().to_owned(),
                tensor: format!("{part} with batch norm folded in"),
                index,
                value: values[index],
            });
        }
    }
    Ok((folded, bias))
}

/// Where the two halves of a concatenated image lie, whose channels begin at whole vectors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Halves {
    /// Channels of either half.
    pub(super) channels: usize,
    /// First channel of the second half.
    pub(super) second: usize,
}

impl Halves {
    /// Two images of so many channels, one beside the other.
    pub(super) fn new(channels: usize, lanes: usize) -> Self {
        Self { channels, second: channels.next_multiple_of(lanes) }
    }

    /// Channels from the first half's first to the second half's last.
    pub(super) fn total(self) -> usize {
        self.second + self.channels
    }

    /// Weights `[C_out, 2 channels, k, k]` with zeros for the channels between the halves: `[C_out, total, k, k]`.
    pub(super) fn spread(self, weight: &[f32], kernel: usize) -> Vec<f32> {
        let taps = kernel * kernel;
        let mut spread = Vec::with_capacity(weight.len() / (2 * self.channels) * self.total());
        for kernels in weight.chunks_exact(2 * self.channels * taps) {
            let (first, second) = kernels.split_at(self.channels * taps);
            spread.extend_from_slice(first);
            spread.resize(spread.len() + (self.second - self.channels) * taps, 0.0);
            spread.extend_from_slice(second);
        }
        spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_begin_at_whole_vectors() {
        let halves = Halves::new(3, 4);
        assert_eq!((halves.second, halves.total()), (4, 7));
        let weight: Vec<f32> = (1..=12).map(|i| i as f32).collect();
        let expected = [1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 0.0, 10.0, 11.0, 12.0];
        assert_eq!(halves.spread(&weight, 1), expected);
        assert_eq!(Halves::new(4, 4).spread(&weight[..8], 1), weight[..8]);
    }
}
