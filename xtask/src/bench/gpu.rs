//! `cargo xtask bench gpu`: the training step beside PyTorch's, on this machine's GPU.
//!
//! The duel itself is `tests/peers/gpu.py`, so that it can be fought where there is no Rust; see [`cuda::bundle`].

use anyhow::Result;

use crate::cuda;
use crate::process::{command, root, run};

/// Measures, and prints a line of JSON for each network and precision.
///
/// # Errors
///
/// Those of [`cuda::build`], or if there is no GPU, or no PyTorch for it.
pub fn measure_all() -> Result<()> {
    let program = cuda::build()?;
    run(command("python3").arg(root().join("tests/peers/gpu.py")).arg(program).arg("bench"))
}
