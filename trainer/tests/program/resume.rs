//! Runs that are interrupted, by a person or by an accident: what is lost, which is nothing, and what is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use candle_core::Tensor;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::io::weights::NamedTensor;
use trainer::checkpoint::Checkpoints;
use trainer::config::{Config, SegmentationConfig};

use super::mri;
use super::xray::{TINY, trained};
use super::{cmim, refused, succeeds, text};

/// Tensors of a run's last checkpoint.
fn tensors<C: Serialize + DeserializeOwned>(run: &Path) -> BTreeMap<String, NamedTensor> {
    Checkpoints::of(run).read::<C>().unwrap().unwrap().checkpoint.tensors
}

/// The records of a run without what depends on the clock.
fn records(run: &Path) -> Vec<Value> {
    let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let without_clock = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        for key in ["seconds", "waiting"] {
            record.as_object_mut().unwrap().remove(key).unwrap();
        }
        record
    };
    lines.lines().map(without_clock).collect()
}

fn assert_alike<C: Serialize + DeserializeOwned>(a: &Path, b: &Path) {
    let read = |run: &Path| std::fs::read(run.join("model.safetensors")).unwrap();
    assert!(read(a) == read(b), "{} and {} have other weights", a.display(), b.display());
    assert!(tensors::<C>(a) == tensors::<C>(b), "{} and {} have other checkpoints", a.display(), b.display());
    assert_eq!(records(a), records(b));
}

/// Starts a training.
fn start(config: &Path, out: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_cmim"))
        .args(["train", text(config), "--out", text(out), "--resume", "--checkpoint-minutes", "0"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills trainings with SIGKILL at random moments and takes them up again, until `kills` of them have died; then lets
/// the last end. Gives the folders of all that have ended.
fn killed(config: &Path, dir: &Path, kills: usize, seed: u64) -> Vec<PathBuf> {
    let begin = Instant::now();
    let first = dir.join("unbroken");
    assert!(start(config, &first).wait().unwrap().success());
    let mut duration = begin.elapsed();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut ended = vec![first];
    let out = |ended: &Vec<PathBuf>| dir.join(format!("killed-{}", ended.len()));
    let mut left = kills;
    while left > 0 {
        let mut training = start(config, &out(&ended));
        std::thread::sleep(duration.mul_f64(rng.random_range(0.0..0.6)));
        if let Some(status) = training.try_wait().unwrap() {
            assert!(status.success());
            ended.push(out(&ended));
            // The machine has less to do now than when this was measured.
            duration = duration.mul_f64(0.7);
            continue;
        }
        training.kill().unwrap();
        training.wait().unwrap();
        left -= 1;
    }
    assert!(start(config, &out(&ended)).wait().unwrap().success());
    ended.push(out(&ended));
    ended
}

#[test]
fn a_run_killed_at_twenty_random_moments_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("tiny.toml");
    std::fs::write(&config, TINY).unwrap();
    let ended = killed(&config, dir.path(), 20, 1);
    for run in &ended[1..] {
        assert_alike::<Config>(&ended[0], run);
    }
    // When checkpoints are written changes nothing either.
    let other = trained(dir.path(), "rarely", ["seed = 3", "seed = 3"]);
    assert_alike::<Config>(&ended[0], &other);
}

#[test]
fn a_killed_segmentation_ends_with_the_same_bytes_and_so_does_its_teacher() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("tiny.toml");
    let tie = "[tie]\nlocations = 3\nterm = { critic = { hidden = 8 } }\n\n[training]";
    let tiny = mri::TINY.replace("method = \"unet\"", "method = \"cmim\"").replace("[training]", tie);
    std::fs::write(&config, tiny).unwrap();
    let ended = killed(&config, dir.path(), 5, 2);
    for run in &ended[1..] {
        assert_alike::<SegmentationConfig>(&ended[0], run);
        assert_alike::<SegmentationConfig>(&ended[0].join("teacher"), &run.join("teacher"));
    }
}

#[test]
fn a_longer_segmentation_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let whole = mri::trained(dir.path(), "whole", &[["max_epochs = 2", "max_epochs = 3"]]);
    let parts = mri::trained(dir.path(), "parts", &[]);
    let config = dir.path().join("whole.toml");
    succeeds(&["train", text(&config), "--out", text(&parts), "--resume"]);
    assert_alike::<SegmentationConfig>(&whole, &parts);
    let split = |run: &Path| std::fs::read(run.join("split.csv")).unwrap();
    assert_eq!(split(&whole), split(&parts));
    let card = |dir: &Path| -> Value {
        let mut card: Value = serde_json::from_slice(&std::fs::read(dir.join("model.json")).unwrap()).unwrap();
        card["training"]["commands"] = Value::Null;
        card
    };
    assert_eq!(card(&whole), card(&parts));
}

#[test]
fn any_number_of_threads_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("tiny.toml");
    std::fs::write(&config, TINY).unwrap();
    let [one, many] = ["1", "5"].map(|threads| {
        let out = dir.path().join(threads);
        let args = ["train", text(&config), "--out", text(&out)];
        let output =
            Command::new(env!("CARGO_BIN_EXE_cmim")).args(args).env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        out
    });
    assert_alike::<Config>(&one, &many);
}

#[test]
fn a_longer_run_goes_on_and_another_experiment_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let whole = trained(dir.path(), "whole", ["seed = 3", "seed = 3"]);
    let parts = trained(dir.path(), "parts", ["max_epochs = 3", "max_epochs = 2"]);
    let config = dir.path().join("whole.toml");
    let resume = ["train", text(&config), "--out", text(&parts), "--resume"];
    succeeds(&resume);
    assert_alike::<Config>(&whole, &parts);
    // What is there is not overwritten, and another experiment does not continue it.
    assert!(refused(&resume[..4]).contains("--resume"));
    let said = refused(&[&resume[..], &["--seed", "9"]].concat());
    assert!(said.contains("another configuration: seed is 9, was 3;"), "{said}");
}

/// A folder of 30 labelled images; the rows of its table.
fn x_rays(set: &Path) -> Vec<String> {
    std::fs::create_dir_all(set.join("images")).unwrap();
    for i in 0..30u8 {
        let image = image::GrayImage::from_fn(20, 20, |x, y| image::Luma([(x * 5 + y) as u8 ^ i]));
        image.save(set.join(format!("images/{i}.png"))).unwrap();
    }
    let rows: Vec<String> = (0..30).map(|i| format!("{i}.png,{i},{}", ["Mass", "No Finding"][i % 2])).collect();
    label(set, &rows);
    rows
}

fn label(set: &Path, rows: &[String]) {
    std::fs::write(set.join("labels.csv"), format!("image,patient_id,findings\n{}\n", rows.join("\n"))).unwrap();
}

#[test]
fn other_data_do_not_continue_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    let rows = x_rays(&set);
    let (config, out) = (dir.path().join("tiny.toml"), dir.path().join("run"));
    let tiny = TINY
        .replace("\"cmim\"", "\"resnet\"")
        .replace("phantom:xray?n=60&difficulty=0", &format!("nih:{}", text(&set)));
    std::fs::write(&config, tiny).unwrap();
    let resume = ["train", text(&config), "--out", text(&out), "--resume"];
    succeeds(&resume[..4]);
    succeeds(&resume);
    let mut relabelled = rows.clone();
    relabelled[3] = "3.png,3,Effusion".to_owned();
    label(&set, &relabelled);
    let said = refused(&resume);
    assert!(said.contains("other data: labelled images: 30, as many as before, but other ones"), "{said}");
    label(&set, &rows[1..]);
    let said = refused(&resume);
    assert!(said.contains("images: 29 now, 30 when the run began"), "{said}");
    label(&set, &rows);
    image::GrayImage::new(20, 20).save(set.join("images/4.png")).unwrap();
    assert!(refused(&resume).contains("pixels of images: 30, as many as before, but other ones"));
    assert!(
        refused(&[&resume[..], &["--data", "phantom:xray?n=60&difficulty=0"]].concat()).contains("other data: images")
    );
}

#[test]
fn data_may_lie_elsewhere_when_a_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    x_rays(&here);
    let (config, out) = (dir.path().join("tiny.toml"), dir.path().join("run"));
    std::fs::write(&config, TINY.replace("\"cmim\"", "\"resnet\"").replace("max_epochs = 3", "max_epochs = 1"))
        .unwrap();
    let train = |set: &Path, more: &[&str]| {
        let source = format!("nih:{}", text(set));
        succeeds(&[&["train", text(&config), "--out", text(&out), "--data", &source][..], more].concat());
    };
    train(&here, &[]);
    std::fs::rename(&here, &there).unwrap();
    std::fs::write(&config, TINY.replace("\"cmim\"", "\"resnet\"").replace("max_epochs = 3", "max_epochs = 2"))
        .unwrap();
    train(&there, &["--resume"]);
    assert_eq!(records(&out).len(), 2);
    assert!(std::fs::read_to_string(out.join("config.toml")).unwrap().contains("there"));
}

#[test]
fn two_programs_do_not_train_in_one_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (config, out) = (dir.path().join("tiny.toml"), dir.path().join("run"));
    std::fs::write(&config, TINY.replace("max_epochs = 3", "max_epochs = 1000")).unwrap();
    let mut first = start(&config, &out);
    let patience = Instant::now();
    while !std::fs::read_to_string(out.join(".lock")).is_ok_and(|holder| !holder.is_empty()) {
        assert!(patience.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(5));
    }
    for more in [&[][..], &["--resume"]] {
        let said = refused(&[&["train", text(&config), "--out", text(&out)][..], more].concat());
        let expected = format!("another program (process {}) is training in this folder", first.id());
        assert!(said.contains(&expected), "{said}");
    }
    first.kill().unwrap();
    first.wait().unwrap();
    std::fs::write(&config, TINY.replace("max_epochs = 3", "max_epochs = 1")).unwrap();
    // The lock has ended with the program.
    let said = cmim(&["train", text(&config), "--out", text(&out), "--resume"]);
    assert!(!String::from_utf8_lossy(&said.stderr).contains("another program"));
}

#[test]
fn of_a_damaged_checkpoint_the_one_before_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let whole = trained(dir.path(), "whole", ["seed = 3", "seed = 3"]);
    let parts = trained(dir.path(), "parts", ["max_epochs = 3", "max_epochs = 2"]);
    let newest = parts.join("checkpoint.safetensors");
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 16;
    std::fs::write(&newest, &bytes).unwrap();
    let config = dir.path().join("whole.toml");
    let output = cmim(&["train", text(&config), "--out", text(&parts), "--resume"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("note: ") && said.contains("it is damaged") && said.contains("with 1 complete epochs"),
        "{said}"
    );
    assert_alike::<Config>(&whole, &parts);
    assert_eq!(std::fs::read(parts.join("checkpoint.safetensors.damaged")).unwrap(), bytes);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path(), "run", ["max_epochs = 3", "max_epochs = 1"]);
    let before = tensors::<Config>(&run);
    // A weight spoilt as by an overflow, in a checkpoint that is whole.
    let checkpoints = Checkpoints::of(&run);
    let mut spoilt = checkpoints.read::<Config>().unwrap().unwrap().checkpoint;
    spoilt.tensors.get_mut("parameter:image.fc.bias").unwrap().data[0] = f32::NAN;
    checkpoints.write(&spoilt).unwrap();
    let config = dir.path().join("longer.toml");
    std::fs::write(&config, TINY).unwrap();
    let said = refused(&["train", text(&config), "--out", text(&run), "--resume"]);
    assert!(said.contains("the loss is NaN in epoch 2, step 1, on "), "{said}");
    assert!(said.contains(".png") || said.contains("phantom"), "{said}");
    std::fs::rename(run.join("checkpoint.previous.safetensors"), run.join("checkpoint.safetensors")).unwrap();
    assert!(tensors::<Config>(&run) == before);
}

#[test]
fn weights_from_elsewhere_are_where_the_image_path_starts() {
    let dir = tempfile::tempdir().unwrap();
    let first = trained(dir.path(), "first", ["\"cmim\"", "\"resnet\""]);
    // The same network as for colours, with PyTorch's counters and a head for other classes.
    let device = &candle_core::Device::Cpu;
    let mut tensors = candle_core::safetensors::load(first.join("model.safetensors"), device).unwrap();
    tensors.retain(|name, _| !name.starts_with("input_check."));
    let grey = tensors["conv1.weight"].clone();
    let colours = Tensor::cat(&[(&grey * 0.5).unwrap(), (&grey * 0.25).unwrap(), (&grey * 0.25).unwrap()], 1).unwrap();
    tensors.insert("conv1.weight".to_owned(), colours);
    tensors.insert("bn1.num_batches_tracked".to_owned(), Tensor::new(7i64, device).unwrap());
    tensors.insert("fc.weight".to_owned(), Tensor::zeros((1000, 32), candle_core::DType::F32, device).unwrap());
    let file = dir.path().join("imagenet.safetensors");
    candle_core::safetensors::save(&tensors, &file).unwrap();
    let config = dir.path().join("small-steps.toml");
    let tiny = TINY.replace("\"cmim\"", "\"resnet\"").replace("learning_rate = 1e-3", "learning_rate = 1e-12");
    std::fs::write(&config, tiny.replace("average_decay = 0.9\n", "")).unwrap();
    let out = dir.path().join("second");
    succeeds(&["train", text(&config), "--out", text(&out), "--init", text(&file)]);
    let second = candle_core::safetensors::load(out.join("model.safetensors"), device).unwrap();
    let furthest = |name: &str, from: &Tensor| {
        let distance = (from - &second[name]).unwrap().abs().unwrap().max_all().unwrap();
        distance.to_scalar::<f32>().unwrap()
    };
    assert!(furthest("conv1.weight", &grey) < 1e-6);
    assert!(furthest("layer4.1.conv2.weight", &tensors["layer4.1.conv2.weight"]) < 1e-6);
    // Another network's weights are refused with the tensor.
    std::fs::write(&config, TINY.replace("\"cmim\"", "\"resnet\"").replace("width = 4", "width = 8")).unwrap();
    let said = refused(&["train", text(&config), "--out", text(&dir.path().join("third")), "--init", text(&file)]);
    assert!(said.contains("imagenet.safetensors") && said.contains("expected [8"), "{said}");
}
