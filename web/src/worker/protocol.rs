//! What crosses between page and worker: these types, and nothing else.
//!
//! A message is a JavaScript array of two: the typed head as JSON text, and an `ArrayBuffer` or `undefined`. The buffer
//! is transferred, so that neither a file nor an image is copied on its way.

use js_sys::{Array, ArrayBuffer, Uint8Array};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::Finding;
use shared::io::ModelCard;
use wasm_bindgen::{JsCast, JsValue};

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
    /// The worker's program has met a defect of its own and ends.
    Crashed {
        /// What it was doing.
        message: String,
    },
}

/// Where the weights came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// From this browser's own store, without the network.
    Kept,
    /// From the network, and kept for the next visit.
    FetchedAndKept,
    /// From the network; this browser refused to keep them.
    FetchedOnly,
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

/// What went wrong, in words for the person at the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What can be done about it.
    pub kind: FailureKind,
    /// A sentence that names the file.
    pub message: String,
}

/// What can be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// Another file will do.
    File,
    /// The network may come back.
    Network,
    /// The model on the server and this page do not belong together.
    Model,
}

impl Failure {
    /// A failure of the given kind with the words of an error.
    pub fn new(kind: FailureKind, message: &impl ToString) -> Self {
        Self { kind, message: message.to_string() }
    }
}

/// A message that is not of this protocol.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The message is not an array of a text and a buffer.
    #[error("a message between page and worker has another form than expected")]
    Form,
    /// The text is not one of the types of this module.
    #[error("a message between page and worker cannot be understood: {0}")]
    Head(#[from] serde_json::Error),
}

/// A message ready for `postMessage`.
pub struct Message {
    /// The message.
    pub data: JsValue,
    /// What is to be transferred with it.
    pub transfer: Array,
}

/// Puts a head and its bytes into a message.
///
/// # Errors
///
/// [`ProtocolError::Head`] if the head cannot be written as JSON.
pub fn encode<T: Serialize>(head: &T, bytes: Option<ArrayBuffer>) -> Result<Message, ProtocolError> {
    let json = serde_json::to_string(head)?;
    let buffer = bytes.map_or(JsValue::UNDEFINED, JsValue::from);
    let transfer = if buffer.is_undefined() { Array::new() } else { Array::of1(&buffer) };
    Ok(Message { data: Array::of2(&JsValue::from(json), &buffer).into(), transfer })
}

/// Takes head and bytes out of a message.
///
/// # Errors
///
/// [`ProtocolError`] if the message was not made by [`encode`] from a `T`.
pub fn decode<T: DeserializeOwned>(data: &JsValue) -> Result<(T, Option<Uint8Array>), ProtocolError> {
    let parts: &Array = data.dyn_ref().ok_or(ProtocolError::Form)?;
    let json = parts.get(0).as_string().ok_or(ProtocolError::Form)?;
    let buffer = parts.get(1);
    let bytes = if buffer.is_undefined() {
        None
    } else {
        let buffer: ArrayBuffer = buffer.dyn_into().map_err(|_not_a_buffer| ProtocolError::Form)?;
        Some(Uint8Array::new(&buffer))
    };
    Ok((serde_json::from_str(&json)?, bytes))
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
