//! What the worker does with a file: read it, show it, ask the model. No browser in here.

use shared::infer::XrayClassifier;
use shared::io::{Radiograph, read_radiograph};

use super::protocol::{FileId, ImageInfo, Response};
use crate::render::Grey;
use crate::worker::{Failure, FailureKind};

/// Longest side of the copy for the screen, in pixels.
pub const PREVIEW_SIDE: usize = 1024;

/// Where answers go: the response, and the pixels of a [`Response::Image`].
pub type Reply<'a> = &'a mut dyn FnMut(Response, Option<Vec<u8>>);

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

    /// Reads a file, shows it, and answers it now or as soon as the model is there.
    pub fn read(&mut self, id: FileId, file: &str, bytes: Vec<u8>, reply: Reply<'_>) {
        let start = (self.now_ms)();
        let image = match read_radiograph(file, &bytes) {
            Ok(image) => image,
            Err(error) => {
                let failure = Failure::new(FailureKind::File, &error);
                return reply(Response::Failed { id, failure }, None);
            }
        };
        drop(bytes); // the model may need the memory
        let preview = Grey::reduce(&image, PREVIEW_SIDE);
        let info = ImageInfo {
            width: image.width,
            height: image.height,
            preview_width: preview.width,
            preview_height: preview.height,
            source: image.source.clone(),
            decode_ms: (self.now_ms)() - start,
        };
        reply(Response::Image { id, image: info }, Some(preview.pixels));
        if self.model.is_some() {
            self.answer(id, &image, reply);
        } else {
            self.waiting = Some(Waiting { id, image });
        }
    }

    fn answer(&mut self, id: FileId, image: &Radiograph, reply: Reply<'_>) {
        let Some(model) = &mut self.model else { return };
        let start = (self.now_ms)();
        let response = match model.scores(image) {
            Ok(scores) => Response::Answer { id, scores, infer_ms: (self.now_ms)() - start },
            Err(error) => Response::Failed { id, failure: Failure::new(FailureKind::Model, &error) },
        };
        reply(response, None);
    }
}
