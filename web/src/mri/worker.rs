//! What a worker does with requests about brain MRI.

use std::cell::RefCell;
use std::rc::Rc;

use shared::infer::{Outline, PreparedScan, VolumeSegmenter};
use shared::io::Geometry;
use shared::io::nifti::write_mask;
use shared::prep::volume::Grid;
use shared::{Error, Modality, ModalitySet};
use wasm_bindgen_futures::spawn_local;

use super::protocol::{Refusal, Request, Response, ScanId};
use super::reader::{self, ReadVolume};
use crate::worker::run::{now_ms, say};
use crate::worker::{Failure, FailureKind, protocol, store};

/// The reader and segmenter of volumes in its worker.
#[derive(Clone, Default)]
pub struct Service {
    state: Rc<RefCell<State>>,
}

/// What it was given last.
#[derive(Default)]
struct State {
    model: Option<VolumeSegmenter>,
    scan: Option<(ScanId, PreparedScan)>,
}

impl Service {
    /// A service without model and scan.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does what is asked, and says what comes of it.
    pub fn receive(&self, request: Request, bytes: Vec<Vec<u8>>) {
        let start = now_ms();
        match request {
            Request::Read { id, path, data_file, grid } => {
                let mut bytes = bytes.into_iter();
                let (file, data) = (bytes.next().unwrap_or_default(), bytes.next());
                let data = data_file.as_deref().zip(data.as_deref());
                match reader::read(&path, &file, data, grid) {
                    Ok(volume) => say_volume(id, volume, start),
                    Err(refusal) => reply(Response::Refused { id, refusal }, &[]),
                }
            }
            Request::Generate { first, head, grid } => match reader::generate(head, grid) {
                Ok(volumes) => (first..).zip(volumes).for_each(|(id, volume)| say_volume(id, volume, start)),
                Err(error) => {
                    reply(Response::Refused { id: first, refusal: Refusal::Unread(error.to_string()) }, &[]);
                }
            },
            Request::Fetch { model, card_url } => spawn_local(fetch(model, card_url)),
            Request::TakeModel { model } => self.take_model(model, &bytes),
            Request::TakeScan { scan, grid, sequences } => {
                let taken = take_scan(grid, &sequences, bytes);
                // What does not fit is not taken: it is said when a slice is asked for.
                self.state.borrow_mut().scan = taken.ok().map(|taken| (scan, taken));
            }
            Request::Outline { job, scan, sequences, slice } => {
                let outlined = self.outline(scan, sequences, slice);
                finish(job, outlined.map(|mask| (Response::Slice { job, slice, ms: now_ms() - start }, mask)));
            }
            Request::Pack { job, geometry } => {
                let mask = bytes.into_iter().next().unwrap_or_default();
                finish(job, pack(&geometry, &mask).map(|file| (Response::Packed { job }, file)));
            }
        }
    }

    fn take_model(&self, model: String, bytes: &[Vec<u8>]) {
        let file = format!("{model}/model.json");
        let read = match bytes {
            [card, weights] => VolumeSegmenter::from_bytes(&file, card, weights),
            _ => Err(Error::EmptyFile { file }),
        };
        let taken = read.map_err(|error| {
            let failure = Failure::new(FailureKind::Model, &error);
            reply(Response::NoModel { model, failure }, &[]);
        });
        self.state.borrow_mut().model = taken.ok();
    }

    /// The mask of a slice.
    fn outline(&self, scan: ScanId, sequences: ModalitySet, slice: usize) -> Result<Vec<u8>, Error> {
        let absent = |what| Error::Shape { what, expected: "one".to_owned(), found: "none".to_owned() };
        let State { model, scan: taken } = &mut *self.state.borrow_mut();
        let model = model.as_mut().ok_or_else(|| absent("model of a worker"))?;
        let (_, scan) = taken.as_ref().filter(|(id, _)| *id == scan).ok_or_else(|| absent("scan of a worker"))?;
        let threshold = model.card().threshold(sequences);
        let probabilities = model.probabilities_of(scan, sequences, slice)?;
        Ok(Outline::mask_of(threshold, &probabilities))
    }
}

fn take_scan(grid: Grid, sequences: &[(Modality, Geometry)], bytes: Vec<Vec<u8>>) -> Result<PreparedScan, Error> {
    let mut volumes = [None, None, None, None];
    let mut bytes = bytes.into_iter();
    for (modality, geometry) in sequences {
        let (planes, brain) = (bytes.next().unwrap_or_default(), bytes.next().unwrap_or_default());
        volumes[modality.index()] = Some(reader::prepared(*geometry, &planes, brain));
    }
    PreparedScan::of(grid, ModalitySet::ALL, volumes)
}

/// The `.nii.gz` file of a mask in canonical order, the same that `cmim segment` writes.
fn pack(geometry: &Geometry, mask: &[u8]) -> Result<Vec<u8>, Error> {
    if mask.len() != geometry.n_voxels() {
        let (expected, found) = (geometry.n_voxels().to_string(), mask.len().to_string());
        return Err(Error::Shape { what: "voxels of a mask", expected, found });
    }
    write_mask(geometry, &geometry.orientation().from_canonical(geometry.size, mask))
}

async fn fetch(model: String, card_url: String) {
    let progress = |received, total| reply(Response::Progress { model: model.clone(), received, total }, &[]);
    match store::load_with_bytes::<VolumeSegmenter>(&card_url, progress).await {
        Ok(store::Loaded { card_json, weights, origin, .. }) => {
            reply(Response::Fetched { model, origin }, &[&card_json, &weights]);
        }
        Err(Failure { kind, message }) => {
            // The message names the card or the weights, which have one name for all models.
            let failure = Failure { kind, message: format!("{model}/{message}") };
            reply(Response::NoModel { model, failure }, &[]);
        }
    }
}

fn say_volume(id: u64, (mut volume, bytes): ReadVolume, start: f64) {
    volume.ms = now_ms() - start;
    let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    reply(Response::Volume { id, volume }, &bytes);
}

fn finish(job: u64, done: Result<(Response, Vec<u8>), Error>) {
    match done {
        Ok((response, bytes)) => reply(response, &[&bytes]),
        Err(error) => {
            reply(Response::Failed { job, failure: Failure::new(FailureKind::Model, &error) }, &[]);
        }
    }
}

fn reply(response: Response, bytes: &[&[u8]]) {
    say(&protocol::Response::Mri(response), bytes);
}
