//! What page and training worker say to each other.

use serde::{Deserialize, Serialize};

use super::setting::Setting;

/// From the page to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Train all models from the start with this seed. What was trained before is given up.
    Train {
        /// What the person has set.
        setting: Setting,
        /// Draws training pairs, labelled ones among them, first weights, and the order of everything.
        seed: u64,
    },
    /// Rest after the step in hand.
    Pause,
    /// Go on.
    Resume,
}

/// From the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// How far a training is.
    Reached {
        /// Its seed.
        seed: u64,
        /// What was measured.
        point: Point,
    },
    /// All steps of this seed are done.
    Finished {
        /// Its seed.
        seed: u64,
    },
    /// Training ended with an error.
    Failed {
        /// What happened.
        message: String,
    },
}

/// What was measured at a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: usize,
    /// Cross-entropy of the findings since the last point, of each model; absent at the start.
    pub losses: Option<Losses>,
    /// By how much the critic of local against global features does better than chance, in nats: the bound on the mutual
    /// information. On the training pairs since the last point; absent at the start, and for `λ` = 0.
    pub bound_trained: Option<f64>,
    /// The same on pairs that were never trained with: where it falls short, the critic knows its pairs by heart. Absent
    /// for `λ` = 0.
    pub bound: Option<f64>,
    /// How well the models answer about x-rays that were never trained with.
    pub scores: Scores,
}

/// Cross-entropy of the findings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// Of the model that reads both.
    pub joint: f64,
    /// Of the image-only twin.
    pub twin: f64,
    /// Of CMIM's image path.
    pub cmim: f64,
}

/// Mean area under the ROC curve over the findings: 1 is perfect, 0.5 is chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The joint model with image and report.
    pub joint: f64,
    /// The same model when the report is dropped.
    pub joint_dropped: f64,
    /// The image-only twin.
    pub twin: f64,
    /// CMIM with image and report.
    pub cmim_both: f64,
    /// The same model when the report is dropped.
    pub cmim: f64,
}
