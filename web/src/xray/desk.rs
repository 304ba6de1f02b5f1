//! What the components act through: the session they show, and the worker they ask.

use std::rc::Rc;

use js_sys::ArrayBuffer;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;
use web_sys::{File, Url};

use super::protocol::{FileId, Request};
use super::session::{Model, Session};
use crate::browser;
use crate::component::Manner;
use crate::requests;
use crate::worker::client::{self, Event, Program};
use crate::worker::protocol::{self, Response};
use crate::worker::{Failure, FailureKind};

type Client = client::Client<protocol::Request, Response>;

/// Address of the model's card, relative to the page.
const CARD: &str = "models/xray/model.json";

/// The session and the worker behind it. A handle: copies act on the same page.
#[derive(Clone, Copy)]
pub struct Desk {
    /// Everything the page knows. Components read it; only this type writes it.
    session: RwSignal<Session>,
    worker: StoredValue<WorkerState, LocalStorage>,
}

/// The worker, and before it is there the newest file that waits for it.
enum WorkerState {
    Absent { waiting: Option<(FileId, String, ArrayBuffer)> },
    Running(Rc<Client>),
}

impl Desk {
    /// A desk without a worker; [`Self::start`] brings it.
    pub fn new() -> Self {
        let session = RwSignal::new(Session::default());
        Self { session, worker: StoredValue::new_local(WorkerState::Absent { waiting: None }) }
    }

    /// Everything the page knows.
    pub fn session(self) -> ReadSignal<Session> {
        self.session.read_only()
    }

    /// Starts the worker, if it does not run yet, and has it fetch the model.
    pub fn start(self) {
        if self.client().is_some() {
            return;
        }
        self.session.update(|session| session.model = Model::Starting);
        spawn_local(async move {
            let program = Program::fetch("worker").await;
            match program.and_then(|program| Client::start(program, move |event| self.hear(event))) {
                Ok(client) => self.begin_work(client),
                Err(message) => self.model_failed(FailureKind::Network, &message),
            }
        });
    }

    /// Tries again after the model could not be loaded.
    pub fn retry(self) {
        if self.client().is_some() {
            self.session.update(|session| session.model = Model::Starting);
            self.load();
        } else {
            self.start();
        }
    }

    /// Takes the files of a drop, a choice or a paste; `manner` names what was done with them.
    ///
    /// The first is read, and the page says so when there are more.
    pub fn give(self, files: &[File], manner: Manner) {
        let Some(file) = files.first().cloned() else {
            let manner = manner.participle();
            let id = self.begin(manner, None);
            return self.fail(id, format!("What was {manner} holds no file. Save the image, then give its file."));
        };
        let name = file.name();
        let note = (files.len() > 1)
            .then(|| format!("{} files were given. This page reads one at a time: the first, {name}.", files.len()));
        let id = self.begin(&name, note);
        spawn_local(async move {
            match browser::read(&file, &name).await {
                Ok(bytes) => self.send(id, name, bytes),
                Err(message) => self.fail(id, message),
            }
        });
    }

    /// Takes bytes that the page has already, as the content of a file of this name.
    pub fn give_bytes(self, name: &str, note: Option<String>, bytes: ArrayBuffer) {
        let id = self.begin(name, note);
        self.send(id, name.to_owned(), bytes);
    }

    fn begin(self, name: &str, note: Option<String>) -> FileId {
        self.session.try_update(|session| session.begin(name, note)).unwrap_or_default()
    }

    fn fail(self, id: FileId, message: String) {
        self.session.update(|session| session.fail(id, message));
    }

    fn model_failed(self, kind: FailureKind, message: &str) {
        self.session.update(|session| session.model = Model::Failed(Failure::new(kind, &message)));
    }

    fn send(self, id: FileId, file: String, bytes: ArrayBuffer) {
        let newest = self.session.with_untracked(|session| session.reading.as_ref().map(|reading| reading.id));
        if newest != Some(id) {
            return; // a later file was given while this one came off the disk
        }
        match self.client() {
            Some(client) => {
                if let Err(message) = client.send(&protocol::Request::Xray(Request::Read { id, file }), &[bytes]) {
                    self.fail(id, message);
                }
            }
            None => self.worker.set_value(WorkerState::Absent { waiting: Some((id, file, bytes)) }),
        }
    }

    fn client(self) -> Option<Rc<Client>> {
        self.worker.with_value(|worker| match worker {
            WorkerState::Running(client) => Some(Rc::clone(client)),
            WorkerState::Absent { .. } => None,
        })
    }

    fn begin_work(self, client: Rc<Client>) {
        let waiting =
            self.worker.try_update_value(|worker| match std::mem::replace(worker, WorkerState::Running(client)) {
                WorkerState::Absent { waiting } => waiting,
                WorkerState::Running(_) => None,
            });
        self.load();
        if let Some(Some((id, file, bytes))) = waiting {
            self.send(id, file, bytes);
        }
    }

    fn load(self) {
        let Some(client) = self.client() else { return };
        let sent =
            card_url().and_then(|card_url| client.send(&protocol::Request::Xray(Request::Load { card_url }), &[]));
        if let Err(message) = sent {
            self.model_failed(FailureKind::Model, &message);
        }
    }

    fn hear(self, event: Event<Response>) {
        match event {
            Event::Response(Response::Xray(response), bytes) => {
                self.session.update(|session| session.receive(response, bytes.into_iter().next()));
                if self.session.with_untracked(|session| session.model.is_settled()) {
                    requests::set_loaded();
                }
            }
            Event::Response(Response::Mri(_) | Response::Lesson(_), _) => {} // of another desk's worker
            Event::Died { defect } => {
                self.session.update(|session| session.worker_died(defect.as_deref()));
                if self.session.with_untracked(|session| session.model == Model::Starting) {
                    self.load();
                }
            }
        }
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

/// The worker has no address of its own to complete a relative one with.
fn card_url() -> Result<String, String> {
    let base = document().base_uri().map_err(|error| browser::describe(&error))?.unwrap_or_default();
    Url::new_with_base(CARD, &base).map(|url| url.href()).map_err(|error: JsValue| browser::describe(&error))
}
