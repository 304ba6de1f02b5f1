//! A message between page and worker: typed, and with its bytes given away.
//!
//! It is a JavaScript array of two: the typed head as JSON text, and an array of `ArrayBuffer`s. The buffers are
//! transferred, so that neither a file nor an image is copied on its way.

use js_sys::{Array, ArrayBuffer, Uint8Array};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast, JsValue};

/// What a worker says: an answer, or its last words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Said<R> {
    /// An answer of its protocol.
    Response(R),
    /// It has asked the network for this address.
    Requested(String),
    /// The worker's program has met a defect of its own and ends.
    Crashed {
        /// What it was doing.
        message: String,
    },
}

/// A message that is not of this form.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The message is not an array of a text and an array of buffers.
    #[error("a message between page and worker has another form than expected")]
    Form,
    /// The text is not of the expected type.
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
/// [`MessageError::Head`] if the head cannot be written as JSON.
pub fn encode<T: Serialize>(head: &T, bytes: &[ArrayBuffer]) -> Result<Message, MessageError> {
    let json = serde_json::to_string(head)?;
    let transfer: Array = bytes.iter().collect();
    Ok(Message { data: Array::of2(&JsValue::from(json), &transfer).into(), transfer })
}

/// Takes head and bytes out of a message.
///
/// # Errors
///
/// [`MessageError`] if the message was not made by [`encode`] from a `T`.
pub fn decode<T: DeserializeOwned>(data: &JsValue) -> Result<(T, Vec<Uint8Array>), MessageError> {
    let parts: &Array = data.dyn_ref().ok_or(MessageError::Form)?;
    let json = parts.get(0).as_string().ok_or(MessageError::Form)?;
    let buffers: Array = parts.get(1).dyn_into().map_err(|_no_array| MessageError::Form)?;
    let bytes = buffers
        .iter()
        .map(|buffer| match buffer.dyn_into::<ArrayBuffer>() {
            Ok(buffer) => Ok(Uint8Array::new(&buffer)),
            Err(_no_buffer) => Err(MessageError::Form),
        })
        .collect::<Result<_, _>>()?;
    Ok((serde_json::from_str(&json)?, bytes))
}

/// Copies what came along into memory of this program, and gives the messages' own memory back at once: a browser clears up
/// a worker's in its own time, which a few volumes do not have.
pub fn take(bytes: &[Uint8Array]) -> Vec<Vec<u8>> {
    let taken = bytes.iter().map(Uint8Array::to_vec).collect();
    for bytes in bytes {
        // A browser without this clears up later.
        let _ = bytes.buffer().transfer_with_length(0);
    }
    taken
}
