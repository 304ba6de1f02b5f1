//! What went wrong in a worker, in words.

use serde::{Deserialize, Serialize};

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
    /// The model and this page do not belong together.
    Model,
}

impl Failure {
    /// A failure of the given kind with the words of an error.
    pub fn new(kind: FailureKind, message: &impl ToString) -> Self {
        Self { kind, message: message.to_string() }
    }
}
