//! Random weights for the plans' tests, and what a layer of them gives by its definition.

use std::collections::BTreeMap;

use crate::io::Weights;
use crate::io::weights::NamedTensor;
use crate::kernel::ConvShape;
use crate::kernel::naive::{self, Planes, uniform};

pub(super) type Tensors = BTreeMap<String, NamedTensor>;

/// Tensors of a network in which signals neither grow nor fade.
#[derive(Default)]
pub(super) struct RandomTensors {
    pub(super) tensors: Tensors,
}

impl RandomTensors {
    /// A tensor of values within `spread` of `mean`.
    pub(super) fn add(&mut self, name: String, shape: &[usize], mean: f32, spread: f32) {
        let seed = self.tensors.len() as u64 + 1;
        let data = uniform(seed, shape.iter().product()).iter().map(|value| mean + spread * value).collect();
        self.tensors.insert(name, NamedTensor { shape: shape.to_vec(), data });
    }

    /// A kernel `[C_out, C_in, k, k]`.
    pub(super) fn kernel(&mut self, name: &str, [c_out, c_in, k]: [usize; 3]) {
        self.add(format!("{name}.weight"), &[c_out, c_in, k, k], 0.0, (6.0 / (c_in * k * k) as f32).sqrt());
    }

    pub(super) fn bias(&mut self, name: &str, channels: usize) {
        self.add(format!("{name}.bias"), &[channels], 0.0, 0.3);
    }

    pub(super) fn conv_norm(&mut self, conv: &str, norm: &str, shape: [usize; 3]) {
        self.kernel(conv, shape);
        for (part, mean) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
            self.add(format!("{norm}.{part}"), &[shape[0]], mean, 0.3);
        }
    }
}

/// Planes of random values.
pub(super) fn random_image(seed: u64, [channels, height, width]: [usize; 3]) -> Vec<f32> {
    uniform(seed, channels * height * width)
}

pub(super) fn planes([channels, height, width]: [usize; 3], values: &[f32]) -> Planes {
    Planes { channels, height, width, data: values.iter().map(|&value| f64::from(value)).collect() }
}

fn shape(x: &Planes, c_out: usize, kernel: usize, stride: usize) -> ConvShape {
    ConvShape { in_channels: x.channels, out_channels: c_out, kernel, stride, padding: (kernel - 1) / 2 }
}

/// Convolution, then batch norm by its definition.
pub(super) fn conv_norm(
    w: &Weights,
    [conv, norm]: [&str; 2],
    x: &Planes,
    c_out: usize,
    kernel: usize,
    stride: usize,
) -> Planes {
    let weight = w.get(&format!("{conv}.weight"), &[c_out, x.channels, kernel, kernel]).expect("weight");
    let y = naive::conv2d(x, shape(x, c_out, kernel, stride), weight, &vec![0.0; c_out]);
    let parts = ["weight", "bias", "running_mean", "running_var"];
    naive::batch_norm(&y, parts.map(|part| w.get(&format!("{norm}.{part}"), &[c_out]).expect("batch norm")))
}

/// Convolution with a bias, stride 1.
pub(super) fn conv_bias(w: &Weights, name: &str, x: &Planes, c_out: usize, kernel: usize) -> Planes {
    let weight = w.get(&format!("{name}.weight"), &[c_out, x.channels, kernel, kernel]).expect("weight");
    let bias = w.get(&format!("{name}.bias"), &[c_out]).expect("bias");
    naive::conv2d(x, shape(x, c_out, kernel, 1), weight, bias)
}

/// Each tensor missing, of another shape, and of another length, with the tensor's name.
pub(super) fn spoiled(tensors: &Tensors) -> Vec<(String, [Tensors; 3])> {
    let spoil = |name: &String| {
        let mut variants = [(); 3].map(|()| tensors.clone());
        variants[0].remove(name);
        variants[1].get_mut(name).expect("is there").shape.push(1);
        variants[2].get_mut(name).expect("is there").data.push(0.0);
        (name.clone(), variants)
    };
    tensors.keys().map(spoil).collect()
}
