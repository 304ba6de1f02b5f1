//! What the worker does with a file: read it, show it, ask the model. No browser in here.

use shared::Finding;
use shared::infer::{FeatureMap, XrayClassifier};
use shared::io::{Radiograph, read_radiograph};

use super::protocol::{Answer, FileId, ImageInfo, Joined, Response, Wish};
use crate::render::{Grey, Grey16};
use crate::worker::{Failure, FailureKind};

/// Longest side of the copy for the screen, in pixels.
pub const PREVIEW_SIDE: usize = 1024;
/// Longest side of the copy for a row of the table, in pixels.
pub const THUMBNAIL_SIDE: usize = 64;

/// Where answers go: the response and the bytes that come along.
pub type Reply<'a> = &'a mut dyn FnMut(Response, &[Vec<u8>]);

/// The model, and the image that waits for it.
pub struct Reader {
    model: Option<XrayClassifier>,
    waiting: Option<Waiting>,
    now_ms: fn() -> f64,
}

struct Waiting {
    id: FileId,
    image: Radiograph,
}

impl Reader {
    /// A reader without a model. `now_ms` is a clock in milliseconds from any start.
    pub fn new(now_ms: fn() -> f64) -> Self {
        Self { model: None, waiting: None, now_ms }
    }

    /// Takes the model and answers the image that has waited for it. If none has, the model runs once for nobody: the
    /// browser compiles its best code only for what runs, and the first answer shall not wait for that.
    pub fn set_model(&mut self, mut model: XrayClassifier, reply: Reply<'_>) {
        if self.waiting.is_none() {
            model.warm_up();
        }
        self.model = Some(model);
        if let Some(Waiting { id, image }) = self.waiting.take() {
            self.answer(id, &image, reply);
        }
    }

    /// Reads a file, shows it, and answers it if that is wished, now or as soon as the model is there.
    pub fn read(&mut self, id: FileId, file: &str, bytes: Vec<u8>, wish: Wish, reply: Reply<'_>) {
        let start = (self.now_ms)();
        let image = match read_radiograph(file, &bytes) {
            Ok(image) => image,
            Err(error) => {
                let failure = Failure::new(FailureKind::File, &error);
                return reply(Response::Failed { id, failure }, &[]);
            }
        };
        drop(bytes); // the model may need the memory
        let preview = Grey16::reduce(&image, PREVIEW_SIDE);
        let thumbnail = Grey::reduce(&image, THUMBNAIL_SIDE);
        let info = ImageInfo {
            width: image.width,
            height: image.height,
            preview_width: preview.width,
            preview_height: preview.height,
            thumbnail_width: thumbnail.width,
            thumbnail_height: thumbnail.height,
            source: image.source.clone(),
            decode_ms: (self.now_ms)() - start,
        };
        reply(Response::Image { id, image: info }, &[preview.to_bytes(), thumbnail.pixels]);
        match wish {
            Wish::Picture => {}
            Wish::Answer if self.model.is_some() => self.answer(id, &image, reply),
            Wish::Answer => self.waiting = Some(Waiting { id, image }),
        }
    }

    /// Answers an image, of which the features are there, together with a report.
    pub fn join(&self, id: FileId, revision: u64, text: &str, features: &[u8], reply: Reply<'_>) {
        let Some(model) = &self.model else { return };
        let values: Vec<f32> = features.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let places = values.len() / model.card().architecture.out_channels();
        let features = FeatureMap { side: places.isqrt(), values };
        // The page sends back what it was given; anything else is none of this model's.
        if features.side == 0 || features.side != model.map_side() {
            return;
        }
        let Some(report) = model.read_report(text) else { return };
        match model.scores_with(&features, &report) {
            Ok(Some(scores)) => {
                let joined = Joined {
                    scores,
                    words: report.words.iter().map(|word| (word.range.start, word.range.end, word.is_known)).collect(),
                    spans: report.spans.iter().map(|span| (span.start, span.end)).collect(),
                    agreement: model.agreement(&features, &report).map_or_else(Vec::new, |agreement| agreement.scores),
                };
                reply(Response::Joined { id, revision, joined: Box::new(joined) }, &[]);
            }
            Ok(None) => {}
            Err(error) => {
                let failure = Failure::new(FailureKind::Model, &error);
                reply(Response::Failed { id, failure }, &[]);
            }
        }
    }

    fn answer(&mut self, id: FileId, image: &Radiograph, reply: Reply<'_>) {
        let Some(model) = &mut self.model else { return };
        let start = (self.now_ms)();
        match model.examine(image) {
            Ok(examined) => {
                let map = |finding| model.activation_map(&examined.features, finding);
                let answer = Answer {
                    scores: examined.scores,
                    maps: Finding::ALL.map(map).to_vec(),
                    checked: examined.checked,
                    infer_ms: (self.now_ms)() - start,
                };
                let features = examined.features.values.iter().flat_map(|value| value.to_le_bytes()).collect();
                reply(Response::Answer { id, answer: Box::new(answer) }, &[features]);
            }
            Err(error) => {
                let failure = Failure::new(FailureKind::Model, &error);
                reply(Response::Failed { id, failure }, &[]);
            }
        }
    }
}
