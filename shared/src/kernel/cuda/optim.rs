//! What an optimizer does, in place.

use candle_core::{Result, Tensor, bail};

use super::{Input, elements, gpu, launch};

/// Factors of one step of Adam.
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// What keeps the division finite.
    pub eps: f32,
    /// Share of the value that is taken away.
    pub decay: f32,
    /// Learning rate over the first moment's correction.
    pub rate: f32,
    /// One over the root of the second moment's correction.
    pub root: f32,
}

/// Moves `value` and its moments, all of one length, by one step of Adam.
///
/// # Errors
///
/// If the lengths differ or a tensor is not contiguous f32 on one GPU.
pub fn adam(value: &Tensor, gradient: &Tensor, moments: [&Tensor; 2], step: AdamStep) -> Result<()> {
    let gpu = &*gpu(value.device().as_cuda_device()?)?;
    let [first, second] = moments;
    let [v, g, m1, m2] = [value, gradient, first, second].map(Input::tensor);
    let (v, g, m1, m2) = (v?.f32()?, g?.f32()?, m1?.f32()?, m2?.f32()?);
    if [g.len, m1.len, m2.len] != [v.len; 3] {
        bail!("a variable of {} values, a gradient of {}, moments of {} and {}", v.len, g.len, m1.len, m2.len);
    }
    let n = v.count()?;
    let AdamStep { beta1, beta2, eps, decay, rate, root } = step;
    launch!(
        gpu,
        "adam",
        elements(n),
        v.address,
        g.address,
        m1.address,
        m2.address,
        n,
        beta1,
        beta2,
        eps,
        decay,
        rate,
        root
    )
}

/// `a = keep a + (1 - keep) b`.
///
/// # Errors
///
/// Those of [`adam`].
pub fn blend(a: &Tensor, b: &Tensor, keep: f32) -> Result<()> {
    let gpu = &*gpu(a.device().as_cuda_device()?)?;
    let (a, b) = (Input::tensor(a)?.f32()?, Input::tensor(b)?.f32()?);
    if a.len != b.len {
        bail!("a variable of {} values and an average of {}", b.len, a.len);
    }
    let n = a.count()?;
    launch!(gpu, "blend", elements(n), a.address, b.address, n, keep)
}
