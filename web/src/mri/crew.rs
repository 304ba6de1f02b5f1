//! Several workers that outline a scan together: each slice goes to whichever is free.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use js_sys::{ArrayBuffer, Uint8Array};
use leptos::prelude::window;
use leptos::task::spawn_local;
use shared::prep::volume::Grid;
use shared::{Modality, ModalitySet};

use super::protocol::{JobId, Request, Response, ScanId};
use super::queue::{Progress, Queue};
use super::scan::Scan;
use crate::browser::card_url;
use crate::worker::client::{self, Event, Program};
use crate::worker::protocol::{self, Origin};
use crate::worker::{Failure, FailureKind};

pub(super) type Client = client::Client<protocol::Request, protocol::Response>;

/// Most workers; more cores than these are better left to the page.
const MAX_WORKERS: usize = 4;

/// How often workers may die in one job before it is given up.
const MAX_DEATHS: usize = 3;

/// Hears how a job goes.
type Hearer = Rc<RefCell<dyn FnMut(News)>>;

/// An outline to be made.
#[derive(Clone)]
pub struct Job {
    /// Of what.
    pub scan: Arc<Scan>,
    /// Pixels that the scan was read for.
    pub grid: Grid,
    /// Name of the model: one of [`SHIPPED`](super::models::SHIPPED), or one that was [given](Crew::give_model).
    pub model: String,
    /// What the model is given: of what it is known to use, as [`Entry::used`](super::models::Entry::used) says.
    pub sequences: ModalitySet,
    /// The slice that is outlined first.
    pub shown: usize,
}

/// What is heard of a job.
#[derive(Debug)]
pub enum News {
    /// So much of the model's weights is there.
    Fetching {
        /// Bytes received.
        received: u64,
        /// Bytes there will be.
        total: u64,
    },
    /// The model is there; this is where its weights came from.
    Fetched(Origin),
    /// A slice is outlined; the last one when [`Progress::is_done`].
    Slice {
        /// Which.
        slice: usize,
        /// `[H, W]` in canonical order, 1 for tumour.
        mask: Vec<u8>,
        /// How far the job is.
        progress: Progress,
    },
    /// The job ended before it was done.
    Failed(Failure),
}

/// The workers. A handle: copies act on the same crew. It does one job at a time.
#[derive(Clone)]
pub struct Crew(Rc<RefCell<State>>);

struct State {
    workers: Vec<Worker>,
    models: BTreeMap<String, Rc<ModelBytes>>,
    job: Option<Running>,
    n_jobs: JobId,
}

struct Worker {
    client: Rc<Client>,
    /// The model and the scan that it has.
    model: Option<String>,
    scan: Option<(ScanId, Grid)>,
    /// The slice it is at.
    slice: Option<usize>,
}

struct ModelBytes {
    card_json: Vec<u8>,
    weights: Vec<u8>,
}

struct Running {
    id: JobId,
    job: Job,
    queue: Queue,
    done: usize,
    of: usize,
    start_ms: f64,
    n_deaths: usize,
    hear: Hearer,
}

impl Running {
    fn progress(&self) -> Progress {
        Progress { done: self.done, of: self.of, elapsed_ms: now_ms() - self.start_ms }
    }
}

impl Crew {
    /// A crew without workers; the first job brings them.
    pub fn new() -> Self {
        Self(Rc::new(RefCell::new(State { workers: Vec::new(), models: BTreeMap::new(), job: None, n_jobs: 0 })))
    }

    /// Takes a model's files under a name of its own.
    pub fn give_model(&self, name: &str, card_json: Vec<u8>, weights: Vec<u8>) {
        let mut state = self.0.borrow_mut();
        state.models.insert(name.to_owned(), Rc::new(ModelBytes { card_json, weights }));
        for worker in &mut state.workers {
            // One of the same name may be another one now.
            if worker.model.as_deref() == Some(name) {
                worker.model = None;
            }
        }
    }

    /// Outlines a scan in place of whatever was going on, and tells how it goes. A worker that is at a slice of the other
    /// job ends that first.
    pub fn outline(&self, job: Job, hear: impl FnMut(News) + 'static) {
        let slices = job.scan.slices(job.sequences);
        let id = {
            let state = &mut *self.0.borrow_mut();
            state.n_jobs += 1;
            let (of, queue) = (slices.len(), Queue::new(slices, job.shown));
            let hear: Hearer = Rc::new(RefCell::new(hear));
            let (id, start_ms) = (state.n_jobs, now_ms());
            state.job = Some(Running { id, job, queue, done: 0, of, start_ms, n_deaths: 0, hear });
            id
        };
        let crew = self.clone();
        spawn_local(async move {
            match crew.start_workers().await {
                Ok(()) => crew.begin(id),
                Err(message) => crew.fail(id, Failure::new(FailureKind::Network, &message)),
            }
        });
    }

    /// From now on the slices around this one come first.
    pub fn prefer(&self, slice: usize) {
        if let Some(running) = &mut self.0.borrow_mut().job {
            running.queue.prefer(slice);
        }
    }

    /// Ends the job, if there is one: workers that are at it are ended and their memory is given back.
    pub fn cancel(&self) {
        let state = &mut *self.0.borrow_mut();
        if state.job.take().is_none() {
            return;
        }
        for worker in &mut state.workers {
            if worker.slice.take().is_some() {
                // A worker that cannot be started again is missed by the next job, which says so.
                let _ = worker.client.stop();
                (worker.model, worker.scan) = (None, None);
            }
        }
    }

    /// Ends all workers and gives their memory back; the next job brings new ones.
    pub fn dismiss(&self) {
        self.cancel();
        self.0.borrow_mut().workers.clear();
    }

    async fn start_workers(&self) -> Result<(), String> {
        let program = Program::fetch("worker").await?;
        let cores = window().navigator().hardware_concurrency() as usize;
        let n = cores.clamp(1, MAX_WORKERS);
        while self.0.borrow().workers.len() < n {
            let (crew, number) = (Rc::downgrade(&self.0), self.0.borrow().workers.len());
            let client = Client::start(Rc::clone(&program), move |event| {
                if let Some(state) = crew.upgrade() {
                    Self(state).hear(number, event);
                }
            })?;
            self.0.borrow_mut().workers.push(Worker { client, model: None, scan: None, slice: None });
        }
        Ok(())
    }

    /// Has the model fetched, if it is not here yet, and the work begun.
    fn begin(&self, id: JobId) {
        let fetched = {
            let state = &*self.0.borrow();
            let Some(running) = state.job.as_ref().filter(|running| running.id == id) else { return };
            if state.models.contains_key(&running.job.model) {
                None
            } else {
                let model = running.job.model.clone();
                Some(card_url(&model).and_then(|card_url| {
                    let first = state.workers.first().ok_or("there is no worker")?;
                    first.client.send(&protocol::Request::Mri(Request::Fetch { model, card_url }), &[])
                }))
            }
        };
        match fetched {
            None => self.hand_out(),
            Some(Ok(())) => {}
            Some(Err(message)) => self.fail(id, Failure::new(FailureKind::Network, &message)),
        }
    }

    /// Gives every free worker what it needs and a slice.
    fn hand_out(&self) {
        let mut failure = None;
        {
            let state = &mut *self.0.borrow_mut();
            let Some(running) = &mut state.job else { return };
            let Some(model) = state.models.get(&running.job.model).cloned() else { return };
            for worker in state.workers.iter_mut().filter(|worker| worker.slice.is_none()) {
                let Some(slice) = running.queue.take() else { break };
                worker.slice = Some(slice);
                if let Err(message) = worker.send(running, &model, slice) {
                    failure = Some((running.id, Failure::new(FailureKind::Model, &message)));
                    break;
                }
            }
        }
        if let Some((id, failure)) = failure {
            self.fail(id, failure);
        }
    }

    fn hear(&self, number: usize, event: Event<protocol::Response>) {
        match event {
            Event::Response(protocol::Response::Mri(response), bytes) => self.take(number, response, bytes),
            Event::Response(..) => {}
            Event::Died { defect } => self.died(number, defect),
        }
    }

    fn take(&self, number: usize, response: Response, mut bytes: Vec<Vec<u8>>) {
        match response {
            Response::Progress { model, received, total } => {
                if let Some(id) = self.waits_for(&model) {
                    self.tell(id, News::Fetching { received, total });
                }
            }
            Response::Fetched { model, origin } => {
                let [card_json, weights] = <[Vec<u8>; 2]>::try_from(bytes).unwrap_or_default();
                let waits = self.waits_for(&model);
                self.0.borrow_mut().models.insert(model, Rc::new(ModelBytes { card_json, weights }));
                if let Some(id) = waits {
                    self.tell(id, News::Fetched(origin));
                    self.hand_out();
                }
            }
            Response::NoModel { model, failure } => {
                if let Some(id) = self.waits_for(&model) {
                    self.fail(id, failure);
                }
            }
            Response::Slice { job, slice, .. } => {
                let progress = {
                    let state = &mut *self.0.borrow_mut();
                    if let Some(worker) = state.workers.get_mut(number) {
                        worker.slice = None;
                    }
                    state.job.as_mut().filter(|running| running.id == job).map(|running| {
                        running.done += 1;
                        running.progress()
                    })
                };
                // Of another job: this worker is free for the present one.
                let Some(progress) = progress else { return self.hand_out() };
                let mask = if bytes.is_empty() { Vec::new() } else { bytes.swap_remove(0) };
                self.hand_out();
                let hear = self.hearer(job);
                if progress.is_done() {
                    self.0.borrow_mut().job = None;
                }
                if let Some(hear) = hear {
                    (hear.borrow_mut())(News::Slice { slice, mask, progress });
                }
            }
            Response::Failed { job, failure } => {
                if let Some(worker) = self.0.borrow_mut().workers.get_mut(number) {
                    worker.slice = None;
                }
                self.fail(job, failure);
                self.hand_out();
            }
            Response::Volume { .. } | Response::Refused { .. } | Response::Packed { .. } => {}
        }
    }

    fn died(&self, number: usize, defect: Option<String>) {
        let failure = {
            let state = &mut *self.0.borrow_mut();
            let Some(worker) = state.workers.get_mut(number) else { return };
            (worker.model, worker.scan) = (None, None);
            let Some(running) = &mut state.job else { return };
            running.n_deaths += 1;
            if let Some(slice) = worker.slice.take() {
                running.queue.give_back(slice);
            }
            let words = defect.unwrap_or_else(|| "a worker ran out of memory".to_owned());
            (running.n_deaths > MAX_DEATHS).then(|| (running.id, Failure::new(FailureKind::Model, &words)))
        };
        if let Some((id, failure)) = failure {
            return self.fail(id, failure);
        }
        // The one that fetched the model may have died over it: `begin` asks again.
        let id = self.0.borrow().job.as_ref().map(|running| running.id);
        if let Some(id) = id {
            self.begin(id);
        }
    }

    /// The job whose model this is.
    fn waits_for(&self, model: &str) -> Option<JobId> {
        let state = self.0.borrow();
        state.job.as_ref().filter(|running| running.job.model == model).map(|running| running.id)
    }

    fn hearer(&self, job: JobId) -> Option<Hearer> {
        let state = self.0.borrow();
        state.job.as_ref().filter(|running| running.id == job).map(|running| Rc::clone(&running.hear))
    }

    fn tell(&self, job: JobId, news: News) {
        if let Some(hear) = self.hearer(job) {
            (hear.borrow_mut())(news);
        }
    }

    fn fail(&self, job: JobId, failure: Failure) {
        if let Some(hear) = self.hearer(job) {
            self.cancel();
            (hear.borrow_mut())(News::Failed(failure));
        }
    }
}

impl Default for Crew {
    fn default() -> Self {
        Self::new()
    }
}

impl Worker {
    /// Sends what the worker lacks of model and scan, then a slice.
    fn send(&mut self, running: &Running, model: &ModelBytes, slice: usize) -> Result<(), String> {
        let Job { scan, grid, model: name, sequences, .. } = &running.job;
        let send = |request: Request, bytes: &[ArrayBuffer]| self.client.send(&protocol::Request::Mri(request), bytes);
        if self.model.as_ref() != Some(name) {
            send(Request::TakeModel { model: name.clone() }, &[buffer(&model.card_json), buffer(&model.weights)])?;
            self.model = Some(name.clone());
        }
        if self.scan != Some((scan.id, *grid)) {
            let there =
                || Modality::ALL.into_iter().zip(&scan.images).filter_map(|(m, image)| Some((m, image.as_ref()?)));
            let bytes: Vec<ArrayBuffer> =
                there().flat_map(|(_, image)| [buffer(&image.planes), buffer(&image.brain)]).collect();
            let sequences = there().map(|(modality, image)| (modality, image.geometry)).collect();
            send(Request::TakeScan { scan: scan.id, grid: *grid, sequences }, &bytes)?;
            self.scan = Some((scan.id, *grid));
        }
        send(Request::Outline { job: running.id, scan: scan.id, sequences: *sequences, slice }, &[])
    }
}

/// A copy that can be given away.
pub(super) fn buffer(bytes: &[u8]) -> ArrayBuffer {
    Uint8Array::from(bytes).buffer()
}

fn now_ms() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}
