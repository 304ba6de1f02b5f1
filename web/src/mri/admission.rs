//! The worker that reads files and draws heads. It is started anew when its work is done, which gives its memory back: a
//! volume needs ten times its file's bytes to be read.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use js_sys::ArrayBuffer;
use leptos::task::spawn_local;
use shared::io::Geometry;
use shared::prep::volume::Grid;

use super::crew::{Client, buffer};
use super::protocol::{Head, Kind, Refusal, Request, Response, ScanId, VolumeHead, VolumeId};
use super::scan::{Image, Scan};
use crate::worker::client::{Event, Program};
use crate::worker::protocol;

/// The pixels of the shipped networks.
pub const GRID: Grid = Grid { size: 96, pixel_mm: 2.5 };

/// A volume as it comes from the worker.
pub type Read = Result<(VolumeHead, Vec<Vec<u8>>), Refusal>;

/// What hears of a request: the volume's number, and what came of it.
type Hear = Rc<dyn Fn(VolumeId, Read)>;

/// The reading worker. A handle: copies act on the same worker.
#[derive(Clone)]
pub struct Admission(Rc<RefCell<State>>);

/// Hears of a packed mask.
type HearMask = Box<dyn FnOnce(Result<Vec<u8>, String>)>;

struct State {
    client: Option<Rc<Client>>,
    /// Volumes that are waited for, and who hears of them.
    waiting: Vec<(VolumeId, Hear)>,
    /// Masks that are waited for, in their order.
    packing: Vec<HearMask>,
    n_volumes: VolumeId,
    n_scans: ScanId,
}

impl Admission {
    /// An admission without a worker; the first request brings it.
    pub fn new() -> Self {
        let (waiting, packing) = (Vec::new(), Vec::new());
        Self(Rc::new(RefCell::new(State { client: None, waiting, packing, n_volumes: 0, n_scans: 0 })))
    }

    /// Starts the worker, so that it is there when a file comes.
    pub fn warm_up(&self) {
        let admission = self.clone();
        spawn_local(async move {
            // Without it the first file says what is wrong.
            let _ = admission.client().await;
        });
    }

    /// Numbers for some volumes: the first of them.
    pub fn numbers(&self, n: u64) -> VolumeId {
        let state = &mut *self.0.borrow_mut();
        let first = state.n_volumes + 1;
        state.n_volumes += n;
        first
    }

    /// A number for a scan.
    pub fn scan_number(&self) -> ScanId {
        let state = &mut *self.0.borrow_mut();
        state.n_scans += 1;
        state.n_scans
    }

    /// Reads a file, with its data file if it has one. `hear` is told once.
    pub fn read(
        &self,
        id: VolumeId,
        path: String,
        file: ArrayBuffer,
        data: Option<(String, ArrayBuffer)>,
        hear: impl Fn(VolumeId, Read) + 'static,
    ) {
        let (data_file, data) = data.unzip();
        let bytes = [file].into_iter().chain(data).collect();
        self.ask(Request::Read { id, path, data_file, grid: GRID }, bytes, &[id], &(Rc::new(hear) as Hear));
    }

    /// Draws a head. `hear` is told once.
    pub fn generate(&self, head: Head, hear: impl FnOnce(Result<Arc<Scan>, String>) + 'static) {
        let first = self.numbers(5);
        let ids: Vec<VolumeId> = (first..first + 5).collect();
        let scan = self.scan_number();
        let came: RefCell<(Vec<Option<Arc<Image>>>, Option<_>)> = RefCell::new((Vec::new(), Some(hear)));
        let hear_one = move |id: VolumeId, read: Read| {
            let done = {
                let (images, _) = &mut *came.borrow_mut();
                match read {
                    Ok((volume, bytes)) if volume.kind != Kind::Labels => {
                        images.push(Image::new(id, &format!("head {}", head.index), &volume, bytes).map(Arc::new));
                        None
                    }
                    Ok((_, mut bytes)) => {
                        let truth = bytes.pop().map(Arc::new);
                        let images = <[_; 4]>::try_from(std::mem::take(images)).unwrap_or_default();
                        let scan = Scan::new(scan, images, truth).map(Arc::new);
                        Some(scan.ok_or_else(|| "the worker drew no head".to_owned()))
                    }
                    Err(Refusal::Unread(words)) => Some(Err(words)),
                    Err(_) => Some(Err("the worker drew no head".to_owned())),
                }
            };
            if let Some(done) = done {
                let hear = came.borrow_mut().1.take();
                if let Some(hear) = hear {
                    hear(done);
                }
            }
        };
        self.ask(Request::Generate { first, head, grid: GRID }, Vec::new(), &ids, &(Rc::new(hear_one) as Hear));
    }

    /// Packs a mask in canonical order as the `.nii.gz` file that `cmim segment` would write.
    pub fn pack(&self, geometry: Geometry, mask: &[u8], hear: impl FnOnce(Result<Vec<u8>, String>) + 'static) {
        let admission = self.clone();
        let mask = buffer(mask);
        spawn_local(async move {
            let request = protocol::Request::Mri(Request::Pack { job: 0, geometry });
            let sent = admission.client().await.and_then(|client| client.send(&request, &[mask]));
            match sent {
                Ok(()) => admission.0.borrow_mut().packing.push(Box::new(hear)),
                Err(message) => hear(Err(message)),
            }
        });
    }

    fn ask(&self, request: Request, bytes: Vec<ArrayBuffer>, ids: &[VolumeId], hear: &Hear) {
        let waiting = ids.iter().map(|id| (*id, Rc::clone(hear)));
        self.0.borrow_mut().waiting.extend(waiting);
        let (admission, first) = (self.clone(), ids.first().copied());
        spawn_local(async move {
            let sent = admission.client().await;
            let sent = sent.and_then(|client| client.send(&protocol::Request::Mri(request), &bytes));
            if let (Err(message), Some(first)) = (sent, first) {
                admission.settle(first, Err(Refusal::Unread(message)));
            }
        });
    }

    async fn client(&self) -> Result<Rc<Client>, String> {
        let program = Program::fetch("worker").await?;
        if let Some(client) = &self.0.borrow().client {
            return Ok(Rc::clone(client));
        }
        let state = Rc::downgrade(&self.0);
        let client = Client::start(program, move |event| {
            if let Some(state) = state.upgrade() {
                Self(state).hear(event);
            }
        })?;
        self.0.borrow_mut().client = Some(Rc::clone(&client));
        Ok(client)
    }

    fn hear(&self, event: Event<protocol::Response>) {
        match event {
            Event::Response(protocol::Response::Mri(response), mut bytes) => match response {
                Response::Volume { id, volume } => self.settle(id, Ok((volume, bytes))),
                Response::Refused { id, refusal } => self.settle(id, Err(refusal)),
                Response::Packed { .. } => self.packed(bytes.pop().ok_or_else(|| "the file is empty".to_owned())),
                Response::Failed { failure, .. } => self.packed(Err(failure.message)),
                _ => {}
            },
            Event::Response(..) => {}
            Event::Died { defect } => {
                // It does one thing after the other: what it died over is the first that is waited for.
                let words = defect.unwrap_or_else(|| "out of memory".to_owned());
                let waiting = std::mem::take(&mut self.0.borrow_mut().waiting);
                for (id, hear) in waiting {
                    hear(id, Err(Refusal::Unread(words.clone())));
                }
                let packing = std::mem::take(&mut self.0.borrow_mut().packing);
                for hear in packing {
                    hear(Err(words.clone()));
                }
            }
        }
    }

    fn settle(&self, id: VolumeId, read: Read) {
        let hear = {
            let state = &mut *self.0.borrow_mut();
            let at = state.waiting.iter().position(|(other, _)| *other == id);
            at.map(|at| state.waiting.remove(at).1)
        };
        self.rest();
        if let Some(hear) = hear {
            hear(id, read);
        }
    }

    fn packed(&self, file: Result<Vec<u8>, String>) {
        let hear = {
            let packing = &mut self.0.borrow_mut().packing;
            (!packing.is_empty()).then(|| packing.remove(0))
        };
        self.rest();
        if let Some(hear) = hear {
            hear(file);
        }
    }

    /// Starts the worker anew when nothing is waited for.
    fn rest(&self) {
        let state = &mut *self.0.borrow_mut();
        if state.waiting.is_empty() && state.packing.is_empty() {
            let stopped = state.client.as_ref().map(|client| client.stop());
            if matches!(stopped, Some(Err(_))) {
                state.client = None; // the next request brings another
            }
        }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::new()
    }
}
