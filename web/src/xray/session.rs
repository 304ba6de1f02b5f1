//! Everything the page knows, as one plain value. The screen is derived from it and nothing else.

use std::sync::Arc;

use shared::io::ModelCard;

use super::answer::{self, Row};
use super::protocol::{FileId, ImageInfo, Response};
use crate::render::Grey;
use crate::worker::protocol::Origin;
use crate::worker::{Failure, FailureKind};

/// What the page knows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Session {
    /// The model.
    pub model: Model,
    /// The newest file.
    pub reading: Option<Reading>,
    n_given: FileId,
}

/// How far the model is.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Model {
    /// The reader's program starts.
    #[default]
    Starting,
    /// The weights come.
    Fetching {
        /// Bytes there.
        received: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The model is there.
    Ready {
        /// What it is.
        card: Arc<ModelCard>,
        /// Where its weights came from.
        origin: Origin,
    },
    /// There is none.
    Failed(Failure),
}

impl Model {
    /// Whether it is there, or will not come.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Ready { .. } | Self::Failed(_))
    }
}

/// A file and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Its number.
    pub id: FileId,
    /// Its name.
    pub file: String,
    /// What else a person should know, such as that further files were left aside.
    pub note: Option<String>,
    /// The image, once it was read.
    pub image: Option<Arc<Image>>,
    /// What came of it.
    pub outcome: Outcome,
}

/// An image that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Size and kind.
    pub info: ImageInfo,
    /// The copy for the screen.
    pub preview: Grey,
}

/// What came of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing yet.
    Pending,
    /// An answer.
    Answered {
        /// The findings, highest score first.
        rows: Vec<Row>,
        /// Time the model took, in milliseconds.
        infer_ms: f64,
    },
    /// No answer, and why.
    Failed(String),
}

/// The state in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The model is not there yet.
    Loading,
    /// A file can be given.
    Ready,
    /// A file is being read.
    Busy,
    /// The newest file is answered.
    Answered,
    /// The newest file, or the model, failed.
    Error,
}

impl State {
    /// The word, as the status element carries it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Busy => "busy",
            Self::Answered => "answered",
            Self::Error => "error",
        }
    }
}

impl Session {
    /// Takes a file as the newest; what comes for older ones is left aside from here on.
    pub fn begin(&mut self, file: &str, note: Option<String>) -> FileId {
        self.n_given += 1;
        self.reading =
            Some(Reading { id: self.n_given, file: file.to_owned(), note, image: None, outcome: Outcome::Pending });
        self.n_given
    }

    /// Takes what the worker said.
    pub fn receive(&mut self, response: Response, pixels: Option<Vec<u8>>) {
        match response {
            Response::Progress { received, total } => self.model = Model::Fetching { received, total },
            Response::Ready { card, origin } => self.model = Model::Ready { card: Arc::from(card), origin },
            Response::LoadFailed(failure) => self.model = Model::Failed(failure),
            Response::Image { id, image: info } => {
                if let Some(reading) = self.newest(id) {
                    let pixels = pixels.unwrap_or_default();
                    let preview = Grey { width: info.preview_width, height: info.preview_height, pixels };
                    reading.image = Some(Arc::new(Image { info, preview }));
                }
            }
            Response::Answer { id, scores, infer_ms } => {
                if let Model::Ready { card, .. } = &self.model {
                    let rows = answer::rows(card, &scores);
                    self.conclude(id, Outcome::Answered { rows, infer_ms });
                }
            }
            Response::Failed { id, failure } => self.fail(id, failure.message),
        }
    }

    /// There is no answer for this file.
    pub fn fail(&mut self, id: FileId, message: String) {
        self.conclude(id, Outcome::Failed(message));
    }

    /// The worker is gone, and with it the model; `defect` is what it reported, or nothing if memory ran out.
    pub fn worker_died(&mut self, defect: Option<&str>) {
        let doing = match &self.reading {
            Some(Reading { outcome: Outcome::Pending, file, .. }) => format!("{file}: "),
            _ => String::new(),
        };
        let message = match defect {
            None => {
                format!("{doing}out of memory. Close other tabs, or give a smaller image. The reader is started again.")
            }
            Some(defect) => format!("{doing}the reader stopped at a defect of its own and is started again ({defect})"),
        };
        // A worker that dies before it has a model would die again: the person decides.
        self.model = match self.model {
            Model::Ready { .. } => Model::Starting,
            _ => Model::Failed(Failure::new(FailureKind::Model, &message)),
        };
        if let Some(reading) = &mut self.reading
            && reading.outcome == Outcome::Pending
        {
            reading.outcome = Outcome::Failed(message);
        }
    }

    /// The state in one word.
    pub fn state(&self) -> State {
        match (&self.model, self.reading.as_ref().map(|reading| &reading.outcome)) {
            (_, Some(Outcome::Answered { .. })) => State::Answered,
            (_, Some(Outcome::Failed(_))) | (Model::Failed(_), _) => State::Error,
            (Model::Starting | Model::Fetching { .. }, _) => State::Loading,
            (Model::Ready { .. }, None) => State::Ready,
            (Model::Ready { .. }, Some(Outcome::Pending)) => State::Busy,
        }
    }

    /// The state in a sentence. It changes only with the state, so that a screen reader says it once.
    pub fn status(&self) -> String {
        let pending = self.reading.as_ref().filter(|reading| reading.outcome == Outcome::Pending);
        match (self.state(), &self.reading) {
            (State::Loading, _) => match pending {
                Some(Reading { file, .. }) => format!("{file} waits for the model."),
                None => "The model is being fetched. You can give an x-ray already.".to_owned(),
            },
            (State::Busy, Some(Reading { file, .. })) => format!("Reading {file}."),
            (State::Answered, Some(Reading { file, outcome: Outcome::Answered { rows, infer_ms }, .. })) => {
                format!("{file}: {}. Answered in {:.2} s.", answer::summary(rows), infer_ms / 1000.0)
            }
            (State::Error, Some(Reading { file, outcome: Outcome::Failed(_), .. })) => format!("No answer for {file}."),
            (State::Error, _) => "The model could not be loaded.".to_owned(),
            _ => "Ready for an x-ray.".to_owned(),
        }
    }

    /// What went wrong, in words.
    pub fn error(&self) -> Option<&str> {
        match (&self.reading, &self.model) {
            (Some(Reading { outcome: Outcome::Failed(message), .. }), _) => Some(message),
            (_, Model::Failed(failure)) => Some(&failure.message),
            _ => None,
        }
    }

    /// The findings of the newest file, highest score first; empty without an answer.
    pub fn rows(&self) -> &[Row] {
        match &self.reading {
            Some(Reading { outcome: Outcome::Answered { rows, .. }, .. }) => rows,
            _ => &[],
        }
    }

    /// What the model is, once it is there.
    pub fn card(&self) -> Option<(Arc<ModelCard>, Origin)> {
        match &self.model {
            Model::Ready { card, origin } => Some((Arc::clone(card), *origin)),
            _ => None,
        }
    }

    /// The image of the newest file.
    pub fn image(&self) -> Option<Arc<Image>> {
        self.reading.as_ref().and_then(|reading| reading.image.clone())
    }

    fn conclude(&mut self, id: FileId, outcome: Outcome) {
        if let Some(reading) = self.newest(id) {
            reading.outcome = outcome;
        }
    }

    fn newest(&mut self, id: FileId) -> Option<&mut Reading> {
        self.reading.as_mut().filter(|reading| reading.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xray::answer::tests::card;
    use shared::Finding;

    fn ready(session: &mut Session) {
        session.receive(Response::Ready { card: Box::new(card()), origin: Origin::Kept }, None);
    }

    fn image(id: FileId) -> Response {
        let image = ImageInfo {
            width: 2,
            height: 1,
            preview_width: 2,
            preview_height: 1,
            source: "PNG, 8 bit".to_owned(),
            decode_ms: 1.0,
        };
        Response::Image { id, image }
    }

    fn answer(id: FileId, score: f32) -> Response {
        Response::Answer { id, scores: [score; Finding::COUNT], infer_ms: 310.0 }
    }

    #[test]
    fn a_file_given_early_waits_and_is_answered() {
        let mut session = Session::default();
        assert_eq!(session.state(), State::Loading);
        let id = session.begin("a.png", None);
        session.receive(Response::Progress { received: 5, total: 10 }, None);
        session.receive(image(id), Some(vec![0, 255]));
        assert_eq!((session.state(), session.status()), (State::Loading, "a.png waits for the model.".to_owned()));
        assert_eq!(session.image().expect("shown while it waits").preview.pixels, [0, 255]);
        ready(&mut session);
        assert_eq!(session.state(), State::Busy);
        session.receive(answer(id, 0.7), None);
        assert_eq!(session.state(), State::Answered);
        assert_eq!(session.rows().len(), Finding::COUNT);
        assert!(session.status().ends_with("Answered in 0.31 s."), "{}", session.status());
    }

    #[test]
    fn the_newest_file_wins() {
        let mut session = Session::default();
        ready(&mut session);
        let old = session.begin("old.png", None);
        let new = session.begin("new.png", None);
        session.receive(image(old), Some(vec![1, 1]));
        session.receive(answer(old, 0.9), None);
        session.fail(old, "too late".to_owned());
        assert_eq!((session.state(), session.image()), (State::Busy, None));
        session.receive(answer(new, 0.1), None);
        assert_eq!(session.rows()[0].score, 0.1);
    }

    #[test]
    fn a_bad_file_leaves_the_page_usable() {
        let mut session = Session::default();
        ready(&mut session);
        let id = session.begin("notes.txt", None);
        let failure = Failure::new(FailureKind::File, &"notes.txt: not an x-ray");
        session.receive(Response::Failed { id, failure }, None);
        assert_eq!((session.state(), session.error()), (State::Error, Some("notes.txt: not an x-ray")));
        let id = session.begin("a.png", None);
        session.receive(answer(id, 0.5), None);
        assert_eq!((session.state(), session.error()), (State::Answered, None));
    }

    #[test]
    fn lost_memory_is_said_and_the_model_comes_again() {
        let mut session = Session::default();
        ready(&mut session);
        session.begin("huge.png", None);
        session.worker_died(None);
        assert_eq!(session.model, Model::Starting);
        assert!(session.error().is_some_and(|error| error.starts_with("huge.png: out of memory")));
        // Dying again before the model is back must not go on for ever.
        session.worker_died(None);
        assert!(matches!(session.model, Model::Failed(_)));
    }

    #[test]
    fn an_answer_stays_when_the_worker_dies_later() {
        let mut session = Session::default();
        ready(&mut session);
        let id = session.begin("a.png", None);
        session.receive(answer(id, 0.5), None);
        session.worker_died(Some("a defect"));
        assert_eq!((session.state(), session.rows().len()), (State::Answered, Finding::COUNT));
    }
}
