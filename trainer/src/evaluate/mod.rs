//! What trained models are worth: [`findings`] in x-rays, with [`reports`] and without, and [`outlines`] in MRI; and
//! which images they should be asked of at all ([`input`]).

pub mod findings;
pub mod input;
pub mod outlines;
pub mod reports;

use crate::data::Study;
use crate::error::Result;

pub use findings::{ByFinding, CARD_MIN_POSITIVES, EvaluationReport, Scored, score};

/// Studies in their parts, with their images as a network sees them.
pub struct Material<'a> {
    /// All studies.
    pub studies: &'a [Study],
    /// The image of a study: `[size, size]` in `0..=1`.
    pub square: &'a dyn Fn(usize) -> Result<Vec<f32>>,
    /// Height and width of the images.
    pub size: usize,
    /// The training part, as positions of studies.
    pub train: &'a [usize],
    /// The validation part.
    pub validation: &'a [usize],
    /// The test part.
    pub test: &'a [usize],
}
