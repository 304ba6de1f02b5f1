//! Joins the lesson to its worker, and its state to the address.

use std::rc::Rc;

use js_sys::{ArrayBuffer, Uint8Array};
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::{Modality, ModalitySet};

use super::case::{Case, REAL};
use super::protocol::Request;
use super::session::{Next, Session};
use crate::address::Navigator;
use crate::browser::{bytes_of, card_url, fetch};
use crate::requests;
use crate::worker::client::{self, Event, Program};
use crate::worker::protocol::{self, Response};

type Client = client::Client<protocol::Request, Response>;

/// Name of the case in the address.
const CASE: &str = "case";
/// Name of the sequences that are taken away.
const DROP: &str = "drop";

/// The lesson and the worker behind it. A handle: copies act on the same lesson.
#[derive(Clone, Copy)]
pub struct Desk {
    session: RwSignal<Session>,
    /// Why there is no worker.
    failure: RwSignal<Option<String>>,
    client: StoredValue<Option<Rc<Client>>, LocalStorage>,
    navigator: Navigator,
}

impl Desk {
    /// A lesson in the state that the address tells; [`Self::start`] begins it.
    pub fn new(navigator: Navigator) -> Self {
        let session = Session::new(Case::default(), ModalitySet::ALL);
        Self {
            session: RwSignal::new(session),
            failure: RwSignal::new(None),
            client: StoredValue::new_local(None),
            navigator,
        }
    }

    /// What the lesson knows.
    pub fn session(self) -> ReadSignal<Session> {
        self.session.read_only()
    }

    /// Why there is no lesson.
    pub fn failure(self) -> ReadSignal<Option<String>> {
        self.failure.read_only()
    }

    /// Takes the state of the address, and starts the worker if there is none.
    pub fn start(self) {
        let (case, present) = self.navigator.address().with_untracked(|address| {
            let case = address.state.get(CASE).and_then(|name| Case::of_name(name)).unwrap_or_default();
            (case, present_of(address.state.get(DROP).map_or("", String::as_str)))
        });
        self.session.update(|session| session.present = present);
        if self.client.with_value(Option::is_some) {
            if self.session.with_untracked(|session| session.case != case) {
                self.open(case);
            }
            return;
        }
        self.session.update(|session| session.case = case.clone());
        spawn_local(async move {
            let program = Program::fetch("worker").await;
            match program.and_then(|program| Client::start(program, move |event| self.hear(event))) {
                Ok(client) => {
                    self.client.set_value(Some(client));
                    self.open(case);
                }
                Err(message) => self.failure.set(Some(message)),
            }
        });
    }

    /// Turns to a case.
    pub fn open(self, case: Case) {
        self.navigator.set(CASE, Some(&case.name()));
        let Some(id) = self.session.try_update(|session| session.open(case.clone())) else { return };
        self.send_case(id, case);
    }

    fn send_case(self, id: u64, case: Case) {
        let Case::Real(name) = &case else { return self.send(&Request::Open { id, case }, &[]) };
        let Some(real) = REAL.iter().find(|real| real.name == name) else { return };
        spawn_local(async move {
            let mut files = Vec::new();
            for file in real.files {
                match fetch_sample(file).await {
                    Ok(bytes) => files.push(bytes),
                    Err(message) => {
                        let failed = super::protocol::Response::OpenFailed { id, message };
                        return self.session.update(|session| session.receive(failed, vec![]));
                    }
                }
            }
            self.send(&Request::Open { id, case }, &files);
        });
    }

    /// Takes a sequence away, or gives it back.
    pub fn toggle(self, modality: Modality) {
        self.session.update(|session| session.toggle(modality));
        self.show_present();
    }

    /// Leaves these sequences.
    pub fn leave(self, present: ModalitySet) {
        self.session.update(|session| session.present = present);
        self.show_present();
    }

    fn show_present(self) {
        let dropped = self.session.with_untracked(|session| dropped_of(session.present));
        self.navigator.set(DROP, (!dropped.is_empty()).then_some(&dropped));
        self.go_on();
    }

    /// Asks the worker for what is needed next.
    fn go_on(self) {
        // In a statement of its own: sending may come back here.
        let next = self.session.try_update_untracked(Session::next_step).flatten();
        match next {
            Some(Next::Ask(request)) => self.send(&request, &[]),
            Some(Next::Load(network)) => match card_url(&network) {
                Ok(card_url) => self.send(&Request::Load { network, card_url }, &[]),
                Err(message) => self.failure.set(Some(message)),
            },
            None => {}
        }
    }

    fn send(self, request: &Request, bytes: &[ArrayBuffer]) {
        let Some(client) = self.client.with_value(Clone::clone) else { return };
        if let Err(message) = client.send(&protocol::Request::Lesson(request.clone()), bytes) {
            self.failure.set(Some(message));
        }
    }

    fn hear(self, event: Event<Response>) {
        match event {
            Event::Response(Response::Lesson(response), bytes) => {
                self.session.update(|session| session.receive(response, bytes));
                if self.session.with_untracked(Session::is_complete) {
                    requests::set_loaded();
                }
                self.go_on();
            }
            Event::Response(..) => {}
            Event::Died { defect } => {
                self.failure.set(defect);
                let reopened = self.session.try_update(|session| (session.worker_died(), session.case.clone()));
                if let Some((id, case)) = reopened {
                    self.send_case(id, case);
                }
            }
        }
    }
}

/// A file of the page's own samples.
async fn fetch_sample(file: &str) -> Result<ArrayBuffer, String> {
    let bytes = bytes_of(&fetch(&format!("samples/mri/{file}")).await?).await?;
    Ok(Uint8Array::new(&bytes).buffer())
}

/// The sequences that are left when those of `t1c,t2` are taken away; all, if none would be.
fn present_of(dropped: &str) -> ModalitySet {
    let dropped: Vec<Modality> = dropped.split(',').filter_map(|name| name.parse().ok()).collect();
    ModalitySet::new(Modality::ALL.into_iter().filter(|modality| !dropped.contains(modality)))
        .unwrap_or(ModalitySet::ALL)
}

/// The sequences that are taken away, as the address tells them.
fn dropped_of(present: ModalitySet) -> String {
    let dropped = Modality::ALL.into_iter().filter(|modality| !present.contains(*modality));
    dropped.map(Modality::name).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_sequences_come_back_from_the_address() {
        for present in ModalitySet::all() {
            assert_eq!(present_of(&dropped_of(present)), present);
        }
        assert_eq!(dropped_of(ModalitySet::ALL), "");
        assert_eq!(present_of("flair,t1,t1c,t2"), ModalitySet::ALL, "one has to stay");
        assert_eq!(present_of("x,t1").len(), 3);
    }
}
