//! The program on MRI: train, evaluate, outline, and what it says of bad input.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value;
use shared::io::metaimage::{Compression, write_metaimage};
use shared::io::nifti::{read_nifti, write_nifti};
use shared::io::{Geometry, Volume, read_volume};
use shared::phantom::{BrainSource, brain};
use shared::{Modality, ModalitySet};
use trainer::data::VolumeSource;

use super::{refused, succeeds, text};

/// A network and heads so small that an epoch takes a second.
pub(super) const TINY: &str = r#"
task = "segmentation"
name = "tiny"
method = "unet"
modality = "flair"
seed = 3
grid = { size = 16, pixel_mm = 12.0 }
widths = [4, 6]
hemis = { n_classes = 2, width = 4, fuse_width = 3, kernel = 3, head_kernel = 3 }

[data]
volumes = ["phantom:brain?n=10&seed=1&size=16&slices=3&difficulty=0"]

[training]
batch_size = 8
learning_rate = 1e-2
max_epochs = 2
patience = 9
average_decay = 0.9
max_positive_weight = 1.0
"#;

/// The generated heads of the configuration.
const HEADS: BrainSource = BrainSource { n: 10, seed: 1, size: 16, slices: 3, difficulty: 0, lacking: 0 };

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&succeeds(args)).unwrap()
}

pub(super) fn trained(dir: &Path, name: &str, replace: &[[&str; 2]]) -> PathBuf {
    let (config, out) = (dir.join(format!("{name}.toml")), dir.join(name));
    let mut tiny = TINY.to_owned();
    for [from, to] in replace {
        assert!(tiny.contains(from), "{from}");
        tiny = tiny.replace(from, to);
    }
    std::fs::write(&config, tiny).unwrap();
    succeeds(&["train", text(&config), "--out", text(&out)]);
    out
}

/// Two models that several tests read: a U-Net for FLAIR, and HeMIS.
pub(super) struct Models {
    pub(super) flair: PathBuf,
    pub(super) hemis: PathBuf,
}

pub(super) static MODELS: LazyLock<Models> = LazyLock::new(|| {
    // A static is never dropped, so that a temporary folder would stay.
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("segmentation");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    std::fs::create_dir_all(&dir).unwrap();
    let flair = trained(&dir, "flair", &[]);
    let hemis = [
        ["method = \"unet\"", "method = \"hemis\""],
        ["modality = \"flair\"", ""],
        ["max_epochs = 2", "max_epochs = 1"],
    ];
    let hemis = trained(&dir, "hemis", &hemis);
    Models { flair, hemis }
});

/// A sequence of a generated head.
fn head(index: usize, modality: Modality) -> Volume {
    brain::patient(&HEADS, index).sequences[modality.index()].clone()
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
    Volume::new(geometry, voxels).unwrap()
}

fn write(dir: &Path, name: &str, volume: &Volume) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, write_nifti(volume).unwrap()).unwrap();
    path
}

/// The mask that a model gives of a file.
fn outlined(model: &Path, input: &Path, output: &Path) -> (Value, Volume) {
    let (input, output) = (text(input), text(output));
    let model = text(model);
    let answer =
        json(&["segment", "--modality", "flair", "--input", input, "--model", model, "--output", output, "--json"]);
    (answer, read_volume(output, &std::fs::read(output).unwrap()).unwrap())
}

#[test]
fn a_trained_segmenter_is_measured_and_outlines() {
    let dir = tempfile::tempdir().unwrap();
    let model = &MODELS.flair;
    for name in ["model.safetensors", "model.json", "metrics.jsonl", "split.csv"] {
        assert!(model.join(name).is_file(), "{name}");
    }
    let data = VolumeSource::Phantom(HEADS).to_string();
    let eval = ["eval", "--data", &data, "--model", text(model), "--part", "test"];
    let report = json(&[&eval[..], &["--modality", "flair", "--each", "--json"]].concat());
    assert_eq!(report["n"], 2);
    assert!(report["rule"].as_str().unwrap().contains("both empty"));
    let subset = &report["subsets"][0];
    assert_eq!((&subset["present"], &subset["n"]), (&serde_json::json!(["flair"]), &Value::from(2)));
    let scans = subset["scans"].as_array().unwrap();
    let mean = scans.iter().map(|scan| scan["dice"].as_f64().unwrap()).sum::<f64>() / 2.0;
    assert!((subset["dice"]["value"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!(subset["volume_error_ml"]["mean_absolute"].is_number());
    let said = succeeds(&eval);
    assert!(said.contains("FLAIR") && said.contains("Dice") && said.contains("both empty"), "{said}");
    assert!(json(&[&eval[..], &["--json"]].concat())["subsets"][0]["scans"].is_null());

    // The outline of a scan is the one that was measured.
    let index: usize = scans[0]["scan"].as_str().unwrap().rsplit_once('-').unwrap().1.parse().unwrap();
    let volume = head(index, Modality::Flair);
    let (answer, mask) = outlined(model, &write(dir.path(), "a.nii.gz", &volume), &dir.path().join("mask.nii.gz"));
    let ml = answer["volume_ml"].as_f64().unwrap();
    assert!((ml - scans[0]["outlined_ml"].as_f64().unwrap()).abs() < 1e-6, "{answer} {}", scans[0]);
    let n_voxels = mask.voxels.iter().filter(|label| **label == 1.0).count();
    assert_eq!(answer["n_voxels"], n_voxels);
    assert!(n_voxels > 0, "a test of an empty mask");
    assert!((ml - n_voxels as f64 * volume.geometry.voxel_ml()).abs() < 1e-6);
    assert!(answer["expected"][0]["dice"]["value"].is_number());

    // A file of another format gives the same mask in a file of another format.
    let input = dir.path().join("a.mha");
    std::fs::write(&input, write_metaimage(&volume, Compression::Zlib).unwrap()).unwrap();
    let (_, metaimage) = outlined(model, &input, &dir.path().join("mask.mha"));
    assert_eq!(metaimage.voxels, mask.voxels);
    assert!(std::fs::read(dir.path().join("mask.mha")).unwrap().starts_with(b"ObjectType"));
}

#[test]
fn every_set_of_sequences_is_measured_where_a_model_takes_any() {
    let dir = tempfile::tempdir().unwrap();
    let data = VolumeSource::Phantom(BrainSource { n: 6, seed: 5, lacking: 30, ..HEADS });
    let report = json(&["eval", "--data", &data.to_string(), "--model", text(&MODELS.hemis), "--json"]);
    let sets: Vec<ModalitySet> = report["subsets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| serde_json::from_value(s["present"].clone()).unwrap())
        .collect();
    let VolumeSource::Phantom(source) = data else { unreachable!("made above") };
    let there: Vec<ModalitySet> = (0..6).map(|index| brain::present(&source, index)).collect();
    let expected = ModalitySet::all().into_iter().filter(|set| there.iter().any(|scan| scan.contains_all(*set)));
    assert_eq!(sets, expected.collect::<Vec<_>>());
    for (set, subset) in sets.iter().zip(report["subsets"].as_array().unwrap()) {
        assert_eq!(subset["n"], there.iter().filter(|scan| scan.contains_all(*set)).count());
    }
    let files = [Modality::T1c, Modality::T2]
        .map(|modality| write(dir.path(), &format!("{}.nii.gz", modality.name()), &head(0, modality)));
    let output = dir.path().join("mask.nii.gz");
    let said = succeeds(&[
        "segment",
        "--modality",
        "t2",
        "--input",
        text(&files[1]),
        "--modality",
        "t1c",
        "--input",
        text(&files[0]),
        "--model",
        text(&MODELS.hemis),
        "--output",
        text(&output),
    ]);
    assert!(said.contains("T1c + T2") && said.contains("ml of enhancing tumour"), "{said}");
}

/// The networks that the project ships, on heads that none of them has seen.
#[test]
fn shipped_segmenters_do_as_their_cards_say() {
    const MAX_BYTES: u64 = 8_000_000;
    // Of 8 heads: twice the standard error of their mean, which is about an eighth.
    const TOLERANCE: f64 = 0.25;
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../static/models");
    for name in ["flair", "t1", "t1c", "t2", "hemis", "mean", "mlp"] {
        let model = models.join(format!("mri-{name}"));
        assert!(std::fs::metadata(model.join("model.safetensors")).unwrap().len() <= MAX_BYTES, "{name}");
        let card: Value = serde_json::from_slice(&std::fs::read(model.join("model.json")).unwrap()).unwrap();
        let n_subsets = card["subsets"].as_array().unwrap().len();
        assert_eq!(n_subsets, if name.parse::<Modality>().is_ok() { 1 } else { 15 }, "{name}");
        let given: &[&str] = if n_subsets == 1 { &[name] } else { &["t1c", "flair+t1+t1c+t2"] };
        for sequences in given {
            let heads = "phantom:brain?n=8&seed=4711&size=96&slices=18&difficulty=30";
            let eval = ["eval", "--data", heads, "--model", text(&model), "--modality", sequences, "--json"];
            let found = &json(&eval)["subsets"][0];
            let subsets = card["subsets"].as_array().unwrap();
            let told = subsets.iter().find(|told| told["present"] == found["present"]).unwrap();
            let [found, told] = [found, told].map(|subset| subset["dice"]["value"].as_f64().unwrap());
            assert!((found - told).abs() < TOLERANCE, "{name}, {sequences}: {found}, the card says {told}");
        }
    }
}

#[test]
fn what_cannot_be_outlined_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let output = at("mask.nii.gz");
    let flair = write(dir.path(), "flair.nii.gz", &head(0, Modality::Flair));
    let segment = |model: &Path, inputs: &[(&str, &Path)]| {
        let mut args = vec!["segment", "--model", text(model), "--output", text(&output)];
        for (modality, input) in inputs {
            args.extend(["--modality", modality, "--input", text(input)]);
        }
        let said = refused(&args);
        assert!(!output.exists(), "{said}");
        said
    };
    let one = |input: &Path| segment(&MODELS.flair, &[("flair", input)]);

    // Volumes of different size.
    let of = head(0, Modality::T2);
    let short = Geometry { size: [16, 16, 2], ..of.geometry };
    let short = write(dir.path(), "short.nii.gz", &Volume::new(short, of.voxels[..512].to_vec()).unwrap());
    let said = segment(&MODELS.hemis, &[("flair", &flair), ("t2", &short)]);
    assert!(said.contains("flair.nii.gz has 16 x 16 x 3") && said.contains("short.nii.gz has 16 x 16 x 2"), "{said}");

    // Four dimensions: the header says so, and there are twice as many voxels.
    let mut raw = Vec::new();
    flate2::read::GzDecoder::new(&std::fs::read(&flair).unwrap()[..]).read_to_end(&mut raw).unwrap();
    let mut series = raw.clone();
    series[40..42].copy_from_slice(&4i16.to_le_bytes());
    series[48..50].copy_from_slice(&2i16.to_le_bytes());
    series.extend_from_slice(&raw[352..]);
    std::fs::write(at("series.nii"), &series).unwrap();
    assert_eq!(read_nifti("series", &series).unwrap().len(), 2);
    let said = one(&at("series.nii"));
    assert!(said.contains("series.nii: there are 2 volumes"), "{said}");

    // A download that was cut off.
    let bytes = std::fs::read(&flair).unwrap();
    std::fs::write(at("cut.nii.gz"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(one(&at("cut.nii.gz")).contains("cut.nii.gz: "));
    std::fs::write(at("empty.nii.gz"), b"").unwrap();
    assert!(one(&at("empty.nii.gz")).contains("empty.nii.gz: the file is empty"));

    // Voxels that say nothing, or are no numbers.
    let blank = Volume::new(of.geometry, vec![0.0; of.voxels.len()]).unwrap();
    let said = one(&write(dir.path(), "blank.nii.gz", &blank));
    assert!(said.contains("blank.nii.gz") && said.contains("no brain"), "{said}");
    let mut nan = raw;
    nan[352 + 4 * 37..352 + 4 * 38].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::File::create(at("nan.nii")).unwrap().write_all(&nan).unwrap();
    let said = one(&at("nan.nii"));
    assert!(said.contains("nan.nii: voxel (5, 2, 0) is NaN"), "{said}");

    // A model for another sequence.
    let said = segment(&MODELS.flair, &[("t1c", &flair)]);
    assert!(said.contains("needs FLAIR") && said.contains("T1c is given"), "{said}");

    // What was asked makes no sense.
    let said = segment(&MODELS.hemis, &[("t1c", &flair), ("t1c", &short)]);
    assert!(said.contains("T1c is given twice") && said.contains("short.nii.gz"), "{said}");
    let said = refused(&[
        "segment",
        "--model",
        text(&MODELS.flair),
        "--modality",
        "flair",
        "--input",
        text(&flair),
        "--output",
        "mask.png",
    ]);
    assert!(said.contains("mask.png") && said.contains(".nii.gz or .mha"), "{said}");
    assert!(one(Path::new("/nowhere.nii.gz")).contains("/nowhere.nii.gz"));
    let model = dir.path().join("none");
    let said = segment(&model, &[("flair", &flair)]);
    assert!(said.contains("model.json"), "{said}");
}

#[test]
fn what_cannot_be_measured_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let heads = VolumeSource::Phantom(HEADS).to_string();
    let model = text(&MODELS.flair);
    let eval = |data: &str, rest: &[&str]| refused(&[&["eval", "--data", data, "--model", model], rest].concat());
    let said = eval(&heads, &["--modality", "t1c"]);
    assert!(said.contains("needs FLAIR") && said.contains("T1c is given"), "{said}");
    let said = eval("phantom:xray", &[]);
    assert!(said.contains("`phantom:xray` is not a source of MRI volumes"), "{said}");
    assert!(eval(&heads, &["--with-reports"]).contains("for x-rays"));
    let said = eval("phantom:brain?n=4&seed=9&size=16&slices=3", &["--part", "test"]);
    assert!(said.contains("phantom-brain-9-000000") && said.contains("not in the split"), "{said}");
    std::fs::create_dir(dir.path().join("pictures")).unwrap();
    let said = eval(&format!("brats:{}", text(dir.path())), &[]);
    assert!(said.contains(text(dir.path())) && said.contains("no BRATS scan") && said.contains("pictures"), "{said}");
}

/// A folder of three scans of two patients: one lacks two sequences, one the truth.
fn folder(dir: &Path) {
    for (index, name, files) in [
        (0, "BraTS-GLI-00001-000", &["t2f", "t1n", "t1c", "t2w", "seg"][..]),
        (1, "BraTS-GLI-00001-001", &["t2f", "t1c", "seg"]),
        (2, "BraTS-GLI-00002-000", &["t2f", "t1n", "t1c", "t2w"]),
    ] {
        let head = brain::patient(&HEADS, index);
        std::fs::create_dir(dir.join(name)).unwrap();
        for file in files {
            let path = dir.join(name).join(format!("{name}-{file}.nii.gz"));
            let sequence = ["t2f", "t1n", "t1c", "t2w"].iter().position(|other| other == file);
            // Of 2023: the enhancing tumour is label 3.
            let label = |tissue: &u8| if *tissue == brain::ENHANCING { 3.0 } else { 0.0 };
            let truth = || Volume::new(head.sequences[0].geometry, head.truth.iter().map(label).collect()).unwrap();
            let volume = sequence.map_or_else(truth, |sequence| head.sequences[sequence].clone());
            let bytes = write_nifti(&reordered(&volume, [(0, true), (1, true), (2, false)])).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}

#[test]
fn a_folder_of_scans_is_described_and_measured() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path());
    let data = format!("brats:{}", text(dir.path()));
    let found = json(&["data", &data, "--json"]);
    assert_eq!((&found["n"], &found["n_patients"], &found["n_with_truth"]), (&3.into(), &2.into(), &2.into()));
    assert_eq!((&found["sequences"]["flair"], &found["sequences"]["t1"]), (&3.into(), &2.into()));
    let n: usize = brain::patient(&HEADS, 1).truth.iter().map(|label| usize::from(*label == brain::ENHANCING)).sum();
    let ml = n as f64 * head(1, Modality::Flair).geometry.voxel_ml();
    let found_ml = found["enhancing_ml"]["by_scan"]["BraTS-GLI-00001-001"].as_f64().unwrap();
    assert!(ml > 1.0 && (found_ml - ml).abs() < 1e-4, "{found_ml} {ml}");
    assert_eq!(found["voxels"][0]["size"], serde_json::json!([16, 16, 3]));
    let said = succeeds(&["data", "brats", text(dir.path())]);
    for expected in [
        "3 scans of 2 patients, 2 outlined",
        "BraTS-GLI-00001-001: there is no T1, no T2",
        "BraTS-GLI-00002-000: there is no truth",
        "16 x 16 x 3, 12 x 12 x 6 mm",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }

    let report = json(&["eval", "--data", &data, "--model", text(&MODELS.flair), "--each", "--json"]);
    assert_eq!((&report["n"], &report["subsets"][0]["n_patients"]), (&2.into(), &1.into()));
    // The same heads as the generator gives them.
    let heads = VolumeSource::Phantom(BrainSource { n: 2, ..HEADS }).to_string();
    let same = json(&["eval", "--data", &heads, "--model", text(&MODELS.flair), "--each", "--json"]);
    for (a, b) in [0, 1].map(|i| (&report["subsets"][0]["scans"][i], &same["subsets"][0]["scans"][i])) {
        assert!((a["dice"].as_f64().unwrap() - b["dice"].as_f64().unwrap()).abs() < 1e-9, "{a} {b}");
    }
    let said = refused(&["data", &data, "--split-out", "split.csv"]);
    assert!(said.contains("for x-rays"), "{said}");
    let nowhere = tempfile::tempdir().unwrap();
    let said = refused(&["data", "brats", text(nowhere.path())]);
    assert!(said.contains(text(nowhere.path())) && said.contains("no BRATS scan"), "{said}");
}

#[test]
fn a_packed_segmenter_says_how_it_does_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let (scans, out) = (dir.path().join("scans"), dir.path().join("packed"));
    std::fs::create_dir(&scans).unwrap();
    folder(&scans);
    let data = format!("brats:{}", text(&scans));
    let export = ["export", "--model", text(&MODELS.flair), "--out", text(&out), "--data"];
    succeeds(&[&export[..], &[&data]].concat());
    let card: Value = serde_json::from_slice(&std::fs::read(out.join("model.json")).unwrap()).unwrap();
    let [elsewhere] = card["elsewhere"].as_array().unwrap().as_slice() else { panic!("{card}") };
    assert!(
        elsewhere["data"].as_str().unwrap().starts_with("2 BRATS patients, none of them in training"),
        "{elsewhere}"
    );
    let report = json(&["eval", "--data", &data, "--model", text(&out), "--json"]);
    assert_eq!(elsewhere["subsets"][0]["dice"], report["subsets"][0]["dice"]);
    // Whoever outlines with it is told.
    let scan = write(dir.path(), "a.nii.gz", &head(0, Modality::Flair));
    let (answer, _) = outlined(&out, &scan, &dir.path().join("mask.nii.gz"));
    assert_eq!(answer["expected"][1]["dice"], report["subsets"][0]["dice"]);
    let size = |model: &Path| std::fs::metadata(model.join("model.safetensors")).unwrap().len();
    assert!(size(&out) < size(&MODELS.flair));
    let said = refused(&[&export[..], &[&VolumeSource::Phantom(HEADS).to_string()]].concat());
    assert!(said.contains("phantom-brain-1-000000") && said.contains("not seen"), "{said}");
}

#[test]
fn generated_heads_are_described() {
    let dir = tempfile::tempdir().unwrap();
    let sheet = dir.path().join("heads.png");
    let said = succeeds(&["data", "phantom:brain?n=7&size=32&slices=3&lacking=40", "--sheet", text(&sheet)]);
    assert!(said.contains("7 scans of 7 patients, 7 outlined") && said.contains("there is no"), "{said}");
    assert!(image::open(&sheet).unwrap().width() > 100);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    /// A mask has its file's size and place, and marks what the mask of a copy in canonical order marks.
    #[test]
    fn the_order_of_a_file_does_not_matter(order in 0usize..6, signs in 0u8..8, index in 0usize..10) {
        let permutations = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let axes = [0, 1, 2].map(|axis| (permutations[order][axis], signs >> axis & 1 == 1));
        let dir = tempfile::tempdir().unwrap();
        let canonical = head(index, Modality::Flair);
        let file = reordered(&canonical, axes);
        let outline = |name: &str, volume: &Volume| {
            outlined(&MODELS.flair, &write(dir.path(), name, volume), &dir.path().join(format!("mask-{name}")))
        };
        let (expected, expected_mask) = outline("canonical.nii.gz", &canonical);
        let (found, mask) = outline("file.nii.gz", &file);
        prop_assert_eq!(mask.geometry.size, file.geometry.size);
        for (a, b) in mask.geometry.world_from_voxel.iter().flatten().zip(file.geometry.world_from_voxel.iter().flatten()) {
            prop_assert!((a - b).abs() < 1e-4, "{:?}", mask.geometry);
        }
        prop_assert_eq!(mask.to_canonical().voxels, expected_mask.voxels);
        prop_assert_eq!(&found["n_voxels"], &expected["n_voxels"]);
    }
}
