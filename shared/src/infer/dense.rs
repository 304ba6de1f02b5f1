//! A linear map over rows: a fully connected layer, or a convolution in one dimension over rows that overlap.

use crate::error::Result;
use crate::infer::tensors::tensor;
use crate::io::Weights;
use crate::kernel::{Activation, Base, PackedMatrix, Simd, gemm};

/// `y = W x + b`, packed.
pub(super) struct Dense {
    matrix: PackedMatrix,
    /// Filled up to whole vectors.
    bias: Vec<f32>,
    n_out: usize,
}

impl Dense {
    /// Packs `weight`: `[n_out, n_in]` and `bias`: `[n_out]`.
    ///
    /// # Errors
    ///
    /// Those of [`PackedMatrix::new`].
    pub(super) fn new(simd: Simd, weight: &[f32], bias: &[f32]) -> Result<Self> {
        let n_out = bias.len();
        let n_in = weight.len() / n_out.max(1);
        let matrix = PackedMatrix::new(simd, n_in, n_out, |row, column| weight[column * n_in + row])?;
        let mut bias = bias.to_vec();
        bias.resize(matrix.columns(), 0.0);
        Ok(Self { matrix, bias, n_out })
    }

    /// A fully connected layer `{name}.weight` and `{name}.bias` of PyTorch's.
    ///
    /// # Errors
    ///
    /// Those of [`tensor`] and of [`Self::new`].
    pub(super) fn linear(simd: Simd, weights: &Weights, name: &str, [n_in, n_out]: [usize; 2]) -> Result<Self> {
        let weight = tensor(weights, &format!("{name}.weight"), &[n_out, n_in])?;
        Self::new(simd, weight, tensor(weights, &format!("{name}.bias"), &[n_out])?)
    }

    /// Values that a row yields.
    pub(super) fn n_out(&self) -> usize {
        self.n_out
    }

    /// The map of `rows` rows of `input`, which begin `stride` apart: `[rows, n_out]`.
    pub(super) fn run(&self, input: &[f32], stride: usize, rows: usize, activation: Activation) -> Vec<f32> {
        self.product(input, stride, vec![0.0; rows * self.matrix.columns()], Base::Bias, activation)
    }

    /// The same, added to `skip`: `[rows, n_out]` before the activation.
    pub(super) fn run_onto(&self, skip: &[f32], input: &[f32], stride: usize, activation: Activation) -> Vec<f32> {
        let columns = self.matrix.columns();
        let mut output = vec![0.0; skip.len() / self.n_out * columns];
        for (row, values) in output.chunks_exact_mut(columns).zip(skip.chunks_exact(self.n_out)) {
            row[..self.n_out].copy_from_slice(values);
        }
        self.product(input, stride, output, Base::BiasAndOutput, activation)
    }

    fn product(
        &self,
        input: &[f32],
        stride: usize,
        mut output: Vec<f32>,
        base: Base,
        activation: Activation,
    ) -> Vec<f32> {
        let columns = self.matrix.columns();
        gemm(input, stride, &self.matrix, &self.bias, &mut output, columns, base, activation);
        if columns != self.n_out {
            output = output.chunks_exact(columns).flat_map(|row| &row[..self.n_out]).copied().collect();
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_mapped_and_added() -> Result<()> {
        for simd in Simd::available() {
            let dense = Dense::new(simd, &[1.0, 2.0, 0.0, -1.0, 3.0, 0.5], &[10.0, 0.0, -1.0])?;
            // Overlapping rows: (1, 2), (2, 3).
            let input = [1.0, 2.0, 3.0];
            assert_eq!(dense.run(&input, 1, 2, Activation::Identity), [15.0, -2.0, 3.0, 18.0, -3.0, 6.5]);
            let sum = dense.run_onto(&[1.0; 6], &input, 1, Activation::Relu);
            assert_eq!(sum, [16.0, 0.0, 4.0, 19.0, 0.0, 7.5]);
        }
        Ok(())
    }
}
