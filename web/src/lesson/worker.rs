//! What the worker does in a lesson: makes cases, keeps networks, outlines.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use shared::infer::{Outline, PreparedScan, VolumeSegmenter};
use shared::io::{Volume, read_volume};
use shared::metric::Overlap;
use shared::phantom::brain::{self, ENHANCING};
use shared::{Error, Modality, ModalitySet};
use wasm_bindgen_futures::spawn_local;

use super::case::{Case, HEADS, REAL};
use super::method::Network;
use super::protocol::{CaseId, Request, Response, Scan};
use crate::render::volume::to_bytes;
use crate::worker::run::{now_ms, say};
use crate::worker::{Failure, FailureKind, protocol, store};

/// An opened case.
pub struct OpenCase {
    id: CaseId,
    files: [String; Modality::COUNT],
    volumes: [Option<Volume>; Modality::COUNT],
    /// In canonical order, 1 for enhancing tumour.
    truth: Option<Vec<u8>>,
    /// On the grid of the shipped networks, which is one for all; made with the first outline.
    scan: Option<PreparedScan>,
}

impl OpenCase {
    /// Generates a head, or reads the files of a real patient.
    ///
    /// # Errors
    ///
    /// Those of the reader; [`Error::Shape`] for a real case that the page does not have.
    pub fn open(id: CaseId, case: &Case, files: &[Vec<u8>]) -> Result<Self, Error> {
        match case {
            Case::Head(index) => {
                let head = brain::patient(&HEADS, *index);
                let geometry = head.sequences[0].geometry;
                let truth: Vec<u8> = head.truth.iter().map(|label| u8::from(*label == ENHANCING)).collect();
                let truth = geometry.orientation().to_canonical(geometry.size, &truth);
                let files = Modality::ALL.map(|modality| format!("{} {}", case.name(), modality.label()));
                Ok(Self { id, files, volumes: head.sequences.map(Some), truth: Some(truth), scan: None })
            }
            Case::Real(name) => {
                let real = REAL.iter().find(|real| real.name == name).ok_or_else(|| Error::Shape {
                    what: "real case",
                    expected: "one of the page's samples".to_owned(),
                    found: name.clone(),
                })?;
                let mut volumes = [const { None }; Modality::COUNT];
                for ((place, file), bytes) in volumes.iter_mut().zip(real.files).zip(files) {
                    *place = Some(read_volume(file, bytes)?);
                }
                Ok(Self { id, files: real.files.map(str::to_owned), volumes, truth: None, scan: None })
            }
        }
    }

    /// What the page needs to show it, with its voxels for the screen and its truth.
    ///
    /// # Errors
    ///
    /// If there is no volume.
    pub fn describe(&self) -> Result<(Scan, Vec<Vec<u8>>), Error> {
        let present = ModalitySet::of_present(&self.volumes)?;
        let canonical: Vec<Volume> = self.volumes.iter().flatten().map(Volume::to_canonical).collect();
        let geometry = canonical[0].geometry;
        let truth_ml = self
            .truth
            .as_ref()
            .map(|truth| truth.iter().map(|label| usize::from(*label)).sum::<usize>() as f64 * geometry.voxel_ml());
        let scan = Scan {
            size: geometry.size,
            spacing_mm: geometry.spacing_mm(),
            present: present.iter().collect(),
            truth_ml,
        };
        let shown = canonical.iter().map(|volume| to_bytes(&volume.voxels));
        Ok((scan, shown.chain(self.truth.clone()).collect()))
    }

    /// Outlines the tumour: the mask in canonical order, its volume in ml, and its Dice where the truth is known.
    ///
    /// # Errors
    ///
    /// Those of [`PreparedScan::new`] and [`PreparedScan::run`].
    pub fn outline(
        &mut self,
        network: &mut VolumeSegmenter,
        present: ModalitySet,
    ) -> Result<(Vec<u8>, f64, Option<f64>), Error> {
        let scan = if let Some(scan) = self.scan.take() {
            scan
        } else {
            let files = self.files.each_ref().map(String::as_str);
            PreparedScan::new(network.card().grid, ModalitySet::ALL, &files, &self.volumes)?
        };
        let mut outline = Outline::new(&scan, present, network.card().threshold(present));
        let run = scan.slices(present).into_iter().try_for_each(|slice| -> Result<(), Error> {
            outline.add(slice, &network.probabilities_of(&scan, present, slice)?);
            Ok(())
        });
        self.scan = Some(scan);
        run?;
        let mask = outline.canonical().to_vec();
        let dice = self.truth.as_ref().map(|truth| {
            Overlap::new(mask.iter().map(|label| *label != 0), truth.iter().map(|label| *label != 0)).dice()
        });
        Ok((mask, outline.finish().volume_ml, dice))
    }
}

/// The lesson in its worker.
#[derive(Default)]
pub struct Service {
    case: RefCell<Option<OpenCase>>,
    networks: Rc<RefCell<BTreeMap<Network, VolumeSegmenter>>>,
}

impl Service {
    /// Does what is asked, and says what comes of it.
    pub fn receive(&self, request: Request, bytes: &[Vec<u8>]) {
        match request {
            Request::Open { id, case } => {
                // The old one's memory first.
                *self.case.borrow_mut() = None;
                let opened = OpenCase::open(id, &case, bytes).and_then(|case| Ok((case.describe()?, case)));
                match opened {
                    Ok(((scan, voxels), case)) => {
                        *self.case.borrow_mut() = Some(case);
                        reply(Response::Opened { id, scan }, &voxels);
                    }
                    Err(error) => reply(Response::OpenFailed { id, message: error.to_string() }, &[]),
                }
            }
            Request::Load { network, card_url } => {
                let networks = Rc::clone(&self.networks);
                spawn_local(async move { load(&networks, network, &card_url).await });
            }
            Request::Outline { id, network, present } => {
                let failed = |network, message| Response::OutlineFailed { id, network, present, message };
                let start = now_ms();
                let (mut case, mut networks) = (self.case.borrow_mut(), self.networks.borrow_mut());
                let Some(case) = case.as_mut().filter(|case| case.id == id) else { return };
                let Some(segmenter) = networks.get_mut(&network) else {
                    return reply(failed(network.clone(), format!("{network} is not loaded")), &[]);
                };
                match case.outline(segmenter, present) {
                    Ok((mask, volume_ml, dice)) => {
                        let ms = now_ms() - start;
                        reply(Response::Outlined { id, network, present, dice, volume_ml, ms }, &[mask]);
                    }
                    Err(error) => reply(failed(network, error.to_string()), &[]),
                }
            }
        }
    }
}

async fn load(networks: &RefCell<BTreeMap<Network, VolumeSegmenter>>, network: Network, card_url: &str) {
    let progress = |received, total| reply(Response::Progress { network: network.clone(), received, total }, &[]);
    let response = match store::load::<VolumeSegmenter>(card_url, progress).await {
        Ok((loaded, _origin)) => {
            // What one scan is prepared for serves all networks only if they share the grid.
            let grid = loaded.card().grid;
            if networks.borrow().values().any(|other| other.card().grid != grid) {
                let message = format!("{network}: its grid is another than that of the lesson's other networks");
                Response::LoadFailed { network, failure: Failure::new(FailureKind::Model, &message) }
            } else {
                let card = Box::new(loaded.card().clone());
                networks.borrow_mut().insert(network.clone(), loaded);
                Response::Ready { network, card }
            }
        }
        Err(failure) => Response::LoadFailed { network, failure },
    };
    reply(response, &[]);
}

fn reply(response: Response, bytes: &[Vec<u8>]) {
    let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    say(&protocol::Response::Lesson(response), &bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_head_is_outlined_and_held_to_its_truth() {
        let path = |file: &str| format!("{}/../static/models/mri-t1c/{file}", env!("CARGO_MANIFEST_DIR"));
        let read = |file: &str| std::fs::read(path(file)).expect("shipped");
        let mut network = VolumeSegmenter::from_bytes("model.json", &read("model.json"), &read("model.safetensors"))
            .expect("a network");
        let mut case = OpenCase::open(1, &Case::default(), &[]).expect("a head");
        let (scan, voxels) = case.describe().expect("four sequences");
        assert_eq!((scan.present.len(), voxels.len()), (4, 5));
        assert!(voxels.iter().all(|bytes| bytes.len() == scan.size.iter().product::<usize>()));
        assert!(scan.truth_ml.is_some_and(|ml| ml > 0.5), "the first case of the lesson shows something: {scan:?}");
        let present = ModalitySet::one(Modality::T1c);
        let (mask, volume_ml, dice) = case.outline(&mut network, present).expect("an outline");
        assert_eq!(mask.len(), voxels[0].len());
        assert!(volume_ml > 0.0 && dice.is_some_and(|dice| dice > 0.7), "{volume_ml} ml, Dice {dice:?}");
        let again = case.outline(&mut network, present).expect("an outline");
        assert_eq!(again, (mask, volume_ml, dice));
    }
}
