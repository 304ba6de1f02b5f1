//! PyTorch's numbers for each trainable layer, made by `golden/layers.py`, and the same computed here.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Module as _, Result, Tensor, Var, bail};
use serde::Deserialize;
use shared::nn::batch_norm::Activation;
use shared::nn::conv::{conv_transpose2d, conv2d};
use shared::nn::{BatchNorm, Conv1d, ConvSpec, Interpolation, Parameters, avg_pool2d, max_pool2d, upsample2d};

use crate::golden::{Outcome, uniform};

const LAYERS: &str = include_str!("../golden/layers.json");

/// Largest difference of a layer's numbers: absolute, and relative to the greatest of them.
const TOLERANCE: (f64, f64) = (1e-6, 1e-5);

#[derive(Deserialize)]
struct Case {
    shapes: Vec<Vec<usize>>,
    output_shape: Vec<usize>,
    output: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

/// Outputs and gradients of every layer against PyTorch.
///
/// # Errors
///
/// The first number that differs.
pub fn check_layers() -> Outcome {
    let cases: BTreeMap<String, Case> = serde_json::from_str(LAYERS)?;
    for (name, case) in &cases {
        case.check(name).map_err(|error| format!("{name}: {error}"))?;
    }
    if cases.len() < 14 {
        return Err(format!("only {} layers", cases.len()).into());
    }
    Ok(())
}

impl Case {
    fn check(&self, name: &str) -> Outcome {
        let draw = |what: &str, shape: &[usize]| {
            let values = uniform(&format!("{name}/{what}"), shape.iter().product());
            Tensor::from_vec(values, shape, &Device::Cpu)
        };
        let inputs = self
            .shapes
            .iter()
            .enumerate()
            .map(|(i, shape)| Var::from_tensor(&draw(&format!("input{i}"), shape)?))
            .collect::<Result<Vec<_>>>()?;
        let parameters = Parameters::new(0);
        let output = forward(name, &inputs, &parameters)?;
        if output.dims() != self.output_shape {
            return Err(format!("shape {:?}, PyTorch has {:?}", output.dims(), self.output_shape).into());
        }
        compare("output", &output, &self.output)?;
        let gradients = (&output * draw("objective", &self.output_shape)?)?.sum_all()?.backward()?;
        let by_name = parameters.all();
        for (i, (input, expected)) in inputs.iter().zip(&self.gradients).enumerate() {
            // A layer with variables of its own holds copies of its weights.
            let variable = match i {
                1 => by_name.get("weight").unwrap_or(input),
                2 => by_name.get("bias").unwrap_or(input),
                _ => input,
            };
            let gradient = gradients.get(variable).ok_or_else(|| format!("input {i} receives no gradient"))?;
            compare(&format!("gradient of input {i}"), gradient, expected)?;
        }
        Ok(())
    }
}

fn forward(name: &str, inputs: &[Var], parameters: &Parameters) -> Result<Tensor> {
    let x = inputs[0].as_tensor();
    let conv = |stride, padding| conv2d(x, &inputs[1], Some(inputs[2].as_tensor()), [stride; 2], [padding; 2]);
    let set = || -> Result<candle_nn::VarBuilder<'static>> {
        for (name, input) in ["weight", "bias"].into_iter().zip(&inputs[1..]) {
            parameters.set(name, input)?;
        }
        Ok(parameters.builder(DType::F32, &Device::Cpu))
    };
    let norm = || BatchNorm::new(inputs[1].dim(0)?, &set()?);
    let pool = |kernel, stride, padding| ConvSpec { kernel, stride, padding };
    match name {
        "conv2d" | "conv2d-winograd" => conv(1, 1),
        "conv2d-stride" => conv(2, 1),
        "conv2d-stem" => conv(2, 3),
        "conv1d" => {
            let (c_out, c_in, _) = inputs[1].dims3()?;
            Conv1d::new(c_in, c_out, pool(5, 2, 2), &set()?)?.forward(x)
        }
        "conv-transpose2d" => conv_transpose2d(x, &inputs[1], &inputs[2], [2; 2], [0; 2]),
        "batch-norm" => norm()?.forward_t(x, Activation::Linear, true),
        "batch-norm-relu" => norm()?.forward_t(x, Activation::Relu, true),
        "batch-norm-add-relu" => norm()?.forward_add_relu_t(x, &inputs[3], true),
        "max-pool" => max_pool2d(x, pool(3, 2, 1)),
        "avg-pool" => avg_pool2d(x, pool(3, 3, 0)),
        "avg-pool-padded" => avg_pool2d(x, pool(3, 2, 1)),
        "upsample-nearest" => upsample2d(x, 2, Interpolation::Nearest),
        "upsample-bilinear" => upsample2d(x, 3, Interpolation::Bilinear),
        other => bail!("there is no layer for the case {other}"),
    }
}

fn compare(what: &str, found: &Tensor, expected: &[f64]) -> Outcome {
    let found = found.flatten_all()?.to_vec1::<f32>()?;
    if found.len() != expected.len() {
        return Err(format!("{what}: {} numbers, PyTorch has {}", found.len(), expected.len()).into());
    }
    let scale = expected.iter().fold(0f64, |scale, value| scale.max(value.abs()));
    for (i, (&ours, &theirs)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(ours) - theirs).abs();
        if difference.is_nan() || difference > TOLERANCE.0 + TOLERANCE.1 * scale {
            return Err(format!("{what}: element {i} is {ours}, PyTorch has {theirs}").into());
        }
    }
    Ok(())
}
