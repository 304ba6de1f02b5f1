//! What is asked and said in a lesson.

use serde::{Deserialize, Serialize};
use shared::io::SegmenterCard;
use shared::{Modality, ModalitySet};

use super::case::Case;
use super::method::Network;
use crate::worker::Failure;

/// Number of an opened case, counted up; answers for an older one are left aside.
pub type CaseId = u64;

/// From the page to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Make the case of it. Of a real one the bytes of its files come along, in the order of [`Modality::ALL`]. Answered by
    /// [`Response::Opened`] or [`Response::OpenFailed`].
    Open {
        /// Which opening.
        id: CaseId,
        /// Which case.
        case: Case,
    },
    /// Fetch a network and keep it. Answered by [`Response::Progress`] any number of times, then by [`Response::Ready`] or
    /// [`Response::LoadFailed`].
    Load {
        /// Which network.
        network: Network,
        /// Absolute address of its card.
        card_url: String,
    },
    /// Outline the tumour of the opened case. Answered by [`Response::Outlined`] or [`Response::OutlineFailed`].
    Outline {
        /// Which opening.
        id: CaseId,
        /// With which network.
        network: Network,
        /// From which sequences.
        present: ModalitySet,
    },
}

/// From the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// The case is there. Along come, for each sequence in turn, its voxels for the screen, a byte each, `[z, y, x]` in
    /// canonical order, 0 where there is no brain; then the truth, 1 for enhancing tumour, if it is known.
    Opened {
        /// Which opening.
        id: CaseId,
        /// What it is.
        scan: Scan,
    },
    /// There is no such case.
    OpenFailed {
        /// Which opening.
        id: CaseId,
        /// Why.
        message: String,
    },
    /// So much of a network's weights is there.
    Progress {
        /// Which network.
        network: Network,
        /// Bytes received.
        received: u64,
        /// Bytes there will be.
        total: u64,
    },
    /// A network is there.
    Ready {
        /// Which network.
        network: Network,
        /// What it is.
        card: Box<SegmenterCard>,
    },
    /// A network cannot be had.
    LoadFailed {
        /// Which network.
        network: Network,
        /// Why.
        failure: Failure,
    },
    /// An outline. Its mask comes along, `[z, y, x]` in canonical order, 1 for tumour.
    Outlined {
        /// Which opening.
        id: CaseId,
        /// With which network.
        network: Network,
        /// From which sequences.
        present: ModalitySet,
        /// Agreement with the truth, where that is known.
        dice: Option<f64>,
        /// Volume of the outline.
        volume_ml: f64,
        /// Time it took, in milliseconds.
        ms: f64,
    },
    /// There is no outline.
    OutlineFailed {
        /// Which opening.
        id: CaseId,
        /// With which network.
        network: Network,
        /// From which sequences.
        present: ModalitySet,
        /// Why.
        message: String,
    },
}

/// Volumes of a case, on one grid of voxels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// Voxels along x, y and z in canonical order: to the right, to the front, up.
    pub size: [usize; 3],
    /// Their distances.
    pub spacing_mm: [f64; 3],
    /// The sequences that are there.
    pub present: Vec<Modality>,
    /// Volume of the true tumour, where it is known.
    pub truth_ml: Option<f64>,
}
