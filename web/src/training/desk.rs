//! What the components act through: the session they show, and the workers that train.

use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::protocol::{Request, Response};
use super::session::{Session, State};
use super::setting::Setting;
use crate::worker::client::{self, Event, Program};

type Client = client::Client<Request, Response>;

/// Name of the program.
const PROGRAM: &str = "training";

/// Workers side by side: more would heat a laptop for little.
const MAX_WORKERS: usize = 2;

/// The session and the workers behind it. A handle: copies act on the same training.
#[derive(Clone, Copy)]
pub struct Desk {
    /// Everything the page knows. Components read it; only this type writes it.
    session: RwSignal<Session>,
    workers: StoredValue<Vec<Rc<Client>>, LocalStorage>,
    /// Counts the trainings, so that a program that comes too late for one is not used for another.
    round: StoredValue<usize>,
}

impl Desk {
    /// A desk without workers, whose controls show a setting.
    pub fn new(setting: Setting) -> Self {
        let session = RwSignal::new(Session { chosen: setting, ..Session::default() });
        Self { session, workers: StoredValue::new_local(Vec::new()), round: StoredValue::new(0) }
    }

    /// Everything the page knows.
    pub fn session(self) -> ReadSignal<Session> {
        self.session.read_only()
    }

    /// Fetches the program, so that starting makes no request. If that fails, starting tries again and tells.
    pub fn prepare(self) {
        spawn_local(async { drop(Program::fetch_simd(PROGRAM).await) });
    }

    /// Sets the controls.
    pub fn choose(self, setting: Setting) {
        self.session.update(|session| session.choose(setting));
    }

    /// Trains from the start with what the controls show.
    pub fn start(self) {
        self.end_workers();
        self.session.update(Session::begin);
        let round = self.round.get_value();
        spawn_local(async move {
            let program = Program::fetch_simd(PROGRAM).await;
            // The person may have reset, or left, while the program came.
            if self.round.try_get_value() == Some(round)
                && let Err(message) = program.and_then(|program| self.begin(&program, round))
            {
                self.fail(message);
            }
        });
    }

    /// Rests, or goes on.
    pub fn pause_or_resume(self) {
        self.session.update(Session::pause_or_resume);
        let request = match self.session.with_untracked(|session| session.state.clone()) {
            State::Paused => Request::Pause,
            State::Running => Request::Resume,
            _ => return,
        };
        for worker in self.workers.get_value() {
            if let Err(message) = worker.send(&request, &[]) {
                self.fail(message);
            }
        }
    }

    /// Ends the training, gives its memory back and forgets what was measured.
    pub fn reset(self) {
        self.end_workers();
        self.session.update(Session::reset);
    }

    fn begin(self, program: &Rc<Program>, round: usize) -> Result<(), String> {
        self.session.update(Session::started);
        for number in 0..n_workers(self.session.with_untracked(|session| session.trained.map_or(1, Setting::seeds))) {
            let hear = move |event| self.hear(event, number, round);
            let client = Client::start(Rc::clone(program), hear)?;
            self.workers.update_value(|workers| workers.push(client));
            self.train_next(number)?;
        }
        Ok(())
    }

    /// Gives a worker the next seed, if there is one.
    fn train_next(self, number: usize) -> Result<(), String> {
        let taken = self.session.try_update(|session| Some((session.trained?, session.take_seed()?))).flatten();
        let Some((setting, seed)) = taken else { return Ok(()) };
        let Some(worker) = self.workers.with_value(|workers| workers.get(number).map(Rc::clone)) else { return Ok(()) };
        worker.send(&Request::Train { setting, seed }, &[])?;
        // The seed before may have come to its end when the person had asked for a rest already.
        if self.session.with_untracked(|session| session.state == State::Paused) {
            worker.send(&Request::Pause, &[])?;
        }
        Ok(())
    }

    fn hear(self, event: Event<Response>, number: usize, round: usize) {
        if self.round.try_get_value() != Some(round) {
            return;
        }
        match event {
            Event::Response(response, _) => {
                let is_free = matches!(response, Response::Finished { .. });
                self.session.update(|session| session.receive(response));
                if is_free && let Err(message) = self.train_next(number) {
                    self.fail(message);
                }
            }
            Event::Died { defect } => self.fail(defect.unwrap_or_default()),
        }
        if !self.session.with_untracked(Session::is_active) {
            self.end_workers();
        }
    }

    /// A message is empty where the worker ran out of memory.
    fn fail(self, message: String) {
        self.session.update(|session| session.fail(message));
        self.end_workers();
    }

    fn end_workers(self) {
        self.round.update_value(|round| *round += 1);
        // Later: one of them may be the caller.
        let workers = self.workers.try_update_value(std::mem::take);
        spawn_local(async move { drop(workers) });
    }
}

/// How many workers train so many seeds on this machine: one half of what it can do at once, so that it stays quiet.
fn n_workers(seeds: usize) -> usize {
    let cores = window().navigator().hardware_concurrency() as usize;
    (cores / 2).clamp(1, MAX_WORKERS).min(seeds)
}
