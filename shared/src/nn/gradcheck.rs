//! Gradients held against central finite differences in 64 bits; used by the tests of every layer and loss.

use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Step of the differences and the largest relative error let pass.
const STEP: f64 = 1e-5;
const TOLERANCE: f64 = 1e-6;

/// Values in `-1..1`, f64, the same for the same seed. No two are close enough for a finite difference to cross.
///
/// # Errors
///
/// Those of the tensor library.
pub(crate) fn random(shape: impl Into<Shape>, seed: u64) -> Result<Tensor> {
    let shape = shape.into();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f64> = (0..shape.elem_count()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// Checks the gradient of `f` with respect to each input: the sum of `f`'s output, randomly weighted, is differentiated
/// by candle and by central differences, element by element.
///
/// # Errors
///
/// If a gradient is missing or differs, with the input and the element.
pub(crate) fn check(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<()> {
    let vars = inputs.iter().map(|input| Var::from_tensor(&input.to_dtype(DType::F64)?)).collect::<Result<Vec<_>>>()?;
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let y = f(&tensors)?;
    let weights = random(y.shape(), 77)?;
    let objective = |tensors: &[Tensor]| -> Result<Tensor> { (f(tensors)? * &weights)?.sum_all() };
    let grads = objective(&tensors)?.backward()?;
    for (which, var) in vars.iter().enumerate() {
        let Some(grad) = grads.get(var) else { bail!("input {which} receives no gradient") };
        if grad.shape() != var.shape() {
            bail!("gradient of input {which} is {:?}, the input {:?}", grad.shape(), var.shape());
        }
        let grad = grad.flatten_all()?.to_vec1::<f64>()?;
        let values = var.flatten_all()?.to_vec1::<f64>()?;
        let scale = grad.iter().fold(1e-3f64, |m, g| m.max(g.abs()));
        for (i, analytic) in grad.iter().enumerate() {
            let mut shifted = tensors.clone();
            let mut at = |delta: f64| -> Result<f64> {
                let mut moved = values.clone();
                moved[i] += delta;
                shifted[which] = Tensor::from_vec(moved, var.shape(), &Device::Cpu)?;
                objective(&shifted)?.to_scalar::<f64>()
            };
            let numeric = (at(STEP)? - at(-STEP)?) / (2.0 * STEP);
            if (numeric - analytic).abs() > TOLERANCE * scale {
                bail!("input {which}, element {i}: gradient {analytic}, finite difference {numeric}");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_gradient_passes_and_a_wrong_one_does_not() -> Result<()> {
        let x = random((3, 4), 1)?;
        check(std::slice::from_ref(&x), |v| v[0].sqr())?;
        // candle's own max pool scales its gradient by the area of the window.
        let image = random((1, 1, 4, 4), 2)?;
        assert!(check(&[image], |v| v[0].max_pool2d(2)).is_err());
        assert!(check(&[x], |v| v[0].detach().sqr()).is_err());
        Ok(())
    }
}
