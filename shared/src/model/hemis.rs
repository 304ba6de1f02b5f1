//! HeMIS: an encoder per MRI sequence, fused by mean and variance over whichever sequences are present.
//!
//! Source: Havaei et al. 2016, arXiv 1607.05194.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The MRI sequences that have an encoder, in the order of inputs; parts of the tensors' names.
pub const MODALITIES: [&str; 4] = ["flair", "t1", "t1c", "t2"];

/// Sizes of a HeMIS network; the defaults are the paper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HemisConfig {
    /// Channels of the logits.
    pub n_classes: usize,
    /// Channels of each encoder.
    pub width: usize,
    /// Channels between fusion and last convolution.
    pub fuse_width: usize,
    /// Height and width of the kernels, but for the last one; odd.
    pub kernel: usize,
    /// Height and width of the last kernel; odd. The paper does not give it; public implementations take 21.
    pub head_kernel: usize,
}

impl Default for HemisConfig {
    fn default() -> Self {
        Self { n_classes: 2, width: 48, fuse_width: 16, kernel: 5, head_kernel: 21 }
    }
}

impl HemisConfig {
    /// Checks that the values make sense.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for channels or classes that are 0 or above 1024, or kernels that are even or above 31.
    pub fn check(&self) -> Result<()> {
        let channels =
            [("HeMIS classes", self.n_classes), ("HeMIS width", self.width), ("HeMIS fused width", self.fuse_width)];
        for (what, channels) in channels {
            if !(1..=1024).contains(&channels) {
                return Err(Error::Shape { what, expected: "1 to 1024".to_owned(), found: channels.to_string() });
            }
        }
        for (what, kernel) in [("HeMIS kernel", self.kernel), ("HeMIS last kernel", self.head_kernel)] {
            if !(1..=31).contains(&kernel) || kernel.is_multiple_of(2) {
                let expected = "an odd number up to 31".to_owned();
                return Err(Error::Shape { what, expected, found: kernel.to_string() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_make_no_sense_are_errors() {
        let good = HemisConfig::default();
        assert!(good.check().is_ok());
        for bad in [
            HemisConfig { n_classes: 0, ..good },
            HemisConfig { width: usize::MAX, ..good },
            HemisConfig { fuse_width: 0, ..good },
            HemisConfig { kernel: 4, ..good },
            HemisConfig { head_kernel: 33, ..good },
        ] {
            assert!(matches!(bad.check(), Err(Error::Shape { .. })), "{bad:?}");
        }
    }
}
