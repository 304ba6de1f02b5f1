//! What the components act through: the session they show, and the worker they ask.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use js_sys::{ArrayBuffer, Uint8Array};
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::File;

use super::protocol::{FileId, Request, Wish};
use super::session::{Model, Session};
use crate::browser;
use crate::component::{Manner, model_among};
use crate::language::t;
use crate::requests;
use crate::worker::client::{self, Event, Program};
use crate::worker::protocol::{self, Response};
use crate::worker::{Failure, FailureKind};

type Client = client::Client<protocol::Request, Response>;

/// The shipped model.
const MODEL: &str = "xray";
/// How long a person may pause in writing before the report is read.
const PAUSE: Duration = Duration::from_millis(250);

/// The session and the worker behind it. A handle: copies act on the same page.
#[derive(Clone, Copy)]
pub struct Desk {
    /// Everything the page knows. Components read it; only this type writes it.
    session: RwSignal<Session>,
    worker: StoredValue<Option<Rc<Client>>, LocalStorage>,
    is_starting: StoredValue<bool>,
    /// Where each file's bytes are, for reading it and for reading it again.
    sources: StoredValue<HashMap<FileId, Source>, LocalStorage>,
    pause: StoredValue<Option<TimeoutHandle>>,
    /// Card and weights of the person's own model, for a worker that has to start anew.
    own: StoredValue<Option<[ArrayBuffer; 2]>, LocalStorage>,
}

/// Where a file's bytes are.
#[derive(Clone)]
enum Source {
    /// On the person's disk.
    File(File),
    /// In the page.
    Bytes(ArrayBuffer),
}

impl Source {
    async fn bytes(&self, name: &str) -> Result<ArrayBuffer, String> {
        match self {
            Self::File(file) => browser::read(file, name).await,
            // A copy, because the worker takes the bytes away.
            Self::Bytes(bytes) => Ok(bytes.slice(0)),
        }
    }
}

impl Desk {
    /// A desk without a worker; [`Self::start`] brings it.
    pub fn new() -> Self {
        Self {
            session: RwSignal::new(Session::default()),
            worker: StoredValue::new_local(None),
            is_starting: StoredValue::new(false),
            sources: StoredValue::new_local(HashMap::new()),
            pause: StoredValue::new(None),
            own: StoredValue::new_local(None),
        }
    }

    /// Everything the page knows.
    pub fn session(self) -> ReadSignal<Session> {
        self.session.read_only()
    }

    /// Starts the worker, if it does not run yet, and has it fetch the model.
    pub fn start(self) {
        if self.worker.with_value(Option::is_some) || self.is_starting.get_value() {
            return;
        }
        self.is_starting.set_value(true);
        self.session.update(|session| session.model = Model::Starting);
        spawn_local(async move {
            let program = Program::fetch("worker").await;
            match program.and_then(|program| Client::start(program, move |event| self.hear(event))) {
                Ok(client) => {
                    self.worker.set_value(Some(client));
                    self.load();
                    self.read_next();
                }
                Err(message) => self.model_failed(FailureKind::Network, &message),
            }
            self.is_starting.set_value(false);
        });
    }

    /// Tries again after the model could not be loaded.
    pub fn retry(self) {
        if self.worker.with_value(Option::is_some) {
            self.session.update(|session| session.model = Model::Starting);
            self.load();
            self.read_next();
        } else {
            self.start();
        }
    }

    /// Takes the files of a drop, a choice or a paste into the queue; `manner` tells what was done with them.
    pub fn give(self, files: &[File], manner: Manner) {
        if files.is_empty() {
            let message = match manner {
                Manner::Dropped => t!("xray.nothing_dropped"),
                Manner::Chosen => t!("xray.nothing_chosen"),
                Manner::Pasted => t!("xray.nothing_pasted"),
            };
            self.session.update(|session| {
                let id = session.begin("?", None);
                session.fail(id, message);
            });
            return;
        }
        let names: Vec<String> = files.iter().map(File::name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if let Some(pair) = model_among(&names) {
            let [card, weights] = pair.map(|at| files[at].clone());
            return spawn_local(async move { self.take_model(&card, &weights).await });
        }
        let begin = |session: &mut Session| session.begin_all(names.iter().copied());
        let ids = self.session.try_update(begin).unwrap_or_default();
        self.sources.update_value(|sources| {
            sources.extend(ids.into_iter().zip(files.iter().cloned().map(Source::File)));
        });
        self.read_next();
    }

    /// Reads a person's own model, a card and its weights, and has it answer.
    async fn take_model(self, card: &File, weights: &File) {
        let read = async {
            let card_json = browser::read(card, &card.name()).await?;
            Ok::<_, String>([card_json, browser::read(weights, &weights.name()).await?])
        };
        match read.await {
            Ok(own) => {
                self.own.set_value(Some(own));
                self.load();
            }
            Err(message) => self.session.update(|session| {
                let id = session.begin(&card.name(), None);
                session.fail(id, message);
            }),
        }
    }

    /// Takes bytes that the page has already, as the content of a file of this name.
    pub fn give_bytes(self, name: &str, note: Option<String>, bytes: ArrayBuffer) {
        let id = self.session.try_update(|session| session.begin(name, note)).unwrap_or_default();
        self.sources.update_value(|sources| {
            sources.insert(id, Source::Bytes(bytes));
        });
        self.read_next();
    }

    /// Looks at another file; its picture is read again if it is no longer kept.
    pub fn select(self, id: FileId) {
        self.session.update(|session| session.select(id));
        let (has_picture, was_read) = self.session.with_untracked(|session| {
            (session.picture().is_some(), session.selected_item().is_some_and(|item| item.thumbnail.is_some()))
        });
        if !has_picture && was_read {
            self.read(id, Wish::Picture);
        }
    }

    /// Gives up the files that wait.
    pub fn cancel(self) {
        self.session.update(Session::cancel);
    }

    /// Forgets every file.
    pub fn clear(self) {
        self.session.update(Session::clear);
        self.sources.update_value(HashMap::clear);
    }

    /// Shows the answer of the file that is looked at, although the input check fails.
    pub fn show_anyway(self) {
        self.session.update(|session| {
            if let Some(item) = session.selected_item_mut() {
                item.shown_anyway = true;
            }
        });
    }

    /// Takes the report of the file that is looked at; it is read when the person pauses.
    pub fn write_report(self, text: &str) {
        self.session.update(|session| {
            if let Some(item) = session.selected_item_mut() {
                item.report.write(text);
            }
        });
        self.pause.update_value(|pause| {
            if let Some(earlier) = pause.take() {
                earlier.clear();
            }
            // A browser without timers reads at once.
            match set_timeout_with_handle(move || self.join(), PAUSE) {
                Ok(handle) => *pause = Some(handle),
                Err(_no_timer) => self.join(),
            }
        });
    }

    /// Drops the report of the file that is looked at, or takes it up again.
    pub fn toggle_report(self) {
        self.session.update(|session| {
            if let Some(item) = session.selected_item_mut() {
                item.report.is_dropped = !item.report.is_dropped;
            }
        });
        self.join();
    }

    /// Asks for the answer to the image that is looked at with its report.
    fn join(self) {
        let asked = self.session.with_untracked(|session| {
            let item = session.selected_item()?;
            let answer = item.answer.as_ref().filter(|_| !item.report.is_empty() && !item.report.is_dropped)?;
            let bytes = Uint8Array::from(answer.features.as_slice()).buffer();
            Some((Request::Join { id: item.id, revision: item.report.revision, text: item.report.text.clone() }, bytes))
        });
        if let (Some((request, bytes)), Some(client)) = (asked, self.client()) {
            // Without an answer the bars stay as they are; a worker that is gone is told of elsewhere.
            let _ = client.send(&protocol::Request::Xray(request), &[bytes]);
        }
    }

    fn model_failed(self, kind: FailureKind, message: &str) {
        self.session.update(|session| session.model = Model::Failed(Failure::new(kind, &message)));
    }

    /// Has the next file of the queue read, if the worker is there and free.
    fn read_next(self) {
        if self.client().is_none() {
            return;
        }
        if let Some(id) = self.session.try_update(Session::begin_next).flatten() {
            self.read(id, Wish::Answer);
        }
    }

    fn read(self, id: FileId, wish: Wish) {
        let file = self.session.with_untracked(|session| session.item(id).map(|item| item.file.clone()));
        let source = self.sources.with_value(|sources| sources.get(&id).cloned());
        let (Some(file), Some(source), Some(client)) = (file, source, self.client()) else { return };
        spawn_local(async move {
            let sent = match source.bytes(&file).await {
                Ok(bytes) => client.send(&protocol::Request::Xray(Request::Read { id, file, wish }), &[bytes]),
                Err(message) => Err(message),
            };
            if let Err(message) = sent {
                self.session.update(|session| session.fail(id, message));
                self.read_next();
            }
        });
    }

    fn client(self) -> Option<Rc<Client>> {
        self.worker.get_value()
    }

    fn load(self) {
        let Some(client) = self.client() else { return };
        let send = |request, bytes: &[ArrayBuffer]| client.send(&protocol::Request::Xray(request), bytes);
        // Copies, because the worker takes the bytes away.
        let own = self.own.with_value(|own| own.as_ref().map(|own| own.each_ref().map(|bytes| bytes.slice(0))));
        let sent = match own {
            Some(own) => send(Request::Use, &own),
            None => browser::card_url(MODEL).and_then(|card_url| send(Request::Load { card_url }, &[])),
        };
        if let Err(message) = sent {
            self.model_failed(FailureKind::Model, &message);
        }
    }

    fn hear(self, event: Event<Response>) {
        match event {
            Event::Response(Response::Xray(response), bytes) => {
                if matches!(response, super::protocol::Response::Refused(_)) {
                    self.own.set_value(None);
                }
                self.session.update(|session| session.receive(response, bytes));
                if self.session.with_untracked(|session| session.model.is_settled()) {
                    requests::set_loaded();
                }
            }
            Event::Response(..) => {} // this worker is asked nothing else
            Event::Died { defect } => {
                self.session.update(|session| session.worker_died(defect.as_deref()));
                if self.session.with_untracked(|session| session.model == Model::Starting) {
                    self.load();
                }
            }
        }
        self.read_next();
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}
