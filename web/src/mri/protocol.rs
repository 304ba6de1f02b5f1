//! What page and worker say about brain MRI.
//!
//! A *reader* is asked to [`Request::Read`] and [`Request::Generate`]; *segmenters*, of which there are several, are given
//! a model and a scan and then asked for slices. Any worker can do either. Voxels cross as bytes beside the typed head,
//! little endian, in canonical order (x to the patient's right, y to the front, z up; x the fastest).

use serde::{Deserialize, Serialize};
use shared::io::Geometry;
use shared::prep::volume::Grid;
use shared::recognize::{Role, Traits};
use shared::{Modality, ModalitySet};

use crate::worker::Failure;
use crate::worker::protocol::Origin;

/// Number of a volume given to the page, counted up.
pub type VolumeId = u64;

/// Number of a scan given to the segmenters, counted up: it changes with the sequences that its volumes are.
pub type ScanId = u64;

/// Number of an outline asked for, counted up.
pub type JobId = u64;

/// From the page to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Read a volume. Bytes: the file; for a MetaImage header (`.mhd`) its data file as well. Answered by
    /// [`Response::Volume`] or [`Response::Refused`].
    Read {
        /// Which volume.
        id: VolumeId,
        /// Path of the file, for messages and for what its names say.
        path: String,
        /// Name of the data file, if there is one.
        data_file: Option<String>,
        /// The pixels of the networks that will see it.
        grid: Grid,
    },
    /// Draw a head: its four sequences get the numbers from `first` on, its truth the next. Answered by five
    /// [`Response::Volume`].
    Generate {
        /// Number of its FLAIR.
        first: VolumeId,
        /// Which head.
        head: Head,
        /// The pixels of the networks that will see it.
        grid: Grid,
    },
    /// Fetch a model for all workers; it is not yet taken by this one. Answered by [`Response::Progress`] any number of
    /// times, then by [`Response::Fetched`] or [`Response::NoModel`].
    Fetch {
        /// Its name.
        model: String,
        /// Absolute address of the card; the weights lie beside it.
        card_url: String,
    },
    /// Take a model, as the worker's only one. Bytes: card, weights. Answered by [`Response::NoModel`] if they are none.
    TakeModel {
        /// Its name.
        model: String,
    },
    /// Take a scan, as the worker's only one. Bytes of each sequence: pixels on the grid (32-bit floats), bits of the brain.
    TakeScan {
        /// Which scan.
        scan: ScanId,
        /// The pixels it is on.
        grid: Grid,
        /// The sequences, in the order of their bytes, with the voxels of their files.
        sequences: Vec<(Modality, Geometry)>,
    },
    /// Outline the tumour in one slice of the scan, given some of its sequences. Answered by [`Response::Slice`] or
    /// [`Response::Failed`].
    Outline {
        /// Which job.
        job: JobId,
        /// Which scan; that of another one is not answered.
        scan: ScanId,
        /// What the model is given.
        sequences: ModalitySet,
        /// Counted from the lowest.
        slice: usize,
    },
    /// Write a mask in the order of its file. Bytes: the mask in canonical order. Answered by [`Response::Packed`] or
    /// [`Response::Failed`].
    Pack {
        /// Number of this request.
        job: JobId,
        /// The voxels of the file.
        geometry: Geometry,
    },
}

/// A generated head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Seed of the source.
    pub seed: u64,
    /// Which of its patients.
    pub index: usize,
    /// Pixels along each side of a slice.
    pub size: usize,
    /// Slices.
    pub slices: usize,
}

/// From a worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// A volume. Bytes of an image: voxels for the screen (16 bits), pixels on the grid (32-bit floats), bits of the brain.
    /// Bytes of labels: 1 where the enhancing tumour is, else 0.
    Volume {
        /// Which volume.
        id: VolumeId,
        /// What it is.
        volume: VolumeHead,
    },
    /// There is no such volume.
    Refused {
        /// Which volume.
        id: VolumeId,
        /// Why.
        refusal: Refusal,
    },
    /// So much of the weights is there.
    Progress {
        /// Of which model.
        model: String,
        /// Bytes received.
        received: u64,
        /// Bytes there will be.
        total: u64,
    },
    /// The model is there. Bytes: card, weights, for other workers to take.
    Fetched {
        /// Its name.
        model: String,
        /// Where its weights came from.
        origin: Origin,
    },
    /// There is no such model.
    NoModel {
        /// Its name.
        model: String,
        /// Why.
        failure: Failure,
    },
    /// A slice is outlined. Bytes: `[H, W]`, 1 for tumour.
    Slice {
        /// Which job.
        job: JobId,
        /// Which slice.
        slice: usize,
        /// Time it took, in milliseconds.
        ms: f64,
    },
    /// The mask as a `.nii.gz` file. Bytes: the file.
    Packed {
        /// Which request.
        job: JobId,
    },
    /// A job failed.
    Failed {
        /// Which job.
        job: JobId,
        /// Why.
        failure: Failure,
    },
}

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeHead {
    /// The voxels as in the file.
    pub geometry: Geometry,
    /// What its names say it is; what it is of generated heads.
    pub named: Option<Role>,
    /// Whether it is an image or labels.
    pub kind: Kind,
    /// Time that reading took, in milliseconds.
    pub ms: f64,
}

/// An image or labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// Shades of grey.
    Image {
        /// Values of the file at 0 and at 65535 of the voxels for the screen.
        range: [f32; 2],
        /// Values that 0.5 and 99.5 per cent of the brain stay below: a window that shows it well.
        window: [f32; 2],
        /// What its shades tell of its sequence.
        traits: Option<Traits>,
    },
    /// Few whole numbers.
    Labels,
}

/// Why a file is not taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Refusal {
    /// It is a CT.
    Ct,
    /// It is a DICOM file, of which each holds one slice.
    Dicom,
    /// It is a photograph or drawing.
    Picture,
    /// It is a mask of the brain.
    BrainMask,
    /// By its name it is a truth, but it has shades of grey.
    NoLabels,
    /// Something else, in the words of the reader.
    Unread(String),
}

/// A file's address in messages: its own name.
pub fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_cross_without_loss() {
        let third = 1.0 / 3.0;
        let geometry = Geometry { size: [240, 240, 155], world_from_voxel: [[third, -third, 1e-17, -119.7]; 3] };
        let request = Request::TakeScan {
            scan: 7,
            grid: Grid { size: 96, pixel_mm: 2.5 },
            sequences: vec![(Modality::T1c, geometry)],
        };
        let json = serde_json::to_string(&request).expect("serialises");
        assert_eq!(serde_json::from_str::<Request>(&json).expect("reads"), request);
    }

    #[test]
    fn a_path_ends_in_its_name() {
        assert_eq!(file_name("exam/t1/a.nii"), "a.nii");
        assert_eq!(file_name("a.nii"), "a.nii");
    }
}
