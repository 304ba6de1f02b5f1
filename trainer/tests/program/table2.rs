//! Table 2 from a folder of BRATS 2015, run by the program as a user would.

use std::path::Path;

use serde_json::Value;
use shared::Modality;
use shared::io::metaimage::{Compression, write_metaimage};
use shared::io::{Geometry, Volume};
use shared::phantom::{BrainSource, brain};

use super::cmim;

const SCANS: [&str; 5] = [
    "HGG/brats_2013_pat0001_1",
    "HGG/brats_tcia_pat105_0001",
    "HGG/brats_tcia_pat105_0105",
    "LGG/brats_2013_pat0002_1",
    "LGG/brats_2013_pat0004_1",
];

/// Five scans of four patients under the names of 2015, without T2 for the last one.
fn brats_2015(dir: &Path) {
    let source = BrainSource { n: 5, seed: 3, size: 24, slices: 4, ..BrainSource::default() };
    for (index, scan) in SCANS.iter().enumerate() {
        let head = brain::patient(&source, index);
        let write = |name: &str, volume: &Volume| {
            let folder = dir.join(scan).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{name}.mha")), write_metaimage(volume, Compression::Zlib).unwrap())
                .unwrap();
        };
        for (modality, name) in Modality::ALL.into_iter().zip(["Flair", "T1", "T1c", "T2"]) {
            if index == 4 && modality == Modality::T2 {
                continue;
            }
            write(
                &format!("VSD.Brain.XX.O.MR_{name}.{}", 1000 + 10 * index + modality.index()),
                &head.sequences[modality.index()],
            );
        }
        let geometry: Geometry = head.sequences[0].geometry;
        let truth = Volume::new(geometry, head.truth.iter().map(|label| f32::from(*label)).collect()).unwrap();
        write(&format!("VSD.Brain_3more.XX.O.OT.{}", 2000 + index), &truth);
    }
}

const PROTOCOL: &str = r#"
name = "small"
title = "small"
seeds = { first = 7, n = 2 }
pairs = [["cmim", "unet1"]]
[[rows]]
name = "cmim"
label = "CMIM"
each = ["flair", "t1c"]
teacher = "mean"
published_each = { flair = 0.2337 }
set = { method = "cmim", modality = "{modality}" }
[[rows]]
name = "unet1"
label = "U-Net"
each = ["flair", "t1c"]
set = { method = "unet", modality = "{modality}" }
[[rows]]
name = "mean"
label = "Mean"
set = { method = "mean" }
[config]
task = "segmentation"
name = "small"
method = "unet"
seed = 0
widths = [4, 6]
grid = { size = 24, pixel_mm = 8.0 }
tie = { term = { critic = { hidden = 4 } } }
training = { batch_size = 4, learning_rate = 1e-2, max_epochs = 1, patience = 1 }
[config.data]
volumes = ["phantom:brain"]
"#;

#[test]
fn it_runs_from_a_folder_of_2015_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out, protocol) = (dir.path().join("brats"), dir.path().join("out"), dir.path().join("small.toml"));
    brats_2015(&data);
    std::fs::write(&protocol, PROTOCOL).unwrap();
    let source = format!("brats:{}", data.display());
    let args = ["table2", protocol.to_str().unwrap(), "--data", &source, "--out", out.to_str().unwrap(), "--seeds"];
    let run = |seeds: &str| cmim(&[&args[..], &[seeds]].concat());
    let first = run("1");
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let second = run("2");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(second.status.success(), "{said}");
    assert!(said.contains("seed 8") && !said.contains("seed 7"), "the first seed is not trained again: {said}");
    let table: Value = serde_json::from_slice(&std::fs::read(out.join("small.json")).unwrap()).unwrap();
    let rows = table["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["method"] == "cmim" && row["modality"] == "flair").unwrap();
    assert_eq!((&row["seeds"], &row["published"]), (&Value::from(2), &Value::from(0.2337)));
    assert!(row["dice"].is_number() && row["lo"].is_number() && row["by_seed"]["8"].is_number());
    assert!(rows.iter().any(|row| row["method"] == "mean" && row["modality"] == "t2"));
    let difference = &table["paired"]["cmim-unet1"]["flair"];
    assert!(difference["diff"].is_number() && difference["hi"].is_number(), "{difference}");
    assert_eq!(table["subsets"]["mean"].as_object().unwrap().len(), 15);
    assert!(table["unseen"]["unet1"]["flair"]["t1c"]["dice"].is_number());
    for name in ["small.txt", "small.svg", "small.subsets.svg"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    let text = String::from_utf8_lossy(&second.stdout).into_owned();
    assert!(text.contains("0.234") && text.contains("FLAIR + T1 + T1c + T2"), "{text}");
}

#[test]
fn a_sequence_that_no_scan_has_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out, protocol) = (dir.path().join("brats"), dir.path().join("out"), dir.path().join("small.toml"));
    brats_2015(&data);
    for scan in SCANS {
        for entry in std::fs::read_dir(data.join(scan)).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains("MR_T1c") {
                std::fs::remove_dir_all(path).unwrap();
            }
        }
    }
    std::fs::write(&protocol, PROTOCOL).unwrap();
    let source = format!("brats:{}", data.display());
    let run = cmim(&[
        "table2",
        protocol.to_str().unwrap(),
        "--data",
        &source,
        "--out",
        out.to_str().unwrap(),
        "--seeds",
        "1",
    ]);
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success() && said.contains("T1c is left out"), "{said}");
}
