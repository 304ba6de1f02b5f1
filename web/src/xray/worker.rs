//! What the worker does with requests about x-rays.

use std::cell::RefCell;
use std::rc::Rc;

use shared::infer::XrayClassifier;
use wasm_bindgen_futures::spawn_local;

use super::protocol::{Request, Response};
use super::reader::Reader;
use crate::worker::run::{now_ms, say};
use crate::worker::{Failure, FailureKind, protocol, store};

/// The reader of x-rays in its worker.
pub struct Service {
    reader: Rc<RefCell<Reader>>,
}

impl Service {
    /// A service without a model.
    pub fn new() -> Self {
        Self { reader: Rc::new(RefCell::new(Reader::new(now_ms))) }
    }

    /// Does what is asked, and says what comes of it.
    pub fn receive(&self, request: Request, bytes: Vec<Vec<u8>>) {
        match request {
            Request::Read { id, file, wish } => {
                let bytes = bytes.into_iter().next().unwrap_or_default();
                self.reader.borrow_mut().read(id, &file, bytes, wish, &mut reply);
            }
            Request::Join { id, revision, text } => {
                let features = bytes.into_iter().next().unwrap_or_default();
                self.reader.borrow().join(id, revision, &text, &features, &mut reply);
            }
            Request::Use => self.use_own(&bytes),
            Request::Load { card_url } => {
                let reader = Rc::clone(&self.reader);
                spawn_local(async move { load(&reader, &card_url).await });
            }
        }
    }
}

impl Service {
    /// Takes a model that came as the bytes of its card and of its weights.
    fn use_own(&self, bytes: &[Vec<u8>]) {
        let [card, weights] = [0, 1].map(|i| bytes.get(i).map_or(&[][..], Vec::as_slice));
        match XrayClassifier::from_bytes("model.json", card, weights) {
            Ok(model) => {
                let card = Box::new(model.card().clone());
                reply(Response::Ready { card, origin: protocol::Origin::Given }, &[]);
                self.reader.borrow_mut().set_model(model, &mut reply);
            }
            Err(error) => reply(Response::Refused(Failure::new(FailureKind::Model, &error)), &[]),
        }
    }
}

impl Default for Service {
    fn default() -> Self {
        Self::new()
    }
}

async fn load(reader: &RefCell<Reader>, card_url: &str) {
    let progress = |received, total| reply(Response::Progress { received, total }, &[]);
    match store::load::<XrayClassifier>(card_url, progress).await {
        Ok((model, origin)) => {
            reply(Response::Ready { card: Box::new(model.card().clone()), origin }, &[]);
            reader.borrow_mut().set_model(model, &mut reply);
        }
        Err(failure) => reply(Response::LoadFailed(failure), &[]),
    }
}

fn reply(response: Response, bytes: &[Vec<u8>]) {
    let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    say(&protocol::Response::Xray(response), &bytes);
}
