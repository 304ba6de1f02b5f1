//! The two builds of what computes in the browser: for simd128, and for relaxed-simd, which not every browser has.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process::target_dir;

/// Vector instructions of WebAssembly that a program is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simd {
    /// 128-bit vectors: what `.cargo/config.toml` asks for.
    Simd128,
    /// The same and their multiply-add in one instruction.
    RelaxedSimd,
}

impl Simd {
    /// Both, slower first.
    pub const ALL: [Self; 2] = [Self::Simd128, Self::RelaxedSimd];

    /// Its name, as in the specification of WebAssembly.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simd128 => "simd128",
            Self::RelaxedSimd => "relaxed-simd",
        }
    }

    /// Makes cargo, or a program that runs it, compile for these instructions.
    ///
    /// Each build has a folder of its own: programs for WebAssembly have one name whatever they are compiled for, so
    /// in a common folder each build would undo the other.
    ///
    /// # Errors
    ///
    /// If cargo cannot be asked for its build folder.
    pub fn apply(self, command: &mut Command) -> Result<()> {
        if self == Self::RelaxedSimd {
            command.env("CARGO_TARGET_DIR", self.target_dir()?);
            // These take the place of those in `.cargo/config.toml`.
            let flags = "-Ctarget-feature=+simd128,+relaxed-simd --cfg=erase_components";
            command.env("RUSTFLAGS", flags).env_remove("CARGO_ENCODED_RUSTFLAGS");
        }
        Ok(())
    }

    /// The build folder.
    ///
    /// # Errors
    ///
    /// If cargo cannot be asked.
    pub fn target_dir(self) -> Result<PathBuf> {
        let folder = target_dir()?;
        Ok(match self {
            Self::Simd128 => folder,
            Self::RelaxedSimd => folder.join(self.name()),
        })
    }
}
