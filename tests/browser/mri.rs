//! The MRI workbench: what is dropped is recognised, shown and outlined, and the outline is that of `cmim segment`.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use shared::io::metaimage::{Compression, write_metaimage};
use shared::io::read_volume;
use xtask::process::root;
use xtask::webdriver::Key;

use crate::files::{NamedFile, dicom};
use crate::volumes::{Workbench, files_of, head, truth_of, volume, write_all};

const NAMES: [&str; 4] = ["head_flair", "head_t1", "head_t1c", "head_t2"];
const UNNAMED: [&str; 4] = ["a", "b", "c", "d"];

/// The mask that the program writes for the files of some sequences.
fn segment(files: &[NamedFile], sequences: &[&str], model: &str) -> (Vec<u8>, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    write_all(folder.path(), files);
    let cmim = std::env::var_os("CMIM_BIN").expect("CMIM_BIN names the program: run `cargo xtask test browser`");
    let mut program = Command::new(cmim);
    program.arg("segment").arg("--json").arg("--model").arg(root().join("static/models").join(model));
    for ((name, _), sequence) in files.iter().zip(sequences) {
        program.args(["--modality", sequence, "--input"]).arg(folder.path().join(name));
    }
    let mask = folder.path().join("mask.nii.gz");
    let output = program.arg("--output").arg(&mask).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (fs::read(mask).expect("a mask"), serde_json::from_slice(&output.stdout).expect("an answer"))
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn page_and_program_write_the_same_mask() {
    let (session, head) = (Workbench::session(), head(8));
    let workbench = Workbench::open(&session);
    let files = files_of(&head, NAMES);
    workbench.outline(&[&files[..], &[truth_of(&head)]].concat());
    for model in ["mri-t1c", "mri-flair", "mri-hemis", "mri-mean", "mri-mlp"] {
        workbench.select("mri-model", 0, model);
        workbench.wait_for_outline("done");
        let (expected, answer) = segment(&files, &["flair", "t1", "t1c", "t2"], model);
        workbench.click("mri-save-mask");
        let (name, saved) = workbench.saved();
        assert!(name.ends_with("_enhancing.nii.gz"), "{name}");
        assert!(saved == expected, "{model}: {} and {} bytes", saved.len(), expected.len());
        assert_eq!(workbench.data("mri-volume", "voxels"), answer["n_voxels"].to_string(), "{model}");

        // Dice is that of the mask and of label 4 of the truth.
        let mask = read_volume("mask", &saved).expect("a mask").voxels;
        let both = mask.iter().zip(&head.truth).filter(|(mask, label)| **mask == 1.0 && **label == 4).count();
        let sum =
            mask.iter().filter(|v| **v == 1.0).count() + head.truth.iter().map(|v| usize::from(*v == 4)).sum::<usize>();
        let dice: f64 = workbench.data("mri-dice", "value").parse().expect("a number");
        assert!((dice - 2.0 * both as f64 / sum as f64).abs() < 1e-9, "{model}: {dice}");
    }
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn sequences_are_guessed_and_can_be_corrected() {
    let (session, head) = (Workbench::session(), head(12));
    let workbench = Workbench::open(&session);
    workbench.outline(&files_of(&head, UNNAMED));
    let lines = workbench.lines();
    assert_eq!(lines[3].1.as_deref(), Some("t2"), "{lines:?}");
    assert!(lines.iter().all(|(_, _, words)| words.contains("guessed")), "{lines:?}");
    workbench.select("mri-role", 3, "flair");
    workbench.wait_for_outline("done");
    let corrected = workbench.lines();
    assert_eq!(corrected[3].1.as_deref(), Some("flair"), "{corrected:?}");
    assert!(corrected[3].2.contains("as you said"), "{corrected:?}");
    assert_eq!(corrected.iter().filter(|(_, role, _)| role.as_deref() == Some("flair")).count(), 1, "{corrected:?}");
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn wrong_pairs_are_said_in_words() {
    let (session, head) = (Workbench::session(), head(4));
    let workbench = Workbench::open(&session);
    let mut files = files_of(&head, ["one_flair", "head_t1", "two_flair", "head_t2"]);
    files.push(("small_t1c.nii.gz".to_owned(), volume(|i| (i % 50) as f32)));
    workbench.outline(&files);
    let lines = workbench.lines();
    assert!(lines[2].1.as_deref() == Some("") && lines[2].2.contains("a second FLAIR"), "{lines:?}");
    assert!(lines[4].1.as_deref() == Some("") && lines[4].2.contains("20 × 20 × 6"), "{lines:?}");
    assert!(lines[4].2.contains("64 × 64 × 4"), "{lines:?}");
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn what_is_no_brain_mri_is_refused_in_words_and_the_page_stays_of_use() {
    let session = Workbench::session();
    let workbench = Workbench::open(&session);
    let ct = volume(|i| if i % 20 < 5 { -1000.0 } else { 40.0 + (i % 30) as f32 });
    let half = volume(|i| i as f32);
    for (name, bytes, words) in [
        ("ct.nii.gz", ct, "a CT"),
        ("IM0001", dicom().1, "dcm2niix"),
        ("photo.png", b"\x89PNG\r\n\x1a\n".to_vec(), "a picture"),
        ("t1.nii", b"The heart is of normal size.".to_vec(), "not a volume"),
        ("half_t1.nii.gz", half[..half.len() / 2].to_vec(), "half_t1.nii.gz"),
        ("empty.nii", Vec::new(), "empty"),
        ("t1.raw", vec![0; 64], ".mhd"),
        (
            "t1.mhd",
            b"NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = t1.raw\n".to_vec(),
            "t1.raw",
        ),
    ] {
        workbench.drop_files(&[(name.to_owned(), bytes)]);
        workbench.wait_for("error");
        let lines = workbench.lines();
        assert!(lines[0].0 == name && lines[0].2.contains(words), "{name}: {lines:?}");
    }
    // A file larger than memory is refused without being read.
    let huge = r#"
        const file = new File([new Uint8Array(8)], "huge.nii");
        Object.defineProperty(file, "size", { value: 2.1e9 });
        Object.defineProperty(file, "arrayBuffer", { value: () => { throw new Error("it was read"); } });
        const event = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: new DataTransfer() });
        Object.defineProperty(event, "dataTransfer", { value: { files: { length: 1, item: () => file, 0: file }, items: [] } });
        document.querySelector('[data-testid="drop-zone"]').dispatchEvent(event);"#;
    workbench.execute(huge, &[]);
    workbench
        .page
        .wait_until("the huge file is refused", r#"document.body.innerText.includes("2100 MB")"#)
        .expect("words");
    workbench.outline(&files_of(&head(4), NAMES));
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_header_and_its_voxels_are_one_volume() {
    let (session, head) = (Workbench::session(), head(4));
    let workbench = Workbench::open(&session);
    let whole = write_metaimage(&head.sequences[2], Compression::Plain).expect("writes");
    let voxels = head.sequences[2].voxels.len() * 4;
    let (header, data) = whole.split_at(whole.len() - voxels);
    let header = String::from_utf8(header.to_vec()).expect("text").replace("= LOCAL", "= head_t1c.raw");
    workbench.outline(&[
        ("head_t1c.raw".to_owned(), data.to_vec()),
        ("head_t1c.mhd".to_owned(), header.into_bytes()),
        ("notes.txt".to_owned(), b"seen".to_vec()),
    ]);
    let lines = workbench.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().any(|(name, role, _)| name == "head_t1c.mhd" && role.as_deref() == Some("t1c")), "{lines:?}");
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn cancelling_ends_the_outline_and_it_can_begin_again() {
    let (session, head) = (Workbench::session(), head(60));
    let workbench = Workbench::open(&session);
    workbench.drop_files(&files_of(&head, NAMES));
    workbench.wait_for_outline("running");
    workbench.click("mri-cancel");
    workbench.wait_for_outline("cancelled");
    let ended = "return window.workers.filter(worker => worker.ended).length";
    assert!(workbench.execute(ended, &[]).as_u64().is_some_and(|n| n > 0), "no worker was ended");
    workbench.click("mri-again");
    workbench.wait_for_outline("done");
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_worker_that_dies_is_started_again_and_the_outline_ends_well() {
    let (session, head) = (Workbench::session(), head(60));
    let workbench = Workbench::open(&session);
    workbench.drop_files(&files_of(&head, NAMES));
    workbench.wait_for_outline("running");
    let kill = r"
        const alive = window.workers.filter(worker => !worker.ended);
        alive.at(-1).dispatchEvent(new ErrorEvent('error', { cancelable: true }));";
    workbench.execute(kill, &[]);
    workbench.wait_for_outline("done");
    assert_eq!(workbench.lines().len(), 4);
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn slices_are_changed_by_keyboard_and_wheel() {
    let (session, head) = (Workbench::session(), head(24));
    let workbench = Workbench::open(&session);
    workbench.outline(&files_of(&head, NAMES));
    let slice = || -> i64 { workbench.data("plane-axial", "slice").parse().expect("a number") };
    workbench.execute(r#"document.querySelector('[data-testid="plane-axial"]').focus()"#, &[]);
    let start = slice();
    for (key, expected) in
        [(Key::Up, start + 1), (Key::Down, start), (Key::Home, 0), (Key::PageUp, 10), (Key::End, 23), (Key::Up, 23)]
    {
        session.browser.press(key).expect("presses");
        assert_eq!(slice(), expected, "{key:?}");
    }
    let wheel = r#"document.querySelector('[data-testid="plane-axial"]')
        .dispatchEvent(new WheelEvent("wheel", { deltaY: arguments[0], bubbles: true, cancelable: true }))"#;
    workbench.execute(wheel, &[json!(120)]);
    assert_eq!(slice(), 20);
    workbench.execute(wheel, &[json!(-30)]);
    assert_eq!(slice(), 20, "less than a step");
    workbench.execute(wheel, &[json!(-30)]);
    assert_eq!(slice(), 21);
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn the_cuts_are_linked_and_drawn() {
    let (session, head) = (Workbench::session(), head(24));
    let workbench = Workbench::open(&session);
    workbench.outline(&files_of(&head, NAMES));
    // A click in the upper left quarter of the axial cut: right and to the front of the middle.
    let click = r#"
        const frame = document.querySelector('[data-testid="plane-axial"]');
        const { left, top, width, height } = frame.getBoundingClientRect();
        const at = { clientX: left + width / 4, clientY: top + height / 4, pointerId: 1, bubbles: true, cancelable: true };
        frame.dispatchEvent(new PointerEvent("pointerdown", at));
        frame.dispatchEvent(new PointerEvent("pointerup", at));"#;
    workbench.execute(click, &[]);
    let slice = |plane: &str| -> i64 { workbench.data(&format!("plane-{plane}"), "slice").parse().expect("a number") };
    assert!((46..=48).contains(&slice("sagittal")) && (46..=48).contains(&slice("coronal")), "{}", slice("sagittal"));
    let shades = r#"
        const canvas = document.querySelector(`[data-testid="picture-${arguments[0]}"]`);
        return new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size"#;
    for plane in ["axial", "coronal", "sagittal"] {
        let n = workbench.execute(shades, &[json!(plane)]).as_u64().expect("a number");
        assert!(n > 20, "{plane}: {n} shades");
    }
    // Where the outline is largest is where it is drawn.
    workbench.click("mri-go");
    let shown = slice("axial");
    workbench.session.browser.press(Key::Home).expect("presses");
    workbench.click("mri-go");
    assert_eq!(slice("axial"), shown);
    workbench.click("mri-save-cut");
    let (name, bytes) = workbench.saved();
    assert!(name.starts_with("axial-") && bytes.starts_with(b"\x89PNG"), "{name}");
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn every_sample_is_outlined_at_a_click() {
    let session = Workbench::session();
    for n in 0..5 {
        let workbench = Workbench::open(&session);
        let click =
            r#"document.querySelectorAll('[data-testid="mri-case"], [data-testid="mri-head"]')[arguments[0]].click()"#;
        workbench.execute(click, &[json!(n)]);
        workbench.wait_for_outline("done");
        let expected =
            workbench.execute(r#"return document.querySelector('[data-testid="mri-expected"]').innerText"#, &[]);
        assert!(expected.as_str().is_some_and(|words| words.contains("Dice to expect")), "{expected}");
        assert_eq!(workbench.data("mri-dice", "value").is_empty(), n < 2, "a drawn head has a truth, a real one none");
    }
}
