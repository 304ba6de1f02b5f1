//! What a run on x-rays has come to: ROC curves, the table of findings, calibration, samples.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};
use shared::finding::Finding;
use shared::io::ModelCard;
use shared::io::card::Auroc;
use shared::metric::{Interval, OperatingPoint, roc_curve};

use super::run::Run;
use super::{Told, unreadable, with_interval, xrays};
use crate::config::Config;
use crate::data::{self, Part, Split, Study, union};
use crate::error::{Error, Result};
use crate::evaluate::{CARD_MIN_POSITIVES, EvaluationReport, Scored, score};
use crate::figure::{Roc, reliability, roc};
use crate::model_dir::{ModelDir, read_split};
use crate::train::WholeModel;

/// Tells of a run on x-rays.
pub(super) fn tell(run: &Run, config: &Config) -> Result<Told> {
    let split = read_split(&run.path)?;
    let parts = split.as_ref().map(|split| Part::ALL.map(|part| split.n(part)));
    let mut told = Told { parts, ..Told::default() };
    if !run.is_finished() {
        return Ok(told);
    }
    let model = config.method.answers_from_image_path().then(|| ModelDir::read(&run.path)).transpose()?;
    let card = model.as_ref().map(|model| &model.card);
    if let Some(card) = card {
        told.training = Some(card.training.clone());
        told.evaluation = card.evaluation.as_ref().map(|evaluation| evaluation.data.clone());
        told.result = card_result(card);
    }
    let Some(split) = split else {
        told.missing
            .push("There is no split.csv in the folder: which images were for the test is not known.".to_owned());
        return Ok(told);
    };
    match answered(run, config, model.as_ref(), &split, &mut told.missing)? {
        Some((scored, studies)) => {
            let mut report = EvaluationReport::new(&scored, CARD_MIN_POSITIVES);
            if card.is_none() || report.macro_auroc.is_none() {
                told.result = vec![measured_result(&scored, config)];
            }
            if let Some(card) = card {
                report = report.with_card(&scored, card);
            }
            let studies: Vec<&Study> = studies.iter().collect();
            told.sections.push(curves(&scored, &report));
            told.sections.push(findings(&rows(&report, card), report.n));
            told.sections.push(calibration(&scored, card));
            told.sections.push(xrays::samples(config, model.as_ref(), &scored, &studies)?);
            told.has_images = true;
        }
        None => told.sections.extend(card.map(|card| {
            let n = card.evaluation.as_ref().map_or(0, |evaluation| evaluation.n);
            findings(&card_rows(card), n)
        })),
    }
    Ok(told)
}

/// Scores of the test images that are at hand; `None` and a sentence if there are none.
fn answered(
    run: &Run,
    config: &Config,
    model: Option<&ModelDir>,
    split: &Split,
    missing: &mut Vec<String>,
) -> Result<Option<(Scored, Vec<Study>)>> {
    let sources = config.data.sources();
    let mut blame = |error: &data::DataError| missing.push(unreadable(&sources, union, error));
    let mut studies = match union(&sources) {
        Ok(listing) => listing.studies,
        Err(error) => {
            blame(&error);
            return Ok(None);
        }
    };
    studies.retain(|study| split.part(&study.image) == Some(Part::Test));
    let (found, expected) = (studies.len(), split.n(Part::Test));
    let needs_report = config.method.needs_report_at_test();
    studies.retain(|study| study.findings.is_some() && (study.report.is_some() || !needs_report));
    let refs: Vec<&Study> = studies.iter().collect();
    let scores = match model {
        Some(model) => score(model, &refs),
        None => WholeModel::read(&run.path)?.scores(&refs, needs_report),
    };
    let scores = match scores {
        Err(Error::Data(error)) => {
            blame(&error);
            return Ok(None);
        }
        scores => scores?,
    };
    if found < expected {
        missing.push(format!(
            "Of the {expected} test images {} are not in the data any more: curves, table and samples are of the others.",
            expected - found
        ));
    }
    let scored = Scored::new(scores, &refs);
    Ok((!studies.is_empty()).then_some((scored, studies)))
}

/// The main result as the card has it.
fn card_result(card: &ModelCard) -> Vec<String> {
    let Some(evaluation) = &card.evaluation else { return vec!["Nothing was measured on the test part.".to_owned()] };
    let (n, patients) = (evaluation.n, evaluation.n_patients);
    let Some(Interval { value, lo, hi }) = evaluation.macro_auroc else { return vec![no_mean(n)] };
    let mut result = vec![mean([value, lo, hi], evaluation.macro_findings.len(), n, patients)];
    if let Some(twin) = &evaluation.image_only_twin {
        let Interval { value, lo, hi } = twin.difference;
        result.push(format!("That is {value:+.3} ({lo:+.3} to {hi:+.3}) beside its twin of images alone."));
    }
    let with_report = card.report.as_ref().and_then(|report| report.evaluation.as_ref());
    if let Some((measured, Interval { value, lo, hi })) = with_report.and_then(|of| Some((of, of.macro_auroc?))) {
        let of = measured.n;
        result.push(format!("With a report beside the image it is {} on {of} images.", with_interval([value, lo, hi])));
    }
    result
}

/// The main result of a method without a card, or of a test part that is too small for a card's mean, measured now.
fn measured_result(scored: &Scored, config: &Config) -> String {
    let least = scored.min_positives();
    let report = EvaluationReport::new(scored, least);
    let mut text = match (report.macro_auroc, report.lo, report.hi) {
        (Some(value), Some(lo), Some(hi)) => {
            mean([value, lo, hi], report.macro_findings.len(), report.n, report.n_patients)
        }
        _ => no_mean(report.n),
    };
    if report.macro_auroc.is_some() && least < CARD_MIN_POSITIVES {
        let _ = write!(text, " Findings in at least {least} images count; a card asks for {CARD_MIN_POSITIVES}.");
    }
    if config.method.needs_report_at_test() {
        text += " The answers rest on the images' own reports.";
    }
    text
}

fn mean(of: [f64; 3], n_findings: usize, n: usize, n_patients: usize) -> String {
    let (value, over) = (with_interval(of), if n_findings == 1 { "finding" } else { "findings" });
    format!(
        "The mean area under the ROC curve on the test part is {value}, 95% interval in brackets, over {n_findings} {over} \
         and {n} images of {n_patients} patients."
    )
}

fn no_mean(n: usize) -> String {
    format!("No finding has the {CARD_MIN_POSITIVES} test images that a mean area needs: the test part has {n} images.")
}

/// A finding's line in the table.
struct Row {
    finding: Finding,
    auroc: Option<Auroc>,
    threshold: Option<f32>,
    point: Option<OperatingPoint>,
}

fn rows(report: &EvaluationReport, card: Option<&ModelCard>) -> Vec<Row> {
    let point = |finding: Finding| report.operating_points.as_ref().and_then(|points| points.0[finding.index()]);
    let threshold = |finding: Finding| card.and_then(|card| card.findings[finding.index()].threshold);
    let row = |finding: Finding| Row {
        finding,
        auroc: report.findings.0[finding.index()],
        threshold: threshold(finding),
        point: point(finding),
    };
    Finding::ALL.map(row).into()
}

fn card_rows(card: &ModelCard) -> Vec<Row> {
    let rows = card.findings.iter();
    rows.map(|of| Row { finding: of.finding, auroc: of.auroc, threshold: of.threshold, point: None }).collect()
}

/// A finding's name for people.
pub(super) fn label(finding: Finding) -> String {
    finding.name().replace('_', " ")
}

fn curves(scored: &Scored, report: &EvaluationReport) -> Markup {
    let curve = |finding: Finding| {
        let (scores, present) = scored.column(finding);
        let Auroc { auroc, lo, hi, n_pos, n } = report.findings.0[finding.index()]?;
        let points = roc_curve(&scores, &present)?;
        let point = report.operating_points.as_ref().and_then(|points| points.0[finding.index()]);
        let notes = [format!("AUC {auroc:.3}"), format!("{lo:.3} to {hi:.3}"), format!("{n_pos} of {n} images")];
        let mark = point.map(|point| (1.0 - point.specificity, point.sensitivity));
        Some(roc(&Roc { name: &label(finding), points: &points, mark, notes: &notes }))
    };
    let curves: Vec<String> = Finding::ALL.into_iter().filter_map(curve).collect();
    html! {
        section {
            h2 { "ROC curves of the test part" }
            @if curves.is_empty() {
                p { "No finding has a test image with it and one without it, so no curve can be drawn." }
            } @else {
                p.hint {
                    "Area with its 95% bootstrap interval by patient. The curve of a finding in few images is rough, and its \
                     interval wide."
                    @if report.operating_points.is_some() {
                        " The dot is the threshold of the model's card, chosen on the validation part."
                    }
                }
                div.multiples { @for curve in &curves { figure { (PreEscaped(curve)) } } }
            }
        }
    }
}

fn findings(rows: &[Row], n: usize) -> Markup {
    let share = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"));
    html! {
        section {
            h2 { "Findings" }
            div.wide {
                table {
                    thead {
                        tr {
                            th scope="col" { "Finding" }
                            th scope="col" { "Images with it, of " (n) }
                            th scope="col" { "AUC (95% interval)" }
                            th scope="col" { "Threshold" }
                            th scope="col" { "Sensitivity" }
                            th scope="col" { "Specificity" }
                        }
                    }
                    tbody {
                        @for row in rows {
                            tr {
                                th scope="row" { (label(row.finding)) }
                                @match row.auroc {
                                    Some(Auroc { auroc, lo, hi, n_pos, .. }) => {
                                        td { (n_pos) }
                                        td { (with_interval([auroc, lo, hi])) }
                                    }
                                    None => { td { "–" } td { "not measurable" } }
                                }
                                td { (share(row.threshold.map(f64::from))) }
                                td { (share(row.point.map(|point| point.sensitivity))) }
                                td { (share(row.point.map(|point| point.specificity))) }
                            }
                        }
                    }
                }
            }
            p.hint {
                "A finding is called present from its threshold on, which was chosen on the validation part; sensitivity and \
                 specificity are those of the test part. A dash: not chosen, or not measurable."
            }
        }
    }
}

fn calibration(scored: &Scored, card: Option<&ModelCard>) -> Markup {
    let calibration = card.and_then(|card| card.calibration.as_ref());
    let figures = [
        scored.reliability(None).map(|found| reliability("Scores as they are", &found)),
        calibration
            .and_then(|calibration| scored.reliability(Some(calibration)))
            .map(|found| reliability("Calibrated probabilities", &found)),
    ];
    html! {
        section {
            h2 { "Calibration" }
            p.hint {
                "How often a finding is there, beside the probability that was predicted; all findings together, in bins of \
                 equal number. On the dashed line a probability means what it says. Both axes reach as far as the dots."
                @if calibration.is_none() { " This method's scores are not calibrated." }
            }
            div.pair { @for figure in figures.iter().flatten() { figure { (PreEscaped(figure)) } } }
        }
    }
}
