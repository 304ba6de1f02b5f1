//! The report of a run: what is on the page, and what it says where something is missing.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::mri::MODELS;
use super::{cmim, refused, succeeds, text, xray};

/// Writes the report of a run; gives its text and what the program remarked.
fn report(run: &Path, out: &Path) -> (String, String) {
    let output = cmim(&["report", text(run), "--out", text(out)]);
    let remarks = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{remarks}");
    let html = std::fs::read_to_string(out).unwrap();
    check(&html);
    (html, remarks)
}

/// Holds a page to what every page promises: it is well formed, loads nothing and runs nothing.
fn check(html: &str) {
    let mut xml = html.strip_prefix("<!DOCTYPE html>").unwrap().to_owned();
    // Elements that HTML leaves open; no value of an attribute holds a `>`.
    for void in ["<meta", "<img", "<input"] {
        let parts: Vec<String> = xml.split(void).map(str::to_owned).collect();
        let closed = parts[1..].iter().map(|part| part.replacen('>', "/>", 1));
        xml = std::iter::once(parts[0].clone()).chain(closed).collect::<Vec<_>>().join(void);
    }
    let document = roxmltree::Document::parse(&xml).unwrap();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        assert_ne!(node.tag_name().name(), "script");
        for attribute in node.attributes() {
            let loads = ["src", "href", "srcset", "action"].contains(&attribute.name());
            assert!(!loads || attribute.value().starts_with("data:image/png;base64,"), "{attribute:?}");
            assert!(!attribute.name().starts_with("on"), "{attribute:?}");
        }
    }
    assert!(!html.contains("url(") && !html.contains("@import"));
}

fn n(html: &str, text: &str) -> usize {
    html.matches(text).count()
}

/// Copies the files of a run without some of them.
fn without(run: &Path, copy: PathBuf, left_out: &[&str]) -> PathBuf {
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(run).unwrap() {
        let name = entry.unwrap().file_name();
        if !left_out.iter().any(|other| name == *other) {
            std::fs::copy(run.join(&name), copy.join(&name)).unwrap();
        }
    }
    copy
}

#[test]
fn a_run_on_x_rays_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let run = xray::trained(dir.path(), "run", ["name = \"tiny\"", "name = 'a <script>alert(\"1 & 2\")</script>'"]);
    let said = succeeds(&["report", text(&run)]);
    let html = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(said.contains("report.html"), "{said}");
    check(&html);
    assert!(html.contains("<h1>a &lt;script&gt;alert(&quot;1 &amp; 2&quot;)&lt;/script&gt;</h1>"));

    // A curve for every finding that `cmim eval` can measure, with the same area.
    let data = "phantom:xray?n=60&difficulty=0";
    let eval = succeeds(&["eval", "--data", data, "--model", text(&run), "--part", "test", "--json"]);
    let eval: Value = serde_json::from_str(&eval).unwrap();
    let areas: Vec<&Value> = eval["findings"].as_object().unwrap().values().filter(|found| !found.is_null()).collect();
    assert!(!areas.is_empty());
    assert_eq!(n(&html, "<title>ROC curve, "), areas.len());
    for found in areas {
        let area = format!(">AUC {:.3}</text>", found["auroc"].as_f64().unwrap());
        assert!(html.contains(&area), "{area}");
    }
    let split = std::fs::read_to_string(run.join("split.csv")).unwrap();
    let [train, validation, test] = [",train\n", ",validation\n", ",test\n"].map(|part| n(&split, part));
    let parts = format!("{train} for training, {validation} for validation, {test} for test");
    for expected in [
        "Finished after 3 of at most 3 epochs",
        "knows nothing",
        "Calibrated probabilities",
        "Highest score without it",
        "class=\"heat\"",
        &parts,
        "<code>cmim train ",
        "mind its licence",
        "[preprocessing]",
    ] {
        assert!(html.contains(expected), "{expected}");
    }

    // Nothing of the last epoch's result is there before the run has ended.
    let unfinished = without(&run, dir.path().join("unfinished"), &["model.json", "model.safetensors"]);
    let (html, _) = report(&unfinished, &dir.path().join("unfinished.html"));
    assert!(html.contains("Not finished: 3 of at most 3 epochs so far") && html.contains("knows nothing"));
    assert_eq!((n(&html, "<title>ROC curve, "), n(&html, "<img")), (0, 0));
    let begun = without(&unfinished, dir.path().join("begun"), &["metrics.jsonl"]);
    let (html, _) = report(&begun, &dir.path().join("begun.html"));
    assert!(html.contains("no epoch of at most 3 is recorded yet") && !html.contains("<svg"));

    // Data that are gone: the card still tells, and the source is named.
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    let images = config.lines().find(|line| line.starts_with("images = ")).unwrap();
    let gone = without(&run, dir.path().join("gone"), &[]);
    std::fs::write(gone.join("config.toml"), config.replace(images, "images = [\"nih:/nowhere/a & b\"]")).unwrap();
    let (html, remarks) = report(&gone, &dir.path().join("gone.html"));
    assert!(remarks.contains("note: ") && remarks.contains("nih:/nowhere/a & b"), "{remarks}");
    assert!(html.contains("nih:/nowhere/a &amp; b") && html.contains("AUC (95% interval)"));
    assert_eq!((n(&html, "<title>ROC curve, "), n(&html, "<img")), (0, 0));
    assert!(!html.contains("mind its licence"));

    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    std::fs::write(gone.join("metrics.jsonl"), metrics + "{\"epoch\": 4}\n").unwrap();
    let said = refused(&["report", text(&gone)]);
    assert!(said.contains("metrics.jsonl, line 4: this is no record of an epoch"), "{said}");
    let said = refused(&["report", text(dir.path())]);
    assert!(said.contains(text(dir.path())) && said.contains("this is no training run"), "{said}");
}

#[test]
fn a_method_that_needs_the_report_has_no_maps() {
    let dir = tempfile::tempdir().unwrap();
    let run = xray::trained(dir.path(), "run", ["method = \"cmim\"", "method = \"joint\""]);
    let (html, remarks) = report(&run, &dir.path().join("report.html"));
    assert!(remarks.is_empty(), "{remarks}");
    assert!(html.contains("no image path of its own") && html.contains("The answers rest on the images' own reports."));
    assert!(n(&html, "<title>ROC curve, ") > 0 && n(&html, "<img") > 0);
    assert!(!html.contains("class=\"heat\""));
}

#[test]
fn a_run_on_mri_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let (html, remarks) = report(&MODELS.flair, &dir.path().join("flair.html"));
    assert!(remarks.is_empty(), "{remarks}");
    assert!(html.contains("The mean Dice of the enhancing tumour on 2 test scans is"));
    // Two test scans: a worst and a best one.
    assert_eq!(n(&html, "<img src=\"data:image/png;base64,"), 2);
    assert!(html.contains("Worst: Dice") && html.contains("Best: Dice") && !html.contains("Median: Dice"));
    assert!(html.contains("7 for training, 1 for validation, 2 for test"));

    let (html, _) = report(&MODELS.hemis, &dir.path().join("hemis.html"));
    assert!(html.contains("Of 15 sets of sequences the lowest is"));
    // Each sequence alone, and all four.
    assert_eq!(n(&html, "<h3>Given "), 5);
}
