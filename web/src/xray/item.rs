//! A file that a person gave, and what came of it.

use std::sync::Arc;

use shared::Finding;
use shared::infer::{ActivationMap, Checked};
use shared::prep::image::centre_square;

use super::protocol::{self, FileId, ImageInfo};
use crate::render::{Grey, Grey16};

/// A file and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its number.
    pub id: FileId,
    /// Its name.
    pub file: String,
    /// What else a person should know of it.
    pub note: Option<String>,
    /// How far it is.
    pub state: ItemState,
    /// A small copy, once it was read.
    pub thumbnail: Option<Arc<Grey>>,
    /// What the model says of it.
    pub answer: Option<Arc<Answer>>,
    /// Its report.
    pub report: Report,
    /// Whether its answer is shown although the input check fails.
    pub shown_anyway: bool,
    /// How often it was begun.
    pub(super) attempts: u8,
}

/// How far a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemState {
    /// Others come first.
    Waiting,
    /// It is being read.
    Reading,
    /// It is answered.
    Answered,
    /// There is no answer, and why.
    Failed(String),
    /// The person has not waited for it.
    Cancelled,
}

/// What the model says of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Scores in the order of [`Finding::ALL`].
    pub scores: [f32; Finding::COUNT],
    /// Whether the image is like those of the training.
    pub checked: Option<Checked>,
    /// Which places speak for each finding.
    pub maps: Vec<ActivationMap>,
    /// Time the model took, in milliseconds.
    pub infer_ms: f64,
    /// The image's features, as the worker gave them.
    pub features: Vec<u8>,
}

impl Answer {
    /// Whether the image may be what the model was made for; a model that cannot tell says yes.
    pub fn passes(&self) -> bool {
        self.checked.as_ref().is_none_or(Checked::passes)
    }
}

/// The report of an examination, and what came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// As the person wrote it.
    pub text: String,
    /// Whether it counts.
    pub is_dropped: bool,
    /// Which version of the text this is.
    pub revision: u64,
    /// What the model says with it, and with which version of the text.
    joined: Option<(u64, Arc<protocol::Joined>)>,
}

impl Report {
    /// Takes another text.
    pub fn write(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.revision += 1;
    }

    /// Takes what the model says, unless the text has changed meanwhile.
    pub fn receive(&mut self, revision: u64, joined: protocol::Joined) {
        if revision == self.revision {
            self.joined = Some((revision, Arc::new(joined)));
        }
    }

    /// Forgets what another model has said; the text stays.
    pub fn forget_answer(&mut self) {
        self.joined = None;
    }

    /// Whether there is anything to read.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// What the model says with the report; nothing while the report is dropped or empty. An older version's answer
    /// stays until the newer one is there, so that the bars do not flicker.
    pub fn joined(&self) -> Option<&Arc<protocol::Joined>> {
        let counts = !self.is_dropped && !self.is_empty();
        self.joined.as_ref().filter(|_| counts).map(|(_, joined)| joined)
    }

    /// The report's words as the model read them: of this version of the text alone, since they are places in it.
    pub fn read(&self) -> Option<&Arc<protocol::Joined>> {
        self.joined.as_ref().filter(|(revision, _)| *revision == self.revision && !self.is_empty()).map(|(_, j)| j)
    }
}

/// An image that was read, for the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Size and kind.
    pub info: ImageInfo,
    /// The copy for the screen.
    pub preview: Grey16,
}

impl Picture {
    /// Left, top and side of the square that the model sees, in pixels of the preview.
    pub fn seen(&self) -> [f64; 3] {
        let scale = self.preview.width as f64 / self.info.width.max(1) as f64;
        centre_square(self.info.width, self.info.height).map(|length| length as f64 * scale)
    }
}

impl Item {
    pub(super) fn new(id: FileId, file: &str, note: Option<String>) -> Self {
        Self {
            id,
            file: file.to_owned(),
            note,
            state: ItemState::Waiting,
            thumbnail: None,
            answer: None,
            report: Report::default(),
            shown_anyway: false,
            attempts: 0,
        }
    }

    /// Whether an answer is there that must not be read as one: the input check fails, and the person has not asked to
    /// see it anyway.
    pub fn is_withheld(&self) -> bool {
        !self.shown_anyway && self.answer.as_ref().is_some_and(|answer| !answer.passes())
    }

    /// Whether something is still to come of it.
    pub fn is_open(&self) -> bool {
        matches!(self.state, ItemState::Waiting | ItemState::Reading)
    }
}
