//! What the program `worker` is asked and says: of each part of the page its own requests and responses.

use serde::{Deserialize, Serialize};

use crate::{lesson, mri, xray};

/// From the page to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// About x-rays.
    Xray(xray::protocol::Request),
    /// About a lesson.
    Lesson(lesson::protocol::Request),
    /// About brain MRI.
    Mri(mri::protocol::Request),
}

/// From the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// About x-rays.
    Xray(xray::protocol::Response),
    /// About a lesson.
    Lesson(lesson::protocol::Response),
    /// About brain MRI.
    Mri(mri::protocol::Response),
}

/// Where a model's weights came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// From this browser's own store, without the network.
    Kept,
    /// From the network, and kept for the next visit.
    FetchedAndKept,
    /// From the network; this browser refused to keep them.
    FetchedOnly,
    /// From files that the person gave.
    Given,
}
