//! Residual network for images, with torchvision's tensor names so that public weights load unchanged.
//!
//! Source: He et al. 2016, arXiv 1512.03385; torchvision `models/resnet.py` (stride on the 3x3 convolution).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Which of the standard layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub enum Depth {
    /// Basic blocks, 2-2-2-2.
    D18,
    /// Basic blocks, 3-4-6-3.
    D34,
    /// Bottleneck blocks, 3-4-6-3.
    D50,
}

impl TryFrom<u32> for Depth {
    type Error = String;

    fn try_from(depth: u32) -> std::result::Result<Self, String> {
        match depth {
            18 => Ok(Self::D18),
            34 => Ok(Self::D34),
            50 => Ok(Self::D50),
            other => Err(format!("ResNet depth {other} is not 18, 34 or 50")),
        }
    }
}

impl From<Depth> for u32 {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::D18 => 18,
            Depth::D34 => 34,
            Depth::D50 => 50,
        }
    }
}

/// Layers and sizes of a residual network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// 18, 34 or 50.
    pub depth: Depth,
    /// Channels of the stem and of the first stage's blocks; 64 in the paper. Doubles with every stage.
    pub width: usize,
    /// Channels of the image: 1 or 3.
    pub in_channels: usize,
    /// Whether a 3x3 max pool of stride 2 follows the stem, as in the paper. Small images do better without.
    pub stem_pool: bool,
}

impl ResNetConfig {
    /// Blocks of each of the four stages.
    pub fn blocks(&self) -> [usize; 4] {
        match self.depth {
            Depth::D18 => [2, 2, 2, 2],
            Depth::D34 | Depth::D50 => [3, 4, 6, 3],
        }
    }

    /// Output channels of a block over its inner width: 1 for basic blocks, 4 for bottlenecks.
    pub fn expansion(&self) -> usize {
        match self.depth {
            Depth::D18 | Depth::D34 => 1,
            Depth::D50 => 4,
        }
    }

    /// Channels of the last feature map.
    pub fn out_channels(&self) -> usize {
        self.width * 8 * self.expansion()
    }

    /// Checks that the values make sense.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a width that is 0, above 1024 or no multiple of 4, or channels other than 1 or 3.
    pub fn check(&self) -> Result<()> {
        if !(4..=1024).contains(&self.width) || !self.width.is_multiple_of(4) {
            return Err(Error::Shape {
                what: "ResNet width",
                expected: "a multiple of 4 up to 1024".to_owned(),
                found: self.width.to_string(),
            });
        }
        if !matches!(self.in_channels, 1 | 3) {
            return Err(Error::Shape {
                what: "ResNet input channels",
                expected: "1 or 3".to_owned(),
                found: self.in_channels.to_string(),
            });
        }
        Ok(())
    }
}
