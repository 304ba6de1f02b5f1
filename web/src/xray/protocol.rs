//! What is asked and said about x-rays.

use serde::{Deserialize, Serialize};
use shared::Finding;
use shared::io::ModelCard;

use crate::worker::Failure;
use crate::worker::protocol::Origin;

/// Number of a file given to the page, counted up; a later file has the higher number.
pub type FileId = u64;

/// From the page to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Fetch the model of this card and keep it. Answered by [`Response::Progress`] any number of times, then by
    /// [`Response::Ready`] or [`Response::LoadFailed`].
    Load {
        /// Absolute address of the card; the weights lie beside it.
        card_url: String,
    },
    /// Read the file whose bytes come along. Answered by [`Response::Image`] then [`Response::Answer`], or by
    /// [`Response::Failed`]. Before the model is there, the image waits for it, and a later one takes its place.
    Read {
        /// Which file.
        id: FileId,
        /// Its name, for messages.
        file: String,
    },
}

/// From the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// So much of the weights is there.
    Progress {
        /// Bytes received.
        received: u64,
        /// Bytes there will be.
        total: u64,
    },
    /// The model is there and its weights are those of the card.
    Ready {
        /// What the model is.
        card: Box<ModelCard>,
        /// Where the weights came from.
        origin: Origin,
    },
    /// There is no model.
    LoadFailed(Failure),
    /// The file is an image; its reduced pixels come along, one grey byte each, row by row.
    Image {
        /// Which file.
        id: FileId,
        /// Size and kind.
        image: ImageInfo,
    },
    /// The model's answer.
    Answer {
        /// Which file.
        id: FileId,
        /// Scores in the order of [`Finding::ALL`], each in `0..=1`.
        scores: [f32; Finding::COUNT],
        /// Time the model took, in milliseconds.
        infer_ms: f64,
    },
    /// There is no answer for this file.
    Failed {
        /// Which file.
        id: FileId,
        /// Why.
        failure: Failure,
    },
}

/// An image that was read, and the reduced copy for the screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// Width of the image in the file, in pixels.
    pub width: usize,
    /// Height of the image in the file, in pixels.
    pub height: usize,
    /// Width of the reduced copy.
    pub preview_width: usize,
    /// Height of the reduced copy.
    pub preview_height: usize,
    /// What the file was: `PNG, 8 bit`.
    pub source: String,
    /// Time that reading took, in milliseconds.
    pub decode_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_cross_without_loss() {
        let scores = std::array::from_fn(|i| 1.0 / (3.0 + i as f32 * 1e5));
        let response = Response::Answer { id: u64::MAX >> 11, scores, infer_ms: 0.1 + 0.2 };
        let json = serde_json::to_string(&response).expect("serialises");
        assert_eq!(serde_json::from_str::<Response>(&json).expect("reads"), response);
    }

    #[test]
    fn requests_cross() {
        for request in [
            Request::Load { card_url: "https://example.org/a/model.json".to_owned() },
            Request::Read { id: 3, file: "\"quoted\" \u{1f9ab}.png".to_owned() },
        ] {
            let json = serde_json::to_string(&request).expect("serialises");
            assert_eq!(serde_json::from_str::<Request>(&json).expect("reads"), request);
        }
    }
}
