//! The worker's side: trains in slices, and listens in between.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::WorkerGlobalScope;

use super::experiment::Experiment;
use super::protocol::{Request, Response};
use crate::worker::run::{listen, now_ms, say};

/// How long the worker trains before it listens again, in milliseconds.
const SLICE_MS: f64 = 50.0;

/// A training that can rest. It knows nothing of the browser.
#[derive(Default)]
pub struct Trainer {
    training: Option<(u64, Experiment)>,
    is_paused: bool,
}

impl Trainer {
    /// Does what the page asks, and tells what it has to say at once.
    pub fn receive(&mut self, request: Request) -> Option<Response> {
        match request {
            Request::Train { setting, seed } => {
                // The old one's memory goes before the new one takes its own.
                self.training = None;
                self.is_paused = false;
                match Experiment::new(setting, seed) {
                    Ok(experiment) => self.training = Some((seed, experiment)),
                    Err(error) => return Some(Response::Failed { message: error.to_string() }),
                }
            }
            Request::Pause => self.is_paused = true,
            Request::Resume => self.is_paused = false,
        }
        None
    }

    /// Whether [`Self::advance`] has something to do.
    pub fn is_running(&self) -> bool {
        self.training.is_some() && !self.is_paused
    }

    /// Takes one step of every model, or measures them; tells what there is to say of it.
    pub fn advance(&mut self) -> Vec<Response> {
        let Some((seed, experiment)) = &mut self.training else { return Vec::new() };
        let seed = *seed;
        let mut said = Vec::new();
        match experiment.advance() {
            Ok(point) => said.extend(point.map(|point| Response::Reached { seed, point })),
            Err(error) => {
                self.training = None;
                return vec![Response::Failed { message: error.to_string() }];
            }
        }
        if experiment.is_finished() {
            self.training = None;
            said.push(Response::Finished { seed });
        }
        said
    }
}

/// Runs the program `training`.
pub fn start() {
    let trainer = Rc::new(RefCell::new(Trainer::default()));
    let is_training = Rc::new(Cell::new(false));
    listen(move |request, _| {
        let response = trainer.borrow_mut().receive(request);
        if let Some(response) = response {
            say(&response, &[]);
        }
        if !is_training.replace(true) {
            spawn_local(train(Rc::clone(&trainer), Rc::clone(&is_training)));
        }
    });
}

/// Trains until there is nothing to do. Between slices the page's requests come in.
async fn train(trainer: Rc<RefCell<Trainer>>, is_training: Rc<Cell<bool>>) {
    while trainer.borrow().is_running() {
        let start = now_ms();
        while trainer.borrow().is_running() && now_ms() - start < SLICE_MS {
            for response in trainer.borrow_mut().advance() {
                say(&response, &[]);
            }
        }
        let moment = Promise::new(&mut |resolve, _| {
            let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
            if let Err(error) = scope.set_timeout_with_callback(&resolve) {
                wasm_bindgen::throw_val(error);
            }
        });
        // It cannot be refused: nobody holds its other function.
        let _ = JsFuture::from(moment).await;
    }
    is_training.set(false);
}
