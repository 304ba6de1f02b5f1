//! Outlines of volumes with odd axes, and what cannot be outlined.

use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::io::card::{CARD_VERSION, Training, WeightsFile};
use crate::io::segmenter_card::SubsetCard;
use crate::io::weights::sha256_hex;
use crate::io::weights::{Encoding, NamedTensor};
use crate::model::hemis::HemisConfig;
use crate::model::segmenter::SegmenterConfig;
use crate::prep::volume::Grid;

const FILES: [&str; 4] = ["flair.nii", "t1.nii", "t1c.nii", "t2.nii"];

fn set(text: &str) -> ModalitySet {
    text.parse().expect("a set")
}

/// A HeMIS that passes on what it sees where it is bright: of kernels that look at their own pixel alone.
fn tensors() -> std::collections::BTreeMap<String, NamedTensor> {
    let mut tensors = std::collections::BTreeMap::new();
    let mut conv = |name: String, [c_out, c_in, k]: [usize; 3], value: &dyn Fn(usize, usize) -> f32, bias: &[f32]| {
        let middle = k / 2 * k + k / 2;
        let at = |i: usize| if i % (k * k) == middle { value(i / (k * k * c_in), i / (k * k) % c_in) } else { 0.0 };
        let data = (0..c_out * c_in * k * k).map(at).collect();
        tensors.insert(format!("{name}.weight"), NamedTensor { shape: vec![c_out, c_in, k, k], data });
        tensors.insert(format!("{name}.bias"), NamedTensor { shape: vec![c_out], data: bias.to_vec() });
    };
    for name in Modality::ALL.map(Modality::name) {
        conv(format!("encoder.{name}.conv1"), [1, 1, 3], &|_, _| 1.0, &[0.0]);
        conv(format!("encoder.{name}.conv2"), [1, 1, 3], &|_, _| 1.0, &[0.0]);
    }
    conv("fuse".to_owned(), [1, 2, 3], &|_, c_in| if c_in == 0 { 1.0 } else { 0.0 }, &[0.0]);
    conv("head".to_owned(), [2, 1, 1], &|c_out, _| if c_out == 1 { 8.0 } else { 0.0 }, &[8.0, 0.0]);
    tensors
}

fn config() -> SegmenterConfig {
    SegmenterConfig::Hemis(HemisConfig { n_classes: 2, width: 1, fuse_width: 1, kernel: 3, head_kernel: 1 })
}

fn card(weights: &[u8]) -> SegmenterCard {
    let subset = |present, threshold| SubsetCard { present, threshold, dice: None, dice_at_half: None, n: 1 };
    SegmenterCard {
        version: CARD_VERSION,
        name: "bright".to_owned(),
        architecture: config(),
        grid: Grid { size: 32, pixel_mm: 1.0 },
        subsets: vec![subset(set("flair"), 0.5), subset(set("flair+t2"), 1e-4)],
        elsewhere: Vec::new(),
        evaluation: String::new(),
        training: Training {
            commands: Vec::new(),
            method: String::new(),
            data: Vec::new(),
            seed: 0,
            epochs: 0,
            trainer: String::new(),
        },
        weights: WeightsFile {
            file: "w.safetensors".to_owned(),
            bytes: weights.len() as u64,
            sha256: sha256_hex(weights),
            encoding: Encoding::F32,
        },
    }
}

fn weights() -> Vec<u8> {
    Weights::new("w", tensors()).expect("finite").to_safetensors(Encoding::F32).expect("serialises")
}

fn segmenter() -> VolumeSegmenter {
    let weights = weights();
    let card = card(&weights).to_json().expect("json");
    VolumeSegmenter::from_bytes("model.json", card.as_bytes(), &weights).expect("a model")
}

/// A head of 12 x 14 x 8 voxels, in canonical order, with a bright cube; slices 0 and 7 are empty.
fn head() -> Volume {
    let size = [12, 14, 8];
    let mut world_from_voxel = [[0.0; 4]; 3];
    for (axis, row) in world_from_voxel.iter_mut().enumerate() {
        row[axis] = [1.0, 1.0, 3.0][axis];
        row[3] = [-7.0, 20.0, 3.5][axis];
    }
    let voxel = |at: usize| {
        let [x, y, z] = [at % 12, at / 12 % 14, at / 168];
        let is_brain = (1..11).contains(&x) && (1..13).contains(&y) && (1..7).contains(&z);
        let is_bright = (2..5).contains(&x) && (3..7).contains(&y) && (2..4).contains(&z);
        if is_bright { 1000.0 } else { f32::from(u8::from(is_brain)) * (100 + at % 7) as f32 }
    };
    Volume::new(Geometry { size, world_from_voxel }, (0..12 * 14 * 8).map(voxel).collect()).expect("a volume")
}

/// The same voxels in another order: `axes[file axis]` is the world's axis, and whether it runs backwards.
fn reordered(volume: &Volume, axes: [(usize, bool); 3]) -> Volume {
    let of = volume.geometry;
    let mut geometry = Geometry { size: axes.map(|(world, _)| of.size[world]), ..of };
    for (row, from) in geometry.world_from_voxel.iter_mut().zip(&of.world_from_voxel) {
        row[3] = from[3];
        for (axis, (world, is_backward)) in axes.into_iter().enumerate() {
            row[axis] = if is_backward { -from[world] } else { from[world] };
            row[3] += if is_backward { from[world] * (of.size[world] as f64 - 1.0) } else { 0.0 };
        }
    }
    let voxels = geometry.orientation().from_canonical(geometry.size, &volume.voxels);
    Volume::new(geometry, voxels).expect("a volume")
}

fn flair(volume: Volume) -> [Option<Volume>; 4] {
    [Some(volume), None, None, None]
}

fn all(_: usize, _: usize) -> Flow {
    Flow::Continue
}

#[test]
fn the_bright_cube_is_outlined_where_it_is() {
    let head = head();
    let mut seen = Vec::new();
    let mut progress = |done: usize, of: usize| {
        seen.push((done, of));
        Flow::Continue
    };
    let found = segmenter().segment(&FILES, &flair(head.clone()), &mut progress).expect("runs");
    let bright: Vec<u8> = head.voxels.iter().map(|value| u8::from(*value == 1000.0)).collect();
    // The pool of HeMIS lets a bright pixel spread by one to the left and the back.
    let missed = bright.iter().zip(&found.mask).filter(|(bright, label)| **bright == 1 && **label == 0).count();
    assert_eq!(missed, 0);
    assert!(found.n_voxels >= 24 && found.n_voxels <= 2 * 4 * 5, "{}", found.n_voxels);
    assert!((found.volume_ml - 0.003 * found.n_voxels as f64).abs() < 1e-12);
    assert_eq!(found.slices, [1, 2, 3, 4, 5, 6]);
    assert!(found.is_complete && found.geometry == head.geometry);
    assert_eq!(seen, (1..=6).map(|done| (done, 6)).collect::<Vec<_>>());
}

#[test]
fn what_is_stopped_has_the_slices_so_far() {
    let mut progress = |done, _| if done == 2 { Flow::Stop } else { Flow::Continue };
    let found = segmenter().segment(&FILES, &flair(head()), &mut progress).expect("runs");
    assert_eq!((found.slices.as_slice(), found.is_complete), (&[1, 2][..], false));
}

#[test]
fn slices_may_be_run_in_any_order() {
    let mut segmenter = segmenter();
    let volumes = flair(head());
    let whole = segmenter.segment(&FILES, &volumes, &mut all).expect("runs");
    let scan = segmenter.prepare(&FILES, &volumes).expect("a scan");
    let mut outline = segmenter.outline(&scan);
    for slice in [4, 1, 6, 2, 3, 5, 4] {
        outline.add(slice, &segmenter.probabilities(&scan, slice).expect("runs"));
    }
    assert_eq!(outline.finish(), whole);
    assert!(segmenter.probabilities(&scan, 8).is_err());
}

#[test]
fn the_threshold_is_that_of_what_is_there_and_only_brain_is_marked() {
    let mut segmenter = segmenter();
    let volumes = [Some(head()), None, None, Some(head())];
    let loose = segmenter.segment(&FILES, &volumes, &mut all).expect("runs");
    let scan = segmenter.prepare(&FILES, &volumes).expect("a scan");
    let mut outline = Outline::new(&scan, scan.present(), 0.0);
    for slice in scan.slices(scan.present()) {
        outline.add(slice, &segmenter.probabilities(&scan, slice).expect("runs"));
    }
    let brain: Vec<u8> = head().voxels.iter().map(|value| u8::from(*value != 0.0)).collect();
    assert_eq!(outline.canonical(), brain);
    assert_eq!(loose.mask, brain);
}

#[test]
fn what_cannot_be_outlined_is_an_error() {
    let mut segmenter = segmenter();
    let mut segment = |volumes: &[Option<Volume>; 4]| {
        segmenter.segment(&FILES, volumes, &mut all).expect_err("cannot be outlined").to_string()
    };
    assert!(segment(&[None, None, None, None]).contains("at least one sequence"));
    let short = Geometry { size: [12, 14, 7], ..head().geometry };
    let short = Volume::new(short, head().voxels[..12 * 14 * 7].to_vec()).expect("a volume");
    let said = segment(&[None, Some(head()), None, Some(short)]);
    assert!(said.contains("t1.nii has 12 x 14 x 8") && said.contains("t2.nii has 12 x 14 x 7"), "{said}");
    let turned = reordered(&head(), [(1, false), (0, false), (2, false)]);
    let same = Geometry { size: turned.geometry.size, ..head().geometry };
    let same = Volume::new(same, turned.voxels.clone()).expect("a volume");
    let said = segment(&[Some(turned), Some(same), None, None]);
    assert!(said.contains("14 x 12 x 8 ARS") && said.contains("14 x 12 x 8 RAS"), "{said}");
    let blank = Volume::new(head().geometry, vec![0.0; head().voxels.len()]).expect("a volume");
    let said = segment(&[Some(head()), None, Some(blank), None]);
    assert!(said.contains("t1c.nii") && said.contains("no brain"), "{said}");
}

#[test]
fn a_model_for_another_sequence_says_which_it_needs() {
    let needs = SegmenterConfig::Unet { inputs: set("flair"), widths: vec![1, 1] };
    let said = needs.require(Some(set("t1c"))).expect_err("needs FLAIR").to_string();
    assert!(said.contains("needs FLAIR") && said.contains("T1c is given"), "{said}");
}

#[test]
fn card_and_weights_belong_together() {
    let weights = weights();
    let card = card(&weights).to_json().expect("json");
    let mut changed = weights.clone();
    *changed.last_mut().expect("not empty") ^= 1;
    let result = VolumeSegmenter::from_bytes("model.json", card.as_bytes(), &changed).map(|_| ());
    assert!(matches!(result, Err(Error::WeightsHash { file, .. }) if file == "w.safetensors"));
    let result = VolumeSegmenter::from_bytes("model.json", b"{}", &weights).map(|_| ());
    assert!(matches!(result, Err(Error::Card { file, .. }) if file == "model.json"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The mask lies where the mask of the same head in canonical order lies, in the file's own order.
    #[test]
    fn the_order_of_a_file_does_not_matter(order in 0usize..6, signs in 0u8..8) {
        let permutations = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let axes = [0, 1, 2].map(|axis| (permutations[order][axis], signs >> axis & 1 == 1));
        let head = head();
        let file = reordered(&head, axes);
        let mut segmenter = segmenter();
        let canonical = segmenter.segment(&FILES, &flair(head), &mut all).expect("runs");
        let found = segmenter.segment(&FILES, &flair(file.clone()), &mut all).expect("runs");
        prop_assert_eq!(found.geometry, file.geometry);
        let back = file.geometry.orientation().to_canonical(file.geometry.size, &found.mask);
        prop_assert_eq!(back, canonical.mask);
        prop_assert!((found.volume_ml - canonical.volume_ml).abs() < 1e-12);
        prop_assert_eq!(found.slices, canonical.slices);
    }
}
