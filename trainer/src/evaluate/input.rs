//! The check of the input: fitted to the training images, its limits set by validation images, measured on test images
//! and on whatever is no frontal chest x-ray.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::Modality;
use shared::infer::input_check::{InputCheck, Looked};
use shared::io::Volume;
use shared::io::card::{InputCheckCard, Refused};
use shared::io::radiograph::{Nature, Radiograph};
use shared::phantom::{BrainSource, brain};
use shared::prep::image::{Normalization, Preprocessing};

use super::Material;
use crate::data::volumes::list;
use crate::data::{ImageSource, Study, VolumeSource, union};
use crate::error::Result;

/// What a check is measured on beside the data of the training.
#[derive(Debug, Clone)]
pub enum Beside {
    /// Frontal chest x-rays of other origin.
    Images(ImageSource),
    /// Slices of MRI volumes.
    Volumes(VolumeSource),
}

/// Pictures generated of each kind.
const GENERATED: usize = 100;
/// Axial slices of a volume, evenly from a quarter to four fifths of its height.
const SLICES: usize = 6;
/// Brightest share of a volume's voxels that is white altogether.
const WHITE: f64 = 0.999;

/// Fits a check, measures it, and says so in a card.
///
/// # Errors
///
/// Whatever reading the images can bring.
pub fn input_check(material: &Material<'_>, beside: &[Beside]) -> Result<(InputCheck, InputCheckCard)> {
    let look = |indices: &[usize]| -> Result<Vec<Looked>> {
        indices.iter().map(|&i| Ok(Looked::new(&(material.square)(i)?, material.size))).collect()
    };
    let check = InputCheck::fit(look(material.train)?, &look(material.validation)?);
    let mut measured = changed(&check, material)?;
    measured.extend(generated(&check));
    for source in beside {
        measured.push(match source {
            Beside::Images(source) => images(&check, source, material.size)?,
            Beside::Volumes(source) => volumes(&check, source)?,
        });
    }
    let card = InputCheckCard {
        config: check.config(),
        data: format!(
            "fitted to the {} training images; each limit lets 99.5% of the {} validation images pass, that of the detail is \
             half the smoothest one's; colours and a DICOM file's own words are looked at before and are not measured here",
            material.train.len(),
            material.validation.len()
        ),
        measured,
    };
    Ok((check, card))
}

/// What images are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What the model expects: each one refused is a false alarm.
    ChestXray,
    /// Anything else.
    Other,
}

fn refused(
    check: &InputCheck,
    what: &str,
    kind: Kind,
    images: impl Iterator<Item = Result<Looked>>,
) -> Result<Refused> {
    let mut refused = Refused { what: what.to_owned(), is_expected: kind == Kind::ChestXray, n: 0, refused: 0 };
    for image in images {
        refused.n += 1;
        refused.refused += usize::from(!check.check(&image?, &Nature::default()).passes());
    }
    Ok(refused)
}

/// What is done to the pixels of a test image.
type Change<'a> = Box<dyn Fn(&[f32]) -> Vec<f32> + 'a>;

/// The test images as they are and changed.
fn changed(check: &InputCheck, material: &Material<'_>) -> Result<Vec<Refused>> {
    let size = material.size;
    let moved = |from: fn(usize, usize, usize) -> usize| {
        move |square: &[f32]| -> Vec<f32> {
            (0..size * size).map(|i| square[from(i % size, i / size, size - 1)]).collect()
        }
    };
    let changes: [(&str, Kind, Change<'_>); 6] = [
        ("test images", Kind::ChestXray, Box::new(<[f32]>::to_vec)),
        ("test images upside down", Kind::Other, Box::new(moved(|x, y, last| (last - y) * (last + 1) + last - x))),
        (
            "test images turned a quarter to the right",
            Kind::Other,
            Box::new(moved(|x, y, last| (last - x) * (last + 1) + y)),
        ),
        (
            "test images turned a quarter to the left",
            Kind::Other,
            Box::new(moved(|x, y, last| x * (last + 1) + last - y)),
        ),
        ("test images in negative", Kind::Other, Box::new(|square| square.iter().map(|p| 1.0 - p).collect())),
        ("test images mirrored, left for right", Kind::Other, Box::new(moved(|x, y, last| y * (last + 1) + last - x))),
    ];
    let measure = |(what, kind, change): (&str, Kind, Change<'_>)| {
        let look = |&i: &usize| Ok(Looked::new(&change(&(material.square)(i)?), size));
        refused(check, what, kind, material.test.iter().map(look))
    };
    changes.into_iter().map(measure).collect()
}

/// Pictures that anybody can make.
fn generated(check: &InputCheck) -> Vec<Refused> {
    const SIDE: usize = 64;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut picture = |kind: &str| -> Vec<f32> {
        let angle = rng.random_range(0.0..std::f32::consts::TAU);
        let waves: Vec<[f32; 4]> = (0..12)
            .map(|_| {
                [rng.random_range(-4.0..4.0), rng.random_range(-4.0..4.0), rng.random_range(0.0..6.3), rng.random()]
            })
            .collect();
        (0..SIDE * SIDE)
            .map(|i| {
                let (x, y) = ((i % SIDE) as f32 / SIDE as f32, (i / SIDE) as f32 / SIDE as f32);
                let wave = |[fx, fy, phase, strength]: &[f32; 4]| {
                    strength * (std::f32::consts::TAU * (fx * x + fy * y) + phase).cos()
                };
                match kind {
                    "noise" => rng.random(),
                    "gradients" => 0.5 + 0.35 * (angle.cos() * (x - 0.5) + angle.sin() * (y - 0.5)),
                    _ => 0.5 + 0.05 * waves.iter().map(wave).sum::<f32>(),
                }
            })
            .collect()
    };
    let mut all = Vec::new();
    for (kind, what) in [("noise", "noise"), ("gradients", "gradients"), ("waves", "blurred shapes without meaning")] {
        let pictures: Vec<Looked> = (0..GENERATED).map(|_| Looked::new(&picture(kind), SIDE)).collect();
        all.extend(refused(check, what, Kind::Other, pictures.into_iter().map(Ok)));
    }
    let source = BrainSource { n: GENERATED / 4, size: 64, slices: 2, ..BrainSource::default() };
    let slices =
        (0..source.n).flat_map(|index| brain::patient(&source, index).sequences).map(|volume| Ok(slice(&volume, 0)));
    all.extend(refused(check, "axial slices of generated heads, MRI", Kind::Other, slices));
    all
}

fn images(check: &InputCheck, source: &ImageSource, size: usize) -> Result<Refused> {
    let studies = union(std::slice::from_ref(source))?.studies;
    let prep = Preprocessing { size, channels: 1, normalization: Normalization::PerImage };
    let look = |study: &Study| Ok(Looked::new(&prep.square(&study.radiograph(size)?), size));
    let what = format!("frontal chest x-rays of other origin: {}", source.what());
    refused(check, &what, Kind::ChestXray, studies.iter().map(look))
}

fn volumes(check: &InputCheck, source: &VolumeSource) -> Result<Refused> {
    let mut slices = Vec::new();
    for entry in list(std::slice::from_ref(source))?.entries {
        let scan = entry.read()?;
        for volume in Modality::ALL.iter().filter_map(|modality| scan.sequences[modality.index()].as_ref()) {
            let n = volume.geometry.size[2];
            slices.extend((0..SLICES).map(|i| slice(volume, n / 4 + i * (n * 4 / 5 - n / 4) / SLICES)));
        }
    }
    refused(check, &format!("axial slices of brains, MRI, {}", source.what()), Kind::Other, slices.into_iter().map(Ok))
}

/// An axial slice, front upwards, in the shades of its volume.
fn slice(volume: &Volume, z: usize) -> Looked {
    let [width, height, _] = volume.geometry.size;
    let mut sorted = volume.voxels.clone();
    sorted.sort_by(f32::total_cmp);
    let (black, white) = (sorted[0], sorted[((sorted.len() - 1) as f64 * WHITE) as usize]);
    let pixels = volume.voxels[z * width * height..][..width * height].chunks_exact(width).rev();
    let grey = |v: &f32| ((v - black) / (white - black).max(f32::EPSILON)).clamp(0.0, 1.0);
    let image = Radiograph {
        width,
        height,
        pixels: pixels.flatten().map(grey).collect(),
        source: "slice".to_owned(),
        nature: Nature::default(),
    };
    let prep = Preprocessing { size: 64, channels: 1, normalization: Normalization::PerImage };
    Looked::new(&prep.square(&image), 64)
}
