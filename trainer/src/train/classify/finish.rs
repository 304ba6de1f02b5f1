//! The end of a run: the best weights measured on the test split, and their card.

use shared::finding::Finding;
use shared::io::card::{CARD_VERSION, DataSet, Evaluation, FindingCard, ModelCard, Training, WeightsFile};
use shared::io::{Encoding, Weights};

use super::model::image_weights;
use super::{Classification, Outcome};
use crate::checkpoint::write_atomically;
use crate::complete::{ReportPath, complete};
use crate::config::{Method, Pairing};
use crate::data::{ImageSource, Part, ReportSource, Study};
use crate::error::{Error, Result};
use crate::evaluate::{Material, Scored, score};
use crate::figure::reliability;
use crate::model_dir::{self, ModelDir};
use crate::train::run::Run;

/// Name of the figure of the calibration.
const RELIABILITY: &str = "reliability.svg";

/// Measures the best weights, chosen on validation, on the test split, and writes them; for methods whose image path
/// stands alone also the model and its card.
pub(super) fn finish(run: &Run<'_, Classification<'_>>) -> Result<Outcome> {
    let model = run.best_model()?;
    let needs_report = run.task.config.method.needs_report_at_test();
    let scored = |part: Part, with_reports| -> Result<Option<Scored>> {
        run.task.scored(&model, &run.task.split.indices(&run.task.data.studies, part)?, with_reports)
    };
    let too_few = |part| Error::TooFewImages { part, found: 0, needed: 1 };
    let validation = scored(Part::Validation, needs_report)?.ok_or_else(|| too_few("labelled validation"))?;
    let test = scored(Part::Test, needs_report)?.ok_or_else(|| too_few("labelled test"))?;
    let test_with_reports = if needs_report { None } else { scored(Part::Test, true)? };
    if run.task.config.method != Method::ResNet {
        let weights = Weights::new(model_dir::WHOLE_WEIGHTS, run.state.best.clone())?;
        let path = run.options.out.join(model_dir::WHOLE_WEIGHTS);
        write_atomically(&path, &weights.to_safetensors(Encoding::F32)?)?;
    }
    let card = run
        .task
        .config
        .method
        .answers_from_image_path()
        .then(|| -> Result<ModelCard> {
            let card = card(run, &validation, &test)?;
            if let Some(found) = test.reliability(card.calibration.as_ref()) {
                let figure = reliability("Calibrated probabilities, test part, all findings", &found);
                write_atomically(&run.options.out.join(RELIABILITY), figure.as_bytes())?;
            }
            let (card, weights) = completed(run, card)?;
            model_dir::write(&run.options.out, card, &weights, Encoding::F32)
        })
        .transpose()?;
    Ok(Outcome {
        validation_auroc: run.state.progress.best().and_then(|record| record.validation),
        best_epoch: run.state.progress.best_epoch(),
        test,
        test_with_reports,
        held_out: run.state.progress.best().map(|record| record.held_out.clone()).unwrap_or_default(),
        card,
    })
}

/// The card and the weights with what goes beside the image path.
fn completed(run: &Run<'_, Classification<'_>>, card: ModelCard) -> Result<(ModelCard, Weights)> {
    let task = &run.task;
    let test = task.split.indices(&task.data.studies, Part::Test)?;
    let material = Material {
        studies: &task.data.studies,
        square: &|index| Ok(task.data.square(index)?),
        size: task.data.size(),
        train: &task.train,
        validation: &task.validation,
        test: &test,
    };
    let report =
        task.reports.as_ref().and_then(|reports| ReportPath::new(task.config, &reports.tokenizer, &run.state.best));
    complete(card, &image_weights(&run.state.best)?, report, Some(&material), &[])
}

fn card(run: &Run<'_, Classification<'_>>, validation: &Scored, test: &Scored) -> Result<ModelCard> {
    let twin = run.options.twin.as_deref().map(ModelDir::read).transpose()?;
    let twin_scored = twin.as_ref().map(|twin| score_twin(run, twin)).transpose()?;
    let mut commands: Vec<String> = twin.iter().flat_map(|twin| twin.card.training.commands.clone()).collect();
    commands.push(run.options.command.clone());
    let findings = Finding::ALL
        .into_iter()
        .zip(validation.thresholds())
        .zip(test.aurocs())
        .map(|((finding, threshold), auroc)| FindingCard { finding, threshold, auroc })
        .collect();
    Ok(ModelCard {
        version: CARD_VERSION,
        name: run.task.config.name.clone(),
        architecture: run.task.config.image,
        preprocessing: run.task.config.preprocessing,
        findings,
        calibration: Some(validation.calibration(&run.task.positive_weights)),
        evaluation: Some(evaluation(run, test, twin_scored.as_ref())),
        report: None,
        input_check: None,
        training: Training {
            commands,
            method: method(run),
            data: data_sets(run),
            seed: run.task.config.seed,
            epochs: run.state.progress.best_epoch(),
            trainer: env!("CARGO_PKG_VERSION").to_owned(),
        },
        weights: WeightsFile { file: String::new(), bytes: 0, sha256: String::new(), encoding: Encoding::F32 },
    })
}

fn evaluation(run: &Run<'_, Classification<'_>>, test: &Scored, twin: Option<&Scored>) -> Evaluation {
    let config = &run.task.config.data;
    let of = if config.test.is_empty() { &config.images } else { &config.test };
    let sources: Vec<&str> = of.iter().map(ImageSource::what).collect();
    let names = unique(&sources).join(" and ");
    let data = if !config.test.is_empty() {
        format!("{names}, kept for the test; intervals: 95% bootstrap by patient")
    } else if let Some(path) = &config.split {
        format!("test part of {names} as in {}; intervals: 95% bootstrap by patient", path.display())
    } else {
        format!(
            "test part (20%) of a split by patient, seed {}, of {names}; intervals: 95% bootstrap by patient",
            config.split_seed
        )
    };
    test.evaluation(data, twin)
}

/// Scores of the twin on this run's test split, which must be the twin's too.
fn score_twin(run: &Run<'_, Classification<'_>>, twin: &ModelDir) -> Result<Scored> {
    if model_dir::read_split(&twin.path)?.as_ref() != Some(&run.task.split) {
        let file = twin.path.join(model_dir::SPLIT).display().to_string();
        let reason = "the twin was trained with another split: its test images may be this run's training images";
        return Err(Error::Config { file, reason: reason.to_owned() });
    }
    let indices = run.task.split.indices(&run.task.data.studies, Part::Test)?;
    let studies = indices.iter().map(|&i| &run.task.data.studies[i]).filter(|study| study.findings.is_some());
    let studies: Vec<&Study> = studies.collect();
    Ok(Scored::new(score(twin, &studies)?, &studies))
}

fn method(run: &Run<'_, Classification<'_>>) -> String {
    let config = run.task.config;
    match config.method {
        Method::Cmim => {
            let loss = &config.loss;
            let words = match &config.data.word_vectors {
                Some(path) => format!("frozen word vectors from {}", path.display()),
                None => "word vectors learned with the model".to_owned(),
            };
            let pairs = if config.data.pairing == Pairing::Shuffled {
                "each image with another patient's report: a control"
            } else if config.data.reports.is_empty() {
                "each image with its own report"
            } else {
                "images without a report of their own with one of the same finding set, which is not of the same patient"
            };
            format!(
                "cmim: images and reports tied by L_ll ({}), L_lg ({}) and L_gg ({}), joint head ({}), {words}; {pairs}; \
                 image alone at test",
                loss.lambda_ll, loss.lambda_lg, loss.lambda_gg, loss.lambda_joint
            )
        }
        Method::Oracle => "oracle: images, told place and severity of every finding in training".to_owned(),
        Method::ResNet => "resnet: images alone".to_owned(),
        method => method.name().to_owned(),
    }
}

fn unique<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut names = names.to_vec();
    names.dedup();
    names
}

fn data_sets(run: &Run<'_, Classification<'_>>) -> Vec<DataSet> {
    let counts = run.task.n_train_by_source();
    let images = run.task.config.data.images.iter().zip(counts).map(|(source, n)| DataSet {
        name: source.what().to_owned(),
        n,
        licence: match source {
            ImageSource::Nih(_) => "NIH Clinical Center: use without restriction, with attribution (Wang et al. 2017)",
            ImageSource::OpenI(_) => "CC BY-NC-ND 4.0; no image or report is part of the model",
            ImageSource::Covid(_) => "per image, in its metadata; no image or note is part of the model",
            ImageSource::Phantom(_) => "generated by this program",
        }
        .to_owned(),
    });
    let n_reports = run.task.reports.as_ref().map_or(0, super::reports::ReportData::n_matched);
    let reports = (n_reports > 0).then(|| run.task.config.data.reports.first()).flatten().map(|source| match source {
        ReportSource::OpenI(_) => DataSet {
            name: "Open-I reports (Indiana University)".to_owned(),
            n: n_reports,
            licence: "CC BY-NC-ND 4.0; no report is part of the model".to_owned(),
        },
        ReportSource::Phantom(_) => DataSet {
            name: "generated reports".to_owned(),
            n: n_reports,
            licence: "generated by this program".to_owned(),
        },
    });
    images.chain(reports).collect()
}
