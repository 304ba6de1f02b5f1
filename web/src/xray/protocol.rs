//! What is asked and said about x-rays.

use serde::{Deserialize, Serialize};
use shared::Finding;
use shared::infer::{ActivationMap, Checked};
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
    /// Use a person's own model, whose card and weights come along, in place of the one there is. Answered by
    /// [`Response::Ready`] or [`Response::Refused`].
    Use,
    /// Read the file whose bytes come along. Answered by [`Response::Image`] and, if that is wished, by
    /// [`Response::Answer`]; or by [`Response::Failed`]. Before the model is there, the image waits for it, and a later
    /// one takes its place.
    Read {
        /// Which file.
        id: FileId,
        /// Its name, for messages.
        file: String,
        /// What is wanted of it.
        wish: Wish,
    },
    /// Answer an image together with a report; its features, as [`Response::Answer`] gave them, come along. Answered by
    /// [`Response::Joined`] or [`Response::Failed`]; not at all by a model that reads no reports.
    Join {
        /// Which file.
        id: FileId,
        /// Which version of the report, for whoever waits for the newest.
        revision: u64,
        /// The report.
        text: String,
    },
}

/// What is wanted of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// Its picture and the model's answer.
    Answer,
    /// Its picture alone, again.
    Picture,
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
    /// A person's own model is none that this page can use; the one before it stays.
    Refused(Failure),
    /// The file is an image. Two pieces of bytes come along, both row by row: its reduced pixels, two bytes of grey each,
    /// the lower first; and its thumbnail, one byte each.
    Image {
        /// Which file.
        id: FileId,
        /// Size and kind.
        image: ImageInfo,
    },
    /// The model's answer. The image's features come along, four bytes a number, for [`Request::Join`].
    Answer {
        /// Which file.
        id: FileId,
        /// What the model says.
        answer: Box<Answer>,
    },
    /// The model's answer to an image with a report.
    Joined {
        /// Which file.
        id: FileId,
        /// Which version of the report.
        revision: u64,
        /// What the model says.
        joined: Box<Joined>,
    },
    /// There is no answer for this file.
    Failed {
        /// Which file.
        id: FileId,
        /// Why.
        failure: Failure,
    },
}

/// What the model says of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Scores in the order of [`Finding::ALL`], each in `0..=1`.
    pub scores: [f32; Finding::COUNT],
    /// Whether the image is like those of the training; absent for a model that cannot tell.
    pub checked: Option<Checked>,
    /// Which places speak for each finding, in the same order.
    pub maps: Vec<ActivationMap>,
    /// Time the model took, in milliseconds.
    pub infer_ms: f64,
}

/// What the model says of an image with a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// Scores in the order of [`Finding::ALL`], each in `0..=1`.
    pub scores: [f32; Finding::COUNT],
    /// Begin and end of each word of the report, in bytes, and whether the model knows it.
    pub words: Vec<(usize, usize, bool)>,
    /// First word, and the one after the last, of each position that the critic scores.
    pub spans: Vec<(usize, usize)>,
    /// The critic's scores, place by place for all positions; empty for a model without a critic.
    pub agreement: Vec<f32>,
}

/// An image that was read, and its reduced copies for the screen.
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
    /// Width of the thumbnail.
    pub thumbnail_width: usize,
    /// Height of the thumbnail.
    pub thumbnail_height: usize,
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
        let map = ActivationMap { side: 1, values: vec![-0.1] };
        let answer = Answer { scores, checked: None, maps: vec![map; Finding::COUNT], infer_ms: 0.1 + 0.2 };
        let response = Response::Answer { id: u64::MAX >> 11, answer: Box::new(answer) };
        let json = serde_json::to_string(&response).expect("serialises");
        assert_eq!(serde_json::from_str::<Response>(&json).expect("reads"), response);
    }

    #[test]
    fn requests_cross() {
        for request in [
            Request::Load { card_url: "https://example.org/a/model.json".to_owned() },
            Request::Read { id: 3, file: "\"quoted\" \u{1f9ab}.png".to_owned(), wish: Wish::Picture },
            Request::Join { id: 3, revision: 7, text: "No effusion.\n".to_owned() },
        ] {
            let json = serde_json::to_string(&request).expect("serialises");
            assert_eq!(serde_json::from_str::<Request>(&json).expect("reads"), request);
        }
    }
}
