//! What trained models are worth: [`findings`] in x-rays, [`outlines`] in MRI.

pub mod findings;
pub mod outlines;

pub use findings::{ByFinding, CARD_MIN_POSITIVES, EvaluationReport, Scored, score};
