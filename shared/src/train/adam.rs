//! Adam with decoupled weight decay; its moments are visible, so that a run resumes exactly.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "cuda")]
use candle_core::Tensor;
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Var, bail};

#[cfg(feature = "cuda")]
use crate::kernel::cuda::optim::{AdamStep, adam};
use crate::kernel::train::batch::for_each_with;

/// Decay of the first and second moment, and what keeps the division finite: the values of its source.
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// Values that one thread moves at a time.
const PIECE: usize = 1 << 16;

/// First and second moment of one variable's gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Mean of the gradient.
    pub first: Vec<f32>,
    /// Mean of its square.
    pub second: Vec<f32>,
}

/// The moments where their variable is.
#[derive(Debug)]
enum Kept {
    Host(Moments),
    /// First and second, of the variable's shape.
    #[cfg(feature = "cuda")]
    Device([Tensor; 2]),
}

#[cfg_attr(not(feature = "cuda"), allow(clippy::unnecessary_wraps, reason = "on a GPU each of these can fail"))]
impl Kept {
    fn zero(var: &Var) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if var.device().is_cuda() {
            return Ok(Self::Device([var.zeros_like()?, var.zeros_like()?]));
        }
        Ok(Self::Host(Moments { first: vec![0.0; var.elem_count()], second: vec![0.0; var.elem_count()] }))
    }

    fn get(&self) -> Result<Moments> {
        match self {
            Self::Host(moments) => Ok(moments.clone()),
            #[cfg(feature = "cuda")]
            Self::Device([first, second]) => {
                let values = |moment: &Tensor| moment.flatten_all()?.to_vec1::<f32>();
                Ok(Moments { first: values(first)?, second: values(second)? })
            }
        }
    }

    fn set(&mut self, moments: Moments) -> Result<()> {
        match self {
            Self::Host(kept) => *kept = moments,
            #[cfg(feature = "cuda")]
            Self::Device(kept) => {
                for (kept, values) in kept.iter_mut().zip([moments.first, moments.second]) {
                    *kept = Tensor::from_vec(values, kept.shape(), kept.device())?;
                }
            }
        }
        Ok(())
    }
}

/// A variable that [`Adam`] changes.
#[derive(Debug, Clone)]
pub struct Trained {
    /// Its name.
    pub name: String,
    /// Its value.
    pub var: Var,
    /// Its learning rate.
    pub learning_rate: f64,
}

/// Adam over named f32 variables.
///
/// Source: Kingma and Ba 2015, arXiv 1412.6980, algorithm 1; decay as in Loshchilov and Hutter 2019, arXiv 1711.05101,
/// on tensors of two or more dimensions only.
#[derive(Debug)]
pub struct Adam {
    vars: Vec<Trained>,
    moments: BTreeMap<String, Kept>,
    step: usize,
    weight_decay: f64,
}

impl Adam {
    /// Moments start at zero.
    ///
    /// # Errors
    ///
    /// If a device has no memory for them.
    pub fn new(vars: Vec<Trained>, weight_decay: f64) -> Result<Self> {
        let zero = |Trained { name, var, .. }: &Trained| Ok((name.clone(), Kept::zero(var)?));
        let moments = vars.iter().map(zero).collect::<Result<_>>()?;
        Ok(Self { vars, moments, step: 0, weight_decay })
    }

    /// All variables at one learning rate.
    ///
    /// # Errors
    ///
    /// Those of [`Self::new`].
    pub fn at_one_rate(vars: Vec<(String, Var)>, learning_rate: f64, weight_decay: f64) -> Result<Self> {
        let vars = vars.into_iter().map(|(name, var)| Trained { name, var, learning_rate }).collect();
        Self::new(vars, weight_decay)
    }

    /// The variables.
    pub fn vars(&self) -> &[Trained] {
        &self.vars
    }

    /// Moves every variable that has a gradient, at `share` of its learning rate.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn step(&mut self, grads: &GradStore, share: f64) -> Result<()> {
        self.step += 1;
        let step = i32::try_from(self.step).unwrap_or(i32::MAX);
        let (correction1, correction2) = (1.0 - BETA1.powi(step), 1.0 - BETA2.powi(step));
        let root = (1.0 / correction2.sqrt()) as f32;
        for Trained { name, var, learning_rate } in &self.vars {
            let learning_rate = learning_rate * share;
            let rate = (learning_rate / correction1) as f32;
            let (Some(grad), Some(moments)) = (grads.get(var), self.moments.get_mut(name)) else { continue };
            let decay = if var.rank() >= 2 { (learning_rate * self.weight_decay) as f32 } else { 0.0 };
            let grad = grad.contiguous()?;
            match moments {
                Kept::Host(moments) => {
                    let update = Update { moments: Mutex::new(moments), decay, rate, root };
                    var.as_tensor().inplace_op2(&grad, &update)?;
                }
                #[cfg(feature = "cuda")]
                Kept::Device([first, second]) => {
                    let (beta1, beta2, eps) = (BETA1 as f32, BETA2 as f32, EPS as f32);
                    let step = AdamStep { beta1, beta2, eps, decay, rate, root };
                    adam(var.as_tensor(), &grad, [first, second], step)?;
                }
            }
        }
        Ok(())
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.step
    }

    /// Moments by variable.
    ///
    /// # Errors
    ///
    /// If a device does not give them.
    pub fn moments(&self) -> Result<BTreeMap<String, Moments>> {
        self.moments.iter().map(|(name, kept)| Ok((name.clone(), kept.get()?))).collect()
    }

    /// Whether saved moments are those of these variables.
    pub fn fits(&self, moments: &BTreeMap<String, Moments>) -> bool {
        moments.len() == self.vars.len()
            && self.vars.iter().all(|Trained { name, var, .. }| {
                let n = var.elem_count();
                moments.get(name).is_some_and(|saved| (saved.first.len(), saved.second.len()) == (n, n))
            })
    }

    /// Continues from saved moments that [fit](Self::fits).
    ///
    /// # Errors
    ///
    /// If a device has no memory for them.
    pub fn restore(&mut self, step: usize, moments: BTreeMap<String, Moments>) -> Result<()> {
        self.step = step;
        for (name, moments) in moments {
            if let Some(kept) = self.moments.get_mut(&name) {
                kept.set(moments)?;
            }
        }
        Ok(())
    }
}

/// One step for one variable: everything is read and written once, in place.
struct Update<'a> {
    moments: Mutex<&'a mut Moments>,
    decay: f32,
    rate: f32,
    root: f32,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu_fwd(&self, value: &mut CpuStorage, vl: &Layout, grad: &CpuStorage, gl: &Layout) -> Result<()> {
        let (Some((v_start, v_end)), Some((g_start, g_end))) = (vl.contiguous_offsets(), gl.contiguous_offsets())
        else {
            bail!("a variable and its gradient must be contiguous");
        };
        let CpuStorage::F32(value) = value else { bail!("only f32 variables are trained") };
        let grad = &grad.as_slice::<f32>()?[g_start..g_end];
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let Moments { first, second } = &mut **moments;
        let pieces = value[v_start..v_end].chunks_mut(PIECE).zip(first.chunks_mut(PIECE)).zip(second.chunks_mut(PIECE));
        let pieces = pieces.zip(grad.chunks(PIECE)).collect();
        for_each_with(
            pieces,
            || (),
            |(), (((value, first), second), grad)| {
                for (((value, first), second), &grad) in value.iter_mut().zip(first).zip(second).zip(grad) {
                    *first = BETA1 as f32 * *first + (1.0 - BETA1) as f32 * grad;
                    *second = BETA2 as f32 * *second + (1.0 - BETA2) as f32 * grad * grad;
                    *value -= self.decay * *value + self.rate * *first / (second.sqrt() * self.root + EPS as f32);
                }
            },
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn equals_the_formula_over_three_steps() -> Result<()> {
        let var = Var::new(&[1.0f32, -2.0], &Device::Cpu)?;
        let mut adam = Adam::at_one_rate(vec![("w".to_owned(), var.clone())], 0.1, 0.0)?;
        let (mut w, mut m, mut v) = ([1.0f64, -2.0], [0.0; 2], [0.0; 2]);
        for t in 1..=3 {
            adam.step(&var.sqr()?.sum_all()?.backward()?, 1.0)?;
            for i in 0..2 {
                let g = 2.0 * w[i];
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                w[i] -= 0.1 * (m[i] / (1.0 - 0.9f64.powi(t))) / ((v[i] / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8);
            }
        }
        for (a, b) in var.to_vec1::<f32>()?.iter().zip(w) {
            assert!((f64::from(*a) - b).abs() < 1e-5, "{a} {b}");
        }
        Ok(())
    }

    #[test]
    fn vectors_are_not_decayed() -> Result<()> {
        let (matrix, vector) = (Var::new(&[[1f32]], &Device::Cpu)?, Var::new(&[1f32], &Device::Cpu)?);
        let vars = vec![("m".to_owned(), matrix.clone()), ("v".to_owned(), vector.clone())];
        let mut adam = Adam::at_one_rate(vars, 0.1, 0.5)?;
        adam.step(&(matrix.sum_all()? + vector.sum_all()?)?.backward()?, 1.0)?;
        // A first step is as long as the learning rate; the decay comes on top.
        assert!((vector.to_vec1::<f32>()?[0] - 0.9).abs() < 1e-6);
        assert!((matrix.to_vec2::<f32>()?[0][0] - 0.85).abs() < 1e-6);
        Ok(())
    }
}
