//! The lesson: sequences are dropped, methods answer, the state is a link.

use serde_json::{Value, json};
use shared::infer::VolumeSegmenter;
use shared::metric::Overlap;
use shared::phantom::BrainSource;
use shared::phantom::brain::{ENHANCING, patient};
use shared::{Modality, ModalitySet};
use xtask::page::Page;
use xtask::process::root;
use xtask::serve::Weights;

use crate::session::Session;

/// The heads of the lesson.
const HEADS: BrainSource = BrainSource { n: 60, seed: 13, size: 96, slices: 18, difficulty: 30, lacking: 0 };

fn state_of(method: &str) -> String {
    format!(r#"document.querySelector('[data-testid="method-{method}"]')?.dataset.state"#)
}

/// Waits until these methods have answered.
fn wait_for(page: &Page<'_>, methods: &[&str]) {
    for method in methods {
        let condition = format!(r#"{} === "outlined""#, state_of(method));
        page.wait_until(&format!("{method} answers"), &condition).expect("an outline");
    }
}

fn dice(session: &Session, method: &str) -> f64 {
    let script = format!(r#"return document.querySelector('[data-testid="method-{method}"]').dataset.dice"#);
    let dice = session.browser.execute(&script, &[]).expect("readable");
    dice.as_str().and_then(|dice| dice.parse().ok()).unwrap_or_else(|| panic!("{method}: {dice}"))
}

/// The Dice of a shipped network on a head of the lesson, from the program's own code.
fn native_dice(network: &str, index: usize, present: ModalitySet) -> f64 {
    let folder = root().join("static/models").join(network);
    let read = |file: &str| std::fs::read(folder.join(file)).expect("shipped");
    let mut segmenter =
        VolumeSegmenter::from_bytes("model.json", &read("model.json"), &read("model.safetensors")).expect("a network");
    let head = patient(&HEADS, index);
    let volumes = Modality::ALL.map(|m| present.contains(m).then(|| head.sequences[m.index()].clone()));
    let outline = segmenter
        .segment(&["flair", "t1", "t1c", "t2"], &volumes, &mut |_, _| shared::infer::Flow::Continue)
        .expect("an outline");
    Overlap::new(outline.mask.iter().map(|label| *label != 0), head.truth.iter().map(|label| *label == ENHANCING))
        .dice()
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_dropped_sequence_changes_what_is_answered_and_the_address() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_view("lesson");
    wait_for(&page, &["cmim", "hemis", "mean", "mlp"]);
    let with_all = ["hemis", "mean"].map(|method| dice(&session, method));
    for (found, network) in with_all.iter().zip(["mri-hemis", "mri-mean"]) {
        let native = native_dice(network, 12, ModalitySet::ALL);
        assert!((found - native).abs() < 0.01, "{network}: {found} on the page, {native} in the program");
    }
    let click = r#"document.querySelector('[data-testid="switch-t1c"]').click()"#;
    session.browser.execute(click, &[]).expect("clicks");
    page.wait_until("the address tells it", r#"location.search.includes("drop=t1c")"#).expect("told");
    wait_for(&page, &["cmim", "hemis", "mean", "mlp"]);
    assert!(dice(&session, "mean") < with_all[1], "the enhancing rim is seen in T1c alone");
    let row = r#"return document.querySelector('[data-testid="heat-row"][aria-current]').dataset.set"#;
    let set = ModalitySet::new([Modality::Flair, Modality::T1, Modality::T2]).expect("not empty").to_string();
    assert_eq!(session.browser.execute(row, &[]).expect("readable"), json!(set));
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_lesson_is_a_link() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_view("lesson&case=head-18&drop=flair,t1,t2&slice=9&step=2&lang=de");
    wait_for(&page, &["cmim", "hemis"]);
    let told = r#"return [
        document.querySelector('[data-testid="lesson-case"]').value,
        document.querySelector('[data-testid="lesson-slice"]').value,
        document.querySelector('[data-testid="tour-step"]').dataset.step,
        document.querySelector('[data-testid="switch-t1c"]').getAttribute("aria-checked"),
        document.querySelector('[data-testid="switch-t2"]').getAttribute("aria-checked"),
        document.documentElement.lang]"#;
    let told = session.browser.execute(told, &[]).expect("readable");
    assert_eq!(told, json!(["head-18", "8", "2", "true", "false", "de"]));
    let found = dice(&session, "cmim");
    let native = native_dice("mri-t1c", 17, ModalitySet::one(Modality::T1c));
    assert!((found - native).abs() < 0.01, "{found} on the page, {native} in the program");
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn a_real_patient_has_outlines_but_no_dice() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_view("lesson&case=TCGA-FG-6692&drop=t1");
    wait_for(&page, &["cmim", "hemis", "mean", "mlp"]);
    let dice = r#"return document.querySelector('[data-testid="method-hemis"]').dataset.dice ?? null"#;
    assert_eq!(session.browser.execute(dice, &[]).expect("readable"), Value::Null);
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn the_table_of_this_patient_fills_and_a_row_sets_the_switches() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_view("lesson");
    session.browser.execute(r#"document.querySelector('[data-testid="numbers-here"]').click()"#, &[]).expect("clicks");
    // 15 sets by the three methods that read any, and CMIM's; the U-Net may have no network for some.
    let filled = r#"document.querySelectorAll('[data-testid="heat-map"] td.heat').length >= 60"#;
    page.wait_until("the table is full", filled).expect("full");
    let choose = r#"document.querySelector('[data-testid="heat-row"][data-set="T2"] button').click()"#;
    session.browser.execute(choose, &[]).expect("clicks");
    page.wait_until("the switches follow", r#"location.search.includes("drop=flair%2Ct1%2Ct1c")"#).expect("followed");
    let on = r#"return Array.from(document.querySelectorAll('.switch[aria-checked="true"]'), s => s.dataset.testid)"#;
    assert_eq!(session.browser.execute(on, &[]).expect("readable"), json!(["switch-t2"]));
}

#[test]
#[ignore = "needs the built page: run `cargo xtask test browser`"]
fn the_tour_leads_through_six_steps() {
    let session = Session::start(Weights::AtOnce);
    let page = session.open_view("lesson");
    let click = |id: &str| {
        let script = format!(r#"document.querySelector('[data-testid="{id}"]').click()"#);
        session.browser.execute(&script, &[]).expect("clicks")
    };
    click("tour-start");
    for step in 1..=6 {
        let shown = format!(r#"document.querySelector('[data-testid="tour-step"]')?.dataset.step === "{step}""#);
        page.wait_until("the step is shown", &shown).expect("shown");
        let text = "return document.querySelector('[data-testid=\"tour\"]').innerText";
        let text: Value = session.browser.execute(text, &[]).expect("readable");
        assert!(text.as_str().is_some_and(|text| text.len() > 100 && !text.contains("lesson.step")), "{text}");
        if step < 6 {
            click("tour-next");
        }
    }
    click("tour-end");
    page.wait_until("the tour is over", r#"!location.search.includes("step=")"#).expect("over");
}
