//! Everything the page knows of x-rays, as one plain value. The screen is derived from it and nothing else.

use std::collections::VecDeque;
use std::sync::Arc;

use shared::io::ModelCard;

use super::answer::{self, Row};
use super::item::{Answer, Item, ItemState, Picture};
use super::protocol::{FileId, Response};
use crate::language::t;
use crate::render::{Grey, Grey16};
use crate::worker::protocol::Origin;
use crate::worker::{Failure, FailureKind};

/// Pictures kept for the screen; an older one is read again when its file is looked at.
const PICTURES_KEPT: usize = 6;
/// How often a file is begun that the worker dies of.
const MAX_ATTEMPTS: u8 = 2;

/// What the page knows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Session {
    /// The model.
    pub model: Model,
    /// The files in the order in which they were given.
    items: Vec<Item>,
    selected: Option<FileId>,
    pictures: VecDeque<(FileId, Arc<Picture>)>,
    n_given: FileId,
    /// Files of the queue that is being worked off, the done ones included.
    n_queued: usize,
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
    /// Whether it is known what became of it.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Ready { .. } | Self::Failed(_))
    }
}

/// The state in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The model is not there yet.
    Loading,
    /// A file can be given.
    Ready,
    /// Files are being read.
    Busy,
    /// The file that is looked at is answered, and no other one waits.
    Answered,
    /// The file that is looked at, or the model, failed.
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
    /// Takes a file to the end of the queue and looks at it.
    pub fn begin(&mut self, file: &str, note: Option<String>) -> FileId {
        let id = self.enqueue(file, note);
        self.selected = Some(id);
        id
    }

    /// Takes files to the end of the queue and looks at the first of them.
    pub fn begin_all<'a>(&mut self, files: impl IntoIterator<Item = &'a str>) -> Vec<FileId> {
        let ids: Vec<FileId> = files.into_iter().map(|file| self.enqueue(file, None)).collect();
        self.selected = ids.first().copied().or(self.selected);
        ids
    }

    fn enqueue(&mut self, file: &str, note: Option<String>) -> FileId {
        if !self.items.iter().any(Item::is_open) {
            self.n_queued = 0;
        }
        self.n_queued += 1;
        self.n_given += 1;
        self.items.push(Item::new(self.n_given, file, note));
        self.n_given
    }

    /// The next file to be read, if none is being read; it counts as being read from here on.
    pub fn begin_next(&mut self) -> Option<FileId> {
        if self.items.iter().any(|item| item.state == ItemState::Reading) {
            return None;
        }
        let item = self.items.iter_mut().find(|item| item.state == ItemState::Waiting)?;
        item.state = ItemState::Reading;
        item.attempts += 1;
        Some(item.id)
    }

    /// Gives up the files that wait. The one that is being read is finished.
    pub fn cancel(&mut self) {
        for item in self.items.iter_mut().filter(|item| item.state == ItemState::Waiting) {
            item.state = ItemState::Cancelled;
        }
    }

    /// Forgets every file.
    pub fn clear(&mut self) {
        self.items.clear();
        self.pictures.clear();
        self.selected = None;
        self.n_queued = 0;
    }

    /// Looks at another file.
    pub fn select(&mut self, id: FileId) {
        if self.items.iter().any(|item| item.id == id) {
            self.selected = Some(id);
        }
    }

    /// Takes what the worker said, with the bytes that came along.
    pub fn receive(&mut self, response: Response, bytes: Vec<Vec<u8>>) {
        match response {
            Response::Progress { received, total } => self.model = Model::Fetching { received, total },
            Response::Ready { card, origin } => {
                if origin == Origin::Given {
                    self.answer_again();
                }
                self.model = Model::Ready { card: Arc::from(card), origin };
            }
            Response::LoadFailed(failure) => self.model = Model::Failed(failure),
            Response::Refused(failure) => {
                let id = self.begin("model.json", None);
                self.fail(id, failure.message);
            }
            Response::Image { id, image: info } => {
                let mut bytes = bytes.into_iter();
                let (pixels, thumbnail) = (bytes.next().unwrap_or_default(), bytes.next().unwrap_or_default());
                let Some(item) = self.item_mut(id) else { return };
                let (width, height) = (info.thumbnail_width, info.thumbnail_height);
                item.thumbnail = Some(Arc::new(Grey { width, height, pixels: thumbnail }));
                let preview = Grey16::from_bytes(info.preview_width, info.preview_height, &pixels);
                self.pictures.retain(|(of, _)| *of != id);
                self.pictures.push_back((id, Arc::new(Picture { info, preview })));
                let selected = self.selected;
                while self.pictures.len() > PICTURES_KEPT {
                    let oldest = self.pictures.iter().position(|(of, _)| Some(*of) != selected).unwrap_or(0);
                    self.pictures.remove(oldest);
                }
            }
            Response::Answer { id, answer } => {
                if let Some(item) = self.item_mut(id) {
                    item.state = ItemState::Answered;
                    item.answer = Some(Arc::new(Answer {
                        scores: answer.scores,
                        checked: answer.checked,
                        maps: answer.maps,
                        infer_ms: answer.infer_ms,
                        features: bytes.into_iter().next().unwrap_or_default(),
                    }));
                }
            }
            Response::Joined { id, revision, joined } => {
                if let Some(item) = self.item_mut(id) {
                    item.report.receive(revision, *joined);
                }
            }
            Response::Failed { id, failure } => self.fail(id, failure.message),
        }
    }

    /// What another model has answered is asked anew.
    fn answer_again(&mut self) {
        for item in self.items.iter_mut().filter(|item| item.state == ItemState::Answered) {
            (item.state, item.answer, item.attempts) = (ItemState::Waiting, None, 0);
            item.report.forget_answer();
        }
    }

    /// There is no answer for this file; an answer that is there already stays.
    pub fn fail(&mut self, id: FileId, message: String) {
        if let Some(item) = self.item_mut(id).filter(|item| item.is_open()) {
            item.state = ItemState::Failed(message);
        }
    }

    /// The worker is gone, and with it the model; `defect` is what it reported, or nothing if memory ran out. The file
    /// that it was reading is tried once more.
    pub fn worker_died(&mut self, defect: Option<&str>) {
        let reading = self.items.iter_mut().find(|item| item.state == ItemState::Reading);
        let doing = reading.as_ref().map(|item| format!("{}: ", item.file)).unwrap_or_default();
        let reason = match defect {
            None => t!("xray.died_memory"),
            Some(defect) => t!("xray.died_defect", defect = defect),
        };
        let message = format!("{doing}{reason}");
        if let Some(item) = reading {
            item.state = match item.attempts {
                MAX_ATTEMPTS.. => ItemState::Failed(message.clone()),
                _ => ItemState::Waiting,
            };
        }
        // A worker that dies before it has a model would die again: the person decides.
        self.model = match self.model {
            Model::Ready { .. } => Model::Starting,
            _ => Model::Failed(Failure::new(FailureKind::Model, &message)),
        };
    }

    /// The state in one word.
    pub fn state(&self) -> State {
        let is_open = self.items.iter().any(Item::is_open);
        match (&self.model, self.selected_item().map(|item| &item.state)) {
            (Model::Ready { .. }, _) if is_open => State::Busy,
            (_, Some(ItemState::Answered)) => State::Answered,
            (_, Some(ItemState::Failed(_))) | (Model::Failed(_), _) => State::Error,
            (Model::Starting | Model::Fetching { .. }, _) => State::Loading,
            (Model::Ready { .. }, _) => State::Ready,
        }
    }

    /// The state in a sentence. It changes only with the state, so that a screen reader says it once.
    pub fn status(&self) -> String {
        let item = self.selected_item();
        let open = item.filter(|item| item.is_open());
        match (self.state(), item) {
            (State::Loading, _) => match open {
                Some(item) => t!("xray.status_waits", file = item.file),
                None => t!("xray.status_loading"),
            },
            (State::Busy, _) if self.n_queued > 1 => t!("xray.status_queue", n = self.n_queued),
            (State::Busy, Some(item)) => t!("xray.status_reading", file = item.file),
            (State::Answered, Some(item)) if item.is_withheld() => t!("xray.status_withheld", file = item.file),
            (State::Answered, Some(item)) => {
                let seconds = item.answer.as_ref().map_or(0.0, |answer| answer.infer_ms / 1000.0);
                let summary = answer::summary(&self.rows());
                t!("xray.status_answered", file = item.file, summary = summary, seconds = format!("{seconds:.2}"))
            }
            (State::Error, Some(Item { file, state: ItemState::Failed(_), .. })) => {
                t!("xray.status_failed", file = file)
            }
            (State::Error, _) => t!("xray.status_no_model"),
            _ => t!("xray.status_ready"),
        }
    }

    /// What went wrong, in words.
    pub fn error(&self) -> Option<&str> {
        match (self.selected_item().map(|item| &item.state), &self.model) {
            (Some(ItemState::Failed(message)), _) => Some(message),
            (_, Model::Failed(failure)) => Some(&failure.message),
            _ => None,
        }
    }

    /// The findings of the file that is looked at, the most probable first; empty without an answer.
    pub fn rows(&self) -> Vec<Row> {
        let item = self.selected_item();
        match (&self.model, item.and_then(|item| item.answer.as_ref().map(|answer| (item, answer)))) {
            (Model::Ready { card, .. }, Some((item, answer))) => {
                let joined = item.report.joined().map(|joined| &joined.scores);
                answer::rows(card, &answer.scores, joined)
            }
            _ => Vec::new(),
        }
    }

    /// What the model is, once it is there.
    pub fn card(&self) -> Option<(Arc<ModelCard>, Origin)> {
        match &self.model {
            Model::Ready { card, origin } => Some((Arc::clone(card), *origin)),
            _ => None,
        }
    }

    /// All files, in the order in which they were given.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The file that is looked at.
    pub fn selected_item(&self) -> Option<&Item> {
        self.item(self.selected?)
    }

    /// The same, to change.
    pub fn selected_item_mut(&mut self) -> Option<&mut Item> {
        self.item_mut(self.selected?)
    }

    /// A file by its number.
    pub fn item(&self, id: FileId) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    fn item_mut(&mut self, id: FileId) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.id == id)
    }

    /// The picture of the file that is looked at, if it is kept.
    pub fn picture(&self) -> Option<Arc<Picture>> {
        self.pictures.iter().find(|(id, _)| Some(*id) == self.selected).map(|(_, picture)| Arc::clone(picture))
    }

    /// How many files of the queue are done, and how many there are, while it is worked off.
    pub fn queue(&self) -> Option<(usize, usize)> {
        let open = self.items.iter().filter(|item| item.is_open()).count();
        (open > 0 && self.n_queued > 1).then(|| (self.n_queued.saturating_sub(open), self.n_queued))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::xray::answer::tests::card;
    use crate::xray::protocol::{self, ImageInfo, Joined};
    use shared::Finding;
    use shared::infer::input_check::{Checked, Measures, Reason};

    fn ready(session: &mut Session) {
        session.receive(Response::Ready { card: Box::new(card()), origin: Origin::Kept }, Vec::new());
    }

    fn image(session: &mut Session, id: FileId) {
        let image = ImageInfo {
            width: 4,
            height: 2,
            preview_width: 2,
            preview_height: 1,
            thumbnail_width: 1,
            thumbnail_height: 1,
            source: "PNG, 8 bit".to_owned(),
            decode_ms: 1.0,
        };
        session.receive(Response::Image { id, image }, vec![vec![0, 0, 255, 255], vec![7]]);
    }

    pub(crate) fn answer(id: FileId, score: f32, reasons: Vec<Reason>) -> Response {
        let measures = Measures { residual: 0.0, distance: 0.0, shades: 0.0, detail: 1.0 };
        let answer = protocol::Answer {
            scores: [score; Finding::COUNT],
            checked: Some(Checked { measures, reasons }),
            maps: Vec::new(),
            infer_ms: 310.0,
        };
        Response::Answer { id, answer: Box::new(answer) }
    }

    fn say(session: &mut Session, response: Response) {
        session.receive(response, Vec::new());
    }

    #[test]
    fn a_file_given_early_waits_and_is_answered() {
        let mut session = Session::default();
        assert_eq!(session.state(), State::Loading);
        let id = session.begin("a.png", None);
        assert_eq!(session.begin_next(), Some(id));
        say(&mut session, Response::Progress { received: 5, total: 10 });
        image(&mut session, id);
        assert_eq!((session.state(), session.status()), (State::Loading, "a.png waits for the model.".to_owned()));
        let picture = session.picture().expect("shown while it waits");
        assert_eq!((picture.preview.pixels.as_slice(), picture.seen()), (&[0, 65535][..], [0.5, 0.0, 1.0]));
        ready(&mut session);
        assert_eq!(session.state(), State::Busy);
        say(&mut session, answer(id, 0.7, vec![]));
        assert_eq!(session.state(), State::Answered);
        assert_eq!(session.rows().len(), Finding::COUNT);
        assert!(session.status().ends_with("Answered in 0.31 s."), "{}", session.status());
    }

    #[test]
    fn files_are_read_one_after_the_other_and_a_bad_one_does_not_stop_the_rest() {
        let mut session = Session::default();
        ready(&mut session);
        let ids = session.begin_all(["a.png", "notes.txt", "c.png"]);
        assert_eq!((session.begin_next(), session.begin_next()), (Some(ids[0]), None));
        assert_eq!(session.queue(), Some((0, 3)));
        say(&mut session, answer(ids[0], 0.7, vec![]));
        assert_eq!((session.begin_next(), session.state()), (Some(ids[1]), State::Busy));
        let failure = Failure::new(FailureKind::File, &"notes.txt: not an x-ray");
        say(&mut session, Response::Failed { id: ids[1], failure });
        assert_eq!((session.begin_next(), session.queue()), (Some(ids[2]), Some((2, 3))));
        say(&mut session, answer(ids[2], 0.2, vec![]));
        assert_eq!((session.begin_next(), session.queue(), session.state()), (None, None, State::Answered));
        session.select(ids[1]);
        assert_eq!((session.state(), session.error()), (State::Error, Some("notes.txt: not an x-ray")));
        session.select(ids[2]);
        assert_eq!((session.state(), session.rows()[0].image.score), (State::Answered, 0.2));
        session.select(99);
        assert_eq!(session.selected_item().map(|item| item.id), Some(ids[2]));
        session.clear();
        assert_eq!((session.items().len(), session.state()), (0, State::Ready));
    }

    #[test]
    fn a_queue_can_be_given_up() {
        let mut session = Session::default();
        ready(&mut session);
        let ids = session.begin_all(["a", "b", "c"]);
        session.begin_next();
        session.cancel();
        say(&mut session, answer(ids[0], 0.7, vec![]));
        assert_eq!((session.begin_next(), session.state()), (None, State::Answered));
        assert!(session.items()[1..].iter().all(|item| item.state == ItemState::Cancelled));
    }

    #[test]
    fn an_image_that_is_no_chest_x_ray_is_answered_when_asked_for() {
        let mut session = Session::default();
        ready(&mut session);
        let id = session.begin("cat.jpg", None);
        session.begin_next();
        say(&mut session, answer(id, 0.9, vec![Reason::Colours]));
        assert!(session.status().contains("does not look like"), "{}", session.status());
        assert!(session.selected_item().is_some_and(Item::is_withheld));
        session.selected_item_mut().expect("there").shown_anyway = true;
        assert!(session.status().contains("13 of 14"), "{}", session.status());
    }

    #[test]
    fn the_file_a_worker_dies_of_is_tried_once_more() {
        let mut session = Session::default();
        ready(&mut session);
        let id = session.begin("huge.png", None);
        session.begin_next();
        session.worker_died(None);
        assert_eq!((&session.model, session.error()), (&Model::Starting, None));
        ready(&mut session);
        assert_eq!(session.begin_next(), Some(id), "the drop is kept");
        session.worker_died(None);
        assert_eq!(session.begin_next(), None);
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
        session.begin_next();
        say(&mut session, answer(id, 0.5, vec![]));
        session.worker_died(Some("a defect"));
        assert_eq!(session.state(), State::Answered);
        ready(&mut session);
        assert_eq!((session.begin_next(), session.rows().len()), (None, Finding::COUNT));
    }

    #[test]
    fn pictures_of_a_few_files_are_kept_and_the_one_looked_at_always() {
        let mut session = Session::default();
        let ids = session.begin_all(["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
        for &id in &ids {
            image(&mut session, id);
        }
        assert_eq!(session.pictures.len(), PICTURES_KEPT);
        assert!(session.picture().is_some());
        session.select(ids[1]);
        assert!(session.picture().is_none(), "to be read again");
        assert!(session.items().iter().all(|item| item.thumbnail.is_some()));
    }

    #[test]
    fn a_report_joins_and_is_dropped_again() {
        let mut session = Session::default();
        ready(&mut session);
        let id = session.begin("a.png", None);
        session.begin_next();
        say(&mut session, answer(id, 0.5, vec![]));
        let joined = |revision, score| {
            let joined = Joined { scores: [score; Finding::COUNT], words: vec![], spans: vec![], agreement: vec![] };
            Response::Joined { id, revision, joined: Box::new(joined) }
        };
        let score = |session: &Session| {
            session.selected_item().and_then(|item| item.report.joined().map(|joined| joined.scores[0]))
        };
        session.selected_item_mut().expect("there").report.write("No effusion.");
        say(&mut session, joined(1, 0.2));
        assert_eq!(score(&session), Some(0.2));
        session.selected_item_mut().expect("there").report.write("Effusion.");
        say(&mut session, joined(1, 0.3));
        assert_eq!(score(&session), Some(0.2), "what comes for an older text is left aside");
        assert!(
            session.selected_item().is_some_and(|item| item.report.read().is_none()),
            "its places are in another text"
        );
        say(&mut session, joined(2, 0.8));
        assert_eq!(score(&session), Some(0.8));
        session.selected_item_mut().expect("there").report.is_dropped = true;
        assert_eq!(score(&session), None);
    }
}
