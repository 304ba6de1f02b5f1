//! The program as a user runs it: what it leaves behind, what it prints, and what it says of bad input.

use std::path::{Path, PathBuf};

use serde_json::Value;
use shared::Finding;

use super::{cmim, refused, succeeds, text};

/// A network and a data set so small that an epoch takes a second or two even in a debug build.
pub(super) const TINY: &str = r#"
name = "tiny"
method = "cmim"
seed = 3

[data]
min_word_count = 1
images = ["phantom:xray?n=60&difficulty=0"]

[preprocessing]
size = 16
channels = 1
normalization = "per_image"

[image]
depth = 18
width = 4
in_channels = 1
stem_pool = false

[cross_modal]
text = { word_dim = 8, widths = [8] }
joint = { side = 4, out = 6 }
critic = { hidden = 8 }
locations = 2

[tienet]
word_dim = 6
hidden = 8
attention = 8
rows = 2
max_tokens = 12

[training]
batch_size = 8
learning_rate = 1e-3
max_epochs = 3
patience = 9
average_decay = 0.9
max_positive_weight = 5.0
"#;

/// Trains the tiny model; `replace` changes its configuration.
pub(super) fn trained(dir: &Path, name: &str, replace: [&str; 2]) -> PathBuf {
    let (config, out) = (dir.join(format!("{name}.toml")), dir.join(name));
    assert!(TINY.contains(replace[0]));
    std::fs::write(&config, TINY.replace(replace[0], replace[1])).unwrap();
    succeeds(&["train", text(&config), "--out", text(&out)]);
    out
}

/// A labelled folder of two x-rays, and their files.
fn labelled(dir: &Path, labels: &str) -> (String, Vec<PathBuf>) {
    let images = dir.join("images");
    std::fs::create_dir_all(&images).unwrap();
    let files: Vec<PathBuf> = ["a.png", "b.png"].map(|name| images.join(name)).to_vec();
    for (i, file) in files.iter().enumerate() {
        image::GrayImage::from_fn(40, 30, |x, y| image::Luma([(x * 5 + y * i as u32) as u8])).save(file).unwrap();
    }
    std::fs::write(dir.join("labels.csv"), labels).unwrap();
    (format!("nih:{}", text(dir)), files)
}

const LABELS: &str = "image,patient_id,findings\na.png,1,Mass|Effusion\nb.png,2,No Finding\n";

#[test]
fn a_report_joins_as_second_modality_and_a_strange_image_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path(), "run", ["max_epochs = 3", "max_epochs = 1"]);
    let packed = dir.path().join("packed");
    succeeds(&["export", "--model", text(&run), "--out", text(&packed), "--encoding", "f16"]);
    let (_, files) = labelled(dir.path(), LABELS);
    let report = dir.path().join("report.txt");
    std::fs::write(&report, "The heart is enlarged. No effusion.").unwrap();
    for model in [&run, &packed] {
        let card: Value = serde_json::from_slice(&std::fs::read(model.join("model.json")).unwrap()).unwrap();
        assert!(card["report"]["vocabulary"].as_str().unwrap().starts_with("<pad> <unk> "), "{card}");
        assert_eq!(card["report"]["findings"].as_array().unwrap().len(), Finding::COUNT);
        let measured = card["input_check"]["measured"].as_array().unwrap();
        let upside_down = measured.iter().find(|m| m["what"] == "test images upside down").unwrap();
        assert!(upside_down["n"].as_u64() > Some(0), "{measured:?}");

        let predict = |report: &str| {
            succeeds(&["predict", text(&files[0]), "--model", text(model), "--json", "--report", report])
        };
        let by_file: Value = serde_json::from_str(&predict(text(&report))).unwrap();
        let by_text: Value = serde_json::from_str(&predict("The heart is enlarged. No effusion.")).unwrap();
        assert_eq!(by_file, by_text);
        assert_eq!(by_file["findings_with_report"].as_object().unwrap().len(), Finding::COUNT);
        assert_ne!(by_file["findings"], by_file["findings_with_report"]);
        let words = succeeds(&["predict", text(&files[0]), "--model", text(model), "--report", "Effusion."]);
        assert!(words.contains("with report") && words.contains("warning: this does not look like"), "{words}");
    }
    let image_only = trained(dir.path(), "alone", ["method = \"cmim\"", "method = \"resnet\""]);
    let refusal = refused(&["predict", text(&files[0]), "--model", text(&image_only), "--report", "Effusion."]);
    assert!(refusal.contains("reads no reports"), "{refusal}");
}

#[test]
fn a_trained_model_predicts_and_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let model = trained(dir.path(), "run", ["max_epochs = 3", "max_epochs = 1"]);
    for name in ["model.safetensors", "model.json", "metrics.jsonl", "split.csv", "curves.svg", "reliability.svg"] {
        assert!(model.join(name).is_file(), "{name}");
    }
    let (source, files) = labelled(&dir.path().join("set"), LABELS);
    let lines = succeeds(&["predict", text(&files[0]), text(&files[1]), "--model", text(&model), "--json"]);
    assert_eq!(lines.lines().count(), 2);
    for (line, file) in lines.lines().zip(&files) {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["file"], text(file));
        assert_eq!(answer["findings"].as_object().unwrap().len(), 14);
        for finding in Finding::ALL {
            assert!((0.0..=1.0).contains(&answer["findings"][finding.name()].as_f64().unwrap()));
        }
    }
    let report: Value =
        serde_json::from_str(&succeeds(&["eval", "--data", &source, "--model", text(&model), "--json"])).unwrap();
    let mass = &report["findings"]["Mass"];
    assert_eq!((&mass["n_pos"], &mass["n"]), (&Value::from(1), &Value::from(2)));
    assert!(mass["auroc"].as_f64().is_some_and(|a| a == 0.0 || a == 1.0 || a == 0.5));
    assert!(report["findings"]["Hernia"].is_null());
    assert!(report["macro_auroc"].is_number() && report["prevalence_weighted_auroc"]["value"].is_number());
    assert!(report["operating_points"].is_object() && report["calibrated_error"].is_number());
    let events =
        std::fs::read_dir(&model).unwrap().flatten().filter(|e| e.file_name().to_string_lossy().contains("tfevents"));
    assert_eq!(events.count(), 1);
    // A model does not differ from itself.
    let same = ["compare", text(&model), text(&model), "--data", &source, "--json"];
    let same: Value = serde_json::from_str(&succeeds(&same)).unwrap();
    assert_eq!(same["macro_difference"]["value"], 0.0);
    let other = trained(dir.path(), "other", ["seed = 3", "seed = 4"]);
    let said = succeeds(&[
        "compare",
        text(&model),
        text(&other),
        "--data",
        "phantom:xray?n=60&difficulty=0",
        "--part",
        "test",
    ]);
    assert!(said.contains("DeLong") || said.contains("not measurable"), "{said}");
}

#[test]
fn compressed_weights_answer_alike() {
    let dir = tempfile::tempdir().unwrap();
    let model = trained(dir.path(), "run", ["max_epochs = 3", "max_epochs = 1"]);
    let (_, files) = labelled(&dir.path().join("set"), LABELS);
    let scores = |model: &Path| -> Vec<f64> {
        let line = succeeds(&["predict", text(&files[0]), "--model", text(model), "--json"]);
        let answer: Value = serde_json::from_str(&line).unwrap();
        Finding::ALL.map(|f| answer["findings"][f.name()].as_f64().unwrap()).to_vec()
    };
    let reference = scores(&model);
    for (encoding, tolerance) in [("f16", 5e-3), ("i8", 5e-2)] {
        let out = dir.path().join(encoding);
        succeeds(&["export", "--model", text(&model), "--out", text(&out), "--encoding", encoding]);
        let size = |dir: &Path| std::fs::metadata(dir.join("model.safetensors")).unwrap().len();
        assert!(size(&out) < size(&model));
        for (a, b) in reference.iter().zip(scores(&out)) {
            assert!((a - b).abs() < tolerance, "{encoding}: {a} and {b}");
        }
    }
}

#[test]
fn bad_labels_are_named_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let model = trained(dir.path(), "run", ["max_epochs = 3", "max_epochs = 1"]);
    let eval = |name: &str, labels: &str| {
        let (source, _) = labelled(&dir.path().join(name), labels);
        refused(&["eval", "--data", &source, "--model", text(&model), "--json"])
    };
    let said = eval("unknown", "image,patient_id,findings\na.png,1,Mass\nb.png,2,Cold\n");
    assert!(said.contains("labels.csv") && said.contains("line 3") && said.contains("Cold"), "{said}");
    let said = eval("missing", "image,patient_id,findings\na.png,1,Mass\nc.png,2,Mass\n");
    assert!(said.contains("c.png"), "{said}");
    let said = eval("twice", "image,patient_id,findings\na.png,1,Mass\na.png,1,Mass\n");
    assert!(said.contains("labels.csv") && said.contains("a.png"), "{said}");
}

#[test]
fn bad_models_are_named_with_the_tensor() {
    let dir = tempfile::tempdir().unwrap();
    let model = trained(dir.path(), "run", ["max_epochs = 3", "max_epochs = 1"]);
    let (_, files) = labelled(&dir.path().join("set"), LABELS);
    let weights = std::fs::read(model.join("model.safetensors")).unwrap();
    let card = std::fs::read_to_string(model.join("model.json")).unwrap();
    let predict = || refused(&["predict", text(&files[0]), "--model", text(&model)]);
    // Another file than the card describes.
    let mut changed = weights.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(model.join("model.safetensors"), &changed).unwrap();
    assert!(predict().contains("sha256"), "hash");
    // The same with the hash put right: a tensor renamed, one of another shape, one that is not a number.
    let with = |from: &str, to: &str| -> Vec<u8> {
        let header = usize::try_from(u64::from_le_bytes(weights[..8].try_into().unwrap())).unwrap();
        let text = String::from_utf8(weights[8..8 + header].to_vec()).unwrap();
        assert!(text.contains(from), "{text}");
        let text = text.replacen(from, to, 1);
        [&weights[..8], text.as_bytes(), &weights[8 + header..]].concat()
    };
    let mut nan = weights.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    for (bytes, expected) in [
        (with("\"fc.bias\"", "\"fc.bios\""), "`fc.bias` is missing"),
        (with("[14,32]", "[32,14]"), "`fc.weight` is [32, 14], expected [14, 32]"),
        (nan, "NaN"),
        (weights[..weights.len() / 2].to_vec(), "not a readable safetensors file"),
    ] {
        let hash = shared::io::weights::sha256_hex(&bytes);
        let mut card: Value = serde_json::from_str(&card).unwrap();
        card["weights"]["sha256"] = hash.into();
        std::fs::write(model.join("model.json"), card.to_string()).unwrap();
        std::fs::write(model.join("model.safetensors"), &bytes).unwrap();
        let said = predict();
        assert!(said.contains(expected) && said.contains("model.safetensors"), "{said}");
    }
    std::fs::write(model.join("model.json"), "{}").unwrap();
    assert!(predict().contains("model.json: not a valid model card"));
}

#[test]
fn a_bad_file_does_not_keep_the_others_from_their_answer() {
    let dir = tempfile::tempdir().unwrap();
    let model = trained(dir.path(), "run", ["max_epochs = 3", "max_epochs = 1"]);
    let (_, files) = labelled(&dir.path().join("set"), LABELS);
    let (note, empty) = (dir.path().join("note.png"), dir.path().join("empty.dcm"));
    std::fs::write(&note, "not an image").unwrap();
    std::fs::write(&empty, "").unwrap();
    let args =
        ["predict", text(&note), text(&empty), text(&files[0]), "/nowhere.png", "--model", text(&model), "--json"];
    let said = refused(&args);
    for expected in ["note.png: not an x-ray image", "empty.dcm: the file is empty", "/nowhere.png", "3 of 4"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(String::from_utf8(cmim(&args).stdout).unwrap().lines().count(), 1);
}

#[test]
fn every_method_trains_and_answers_as_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let (_, files) = labelled(&dir.path().join("set"), LABELS);
    let data = "phantom:xray?n=20&seed=5";
    for (method, from_image, with_report) in [
        ("resnet", true, false),
        ("cmim", true, true),
        ("tienet", true, false),
        ("joint", false, true),
        ("text", false, true),
        ("oracle", true, false),
    ] {
        let model = dir.path().join(method);
        let config = dir.path().join(format!("{method}.toml"));
        let text_of = TINY.replace("\"cmim\"", &format!("{method:?}")).replace("max_epochs = 3", "max_epochs = 1");
        std::fs::write(&config, text_of).unwrap();
        succeeds(&["train", text(&config), "--out", text(&model)]);
        assert_eq!(model.join("model.json").is_file(), matches!(method, "resnet" | "cmim" | "oracle"), "{method}");
        let eval = ["eval", "--data", data, "--model", text(&model), "--json"];
        let with = [&eval[..], &["--with-reports"]].concat();
        let predict = ["predict", text(&files[0]), "--model", text(&model), "--json"];
        if from_image {
            let report: Value = serde_json::from_str(&succeeds(&eval)).unwrap();
            assert_eq!(report["n"], 20, "{method}");
            assert_eq!(succeeds(&predict).lines().count(), 1);
        } else {
            assert!(refused(&eval).contains("needs the report"), "{method}");
            assert!(refused(&predict).contains("needs the report"), "{method}");
        }
        if with_report {
            let report: Value = serde_json::from_str(&succeeds(&with)).unwrap();
            assert!(report["macro_auroc"].is_number(), "{method}");
        } else if method == "tienet" {
            assert!(refused(&with).contains("from the image alone"));
        }
    }
}

#[test]
fn studies_without_labels_or_reports_are_used_for_what_they_have() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = |name: &str, data: &str| -> Value {
        let model = trained(dir.path(), name, ["min_word_count", &format!("{data}\nmin_word_count")]);
        let lines = std::fs::read_to_string(model.join("metrics.jsonl")).unwrap();
        serde_json::from_str(lines.lines().next().unwrap()).unwrap()
    };
    let all = metrics("all", "");
    assert_eq!(all["paired"], 1.0);
    assert!((all["chance"]["ll"].as_f64().unwrap() - 2.0 * std::f64::consts::LN_2).abs() < 1e-9);
    assert!(all["held_out"]["ll"].is_number());
    let few = metrics("few", "labelled = 16\npaired = 20");
    // 42 images for training: with 16 labelled a pass takes two steps of eight labelled and eight unlabelled ones.
    assert_eq!((&few["step"], &all["step"]), (&Value::from(2), &Value::from(6)));
    assert!(few["paired"].as_f64().unwrap() < 0.8);
    let shuffled = metrics("shuffled", "pairing = \"shuffled\"");
    assert_ne!(shuffled["losses"]["joint"], all["losses"]["joint"]);
    assert_eq!(metrics("read", "labelled = 2\nlabels_from_reports = true")["step"], 6);
}

#[test]
fn a_suite_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut protocol = String::from(
        "name = \"tiny\"\ntitle = \"Tiny\"\nseeds = { first = 5, n = 2 }\npairs = [[\"cmim\", \"resnet\"]]\n\
         [tuning]\nseeds = { first = 0, n = 1 }\n[[tuning.groups]]\nname = \"rate\"\nset = { method = \"resnet\" }\n\
         candidates = [{ training = { learning_rate = 1e-3 } }, { training = { learning_rate = 1e-2 } }]\n\
         [[rows]]\nname = \"cmim\"\nlabel = \"CMIM\"\npublished = 0.793\nset = { method = \"cmim\" }\n\
         [[rows]]\nname = \"resnet\"\nlabel = \"ResNet\"\ntuned = \"rate\"\nset = { method = \"resnet\" }\n\
         [[rows]]\nname = \"both\"\nlabel = \"with reports\"\nwith_reports_of = \"cmim\"\n[config]\n",
    );
    let tiny = TINY
        .replace("max_epochs = 3", "max_epochs = 1")
        .replace("[\"phantom:xray?n=60&", "[\"phantom:xray?seed={seed}&n=60&");
    protocol += &tiny.replace("\n[", "\n[config.");
    let (file, out) = (dir.path().join("tiny.toml"), dir.path().join("out"));
    std::fs::write(&file, protocol).unwrap();
    let run = || succeeds(&["table1", text(&file), "--out", text(&out)]);
    let first = run();
    assert!(first.contains("CMIM") && first.contains("0.793") && first.contains("cmim-resnet"), "{first}");
    let json = || std::fs::read_to_string(out.join("tiny.json")).unwrap();
    let results: Value = serde_json::from_str(&json()).unwrap();
    assert_eq!(results["rows"].as_array().unwrap().len(), 3);
    assert_eq!(results["rows"][0]["seeds"], 2);
    assert!(results["paired"]["cmim-resnet"]["lo"].is_number());
    // One result is lost, as when the program was stopped: that run alone is done again, and the table is the same.
    let lost = out.join("runs/resnet-6.json");
    let (before, kept) = (std::fs::read(&lost).unwrap(), out.join("runs/cmim-5.json"));
    let age = std::fs::metadata(&kept).unwrap().modified().unwrap();
    std::fs::remove_file(&lost).unwrap();
    let areas = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap()["test"].clone();
    assert_eq!(run(), first);
    assert_eq!(areas(&std::fs::read(&lost).unwrap()), areas(&before));
    assert_eq!(std::fs::metadata(&kept).unwrap().modified().unwrap(), age);
    // Results of another protocol are not mixed in.
    let other = std::fs::read_to_string(&file).unwrap().replace("batch_size = 8", "batch_size = 16");
    std::fs::write(&file, other).unwrap();
    assert!(refused(&["table1", text(&file), "--out", text(&out)]).contains("another protocol"));
}

#[test]
fn sources_are_described_and_split_tables_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (split, sheet, vectors) =
        (dir.path().join("split.csv"), dir.path().join("s.png"), dir.path().join("glove.txt"));
    let data = "phantom:xray?n=60&difficulty=0";
    let said = succeeds(&["data", data, "--split-out", text(&split), "--sheet", text(&sheet), "--split-seed", "9"]);
    assert!(said.contains("60 images of 30 patients") && said.contains("sensitivity"), "{said}");
    assert!(image::open(&sheet).unwrap().width() > 1000);
    let said = refused(&["data", "openi", text(dir.path())]);
    assert!(said.contains("neither NLMCXR_reports.tgz nor XML reports"), "{said}");
    let said = succeeds(&["glove", "--reports", data, "--out", text(&vectors), "--dim", "8", "--epochs", "2"]);
    assert!(said.contains("8 numbers each"), "{said}");
    let data = format!("split = {:?}\nword_vectors = {:?}\nmin_word_count", text(&split), text(&vectors));
    let model = trained(dir.path(), "run", ["min_word_count", &data]);
    assert_eq!(std::fs::read(model.join("split.csv")).unwrap(), std::fs::read(&split).unwrap());
    // Vectors of another length are refused with the line.
    std::fs::write(&vectors, "heart 1 2 3\n").unwrap();
    let said = refused(&["train", text(&dir.path().join("run.toml")), "--out", text(&dir.path().join("other"))]);
    assert!(said.contains("glove.txt, line 1: expected a word and 8 numbers"), "{said}");
}
