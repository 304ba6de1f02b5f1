//! A missing MRI sequence guessed voxel by voxel from one that is there.
//!
//! Source: the baseline MLP of Havaei et al. 2016, arXiv 1607.05194: two hidden layers of 100 units.

use candle_core::{Module, Tensor};
use candle_nn::VarBuilder;

use crate::error::Result;
use crate::io::Weights;
use crate::modality::Modality;
use crate::nn::Linear;

/// Units of each hidden layer.
const HIDDEN: usize = 100;
/// Values outside of this range are taken for its ends: brains are standardized.
const RANGE: f32 = 8.0;
/// Points of the range at which [`VoxelTable`] holds the network's answer.
const POINTS: usize = 4097;

/// From one value to the values of all four sequences at the same voxel.
#[derive(Debug, Clone)]
pub struct VoxelMlp {
    layers: [Linear; 3],
}

impl VoxelMlp {
    /// Takes `{0,1,2}.{weight,bias}` from the builder.
    ///
    /// # Errors
    ///
    /// If the builder lacks a tensor.
    pub fn new(vb: &VarBuilder<'_>) -> Result<Self> {
        let layer = |i: usize, n_in, n_out| Linear::new(n_in, n_out, &vb.pp(i.to_string()));
        Ok(Self { layers: [layer(0, 1, HIDDEN)?, layer(1, HIDDEN, HIDDEN)?, layer(2, HIDDEN, Modality::COUNT)?] })
    }

    /// `[N, 1]` to `[N, 4]`.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.layers[0].forward(x)?.relu()?;
        Ok(self.layers[2].forward(&self.layers[1].forward(&y)?.relu()?)?)
    }
}

/// The same function as a table: it has one argument, so that its values at some points and straight lines between them
/// are as good as the network and far cheaper.
#[derive(Debug, Clone)]
pub struct VoxelTable {
    /// For each point, the four sequences.
    values: Vec<[f32; Modality::COUNT]>,
}

impl VoxelTable {
    /// From weights `{prefix}{0,1,2}.{weight,bias}`.
    ///
    /// # Errors
    ///
    /// [`crate::Error::MissingTensor`] or [`crate::Error::WrongTensor`] if the weights are not this network's.
    pub fn new(weights: &Weights, prefix: &str) -> Result<Self> {
        let layer = |i: usize, n_in: usize, n_out: usize| -> Result<(&[f32], &[f32])> {
            let name = |what| format!("{prefix}{i}.{what}");
            Ok((weights.get(&name("weight"), &[n_out, n_in])?, weights.get(&name("bias"), &[n_out])?))
        };
        let layers = [layer(0, 1, HIDDEN)?, layer(1, HIDDEN, HIDDEN)?, layer(2, HIDDEN, Modality::COUNT)?];
        let dense = |(weight, bias): (&[f32], &[f32]), x: &[f32]| -> Vec<f32> {
            let dot = |row: &[f32]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
            weight.chunks_exact(x.len()).zip(bias).map(|(row, bias)| dot(row) + bias).collect()
        };
        let relu = |x: Vec<f32>| -> Vec<f32> { x.into_iter().map(|x| x.max(0.0)).collect() };
        let values = (0..POINTS).map(|i| {
            let x = RANGE * (2.0 * i as f32 / (POINTS - 1) as f32 - 1.0);
            let y = dense(layers[2], &relu(dense(layers[1], &relu(dense(layers[0], &[x])))));
            std::array::from_fn(|k| y[k])
        });
        Ok(Self { values: values.collect() })
    }

    /// What a sequence is at a voxel where the one that is there has the value `x`.
    pub fn guess(&self, x: f32, wanted: Modality) -> f32 {
        let at = (x.clamp(-RANGE, RANGE) / RANGE + 1.0) * 0.5 * (POINTS - 1) as f32;
        let i = (at as usize).min(POINTS - 2);
        let (a, b) = (self.values[i][wanted.index()], self.values[i + 1][wanted.index()]);
        a + (b - a) * (at - i as f32)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::Parameters;

    #[test]
    fn the_table_is_the_network() -> Result<()> {
        let parameters = Parameters::new(3);
        let mlp = VoxelMlp::new(&parameters.builder(DType::F32, &Device::Cpu).pp("flair"))?;
        let table = VoxelTable::new(&Weights::new("w", parameters.to_tensors()?)?, "flair.")?;
        let xs: Vec<f32> = (0..101).map(|i| -7.7 + 0.1537 * i as f32).collect();
        let ys = mlp.forward(&Tensor::from_slice(&xs, (101, 1), &Device::Cpu)?)?.to_vec2::<f32>()?;
        for (x, y) in xs.iter().zip(ys) {
            for modality in Modality::ALL {
                assert!((table.guess(*x, modality) - y[modality.index()]).abs() < 1e-3, "{x} {modality}");
            }
        }
        Ok(())
    }
}
