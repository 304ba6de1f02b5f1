//! The end of a run: thresholds chosen on validation, results on test, weights and their card.

use std::collections::BTreeMap;

use shared::ModalitySet;
use shared::io::card::{CARD_VERSION, DataSet, Training, WeightsFile};
use shared::io::segmenter_card::SubsetCard;
use shared::io::{Encoding, SegmenterCard, Weights};

use super::evaluate::{Feed, HALF, best_threshold, dice, histograms, threshold};
use super::model::{Model, SEGMENTER};
use super::{SegmentationOutcome, SegmentationTask, SubsetScores, unseen};
use crate::config::Pairing;
use crate::config::segmentation::{SegmentationConfig, SegmentationMethod, Teacher};
use crate::data::VolumeSource;
use crate::error::Result;
use crate::evaluate::outlines::mean_by_patient;
use crate::model_dir;
use crate::train::run::Run;

/// Measures the best weights on the test scans, for every set of sequences that the method answers from, and writes them.
pub(super) fn finish(run: &Run<'_, SegmentationTask<'_>>) -> Result<SegmentationOutcome> {
    let (task, model) = (&run.task, run.best_model()?);
    let config = task.config;
    let mut subsets = Vec::new();
    for present in ModalitySet::all() {
        let is_of_data = config.data.sequences.contains_all(present);
        // A set with more than what is used would only repeat another one's result.
        if is_of_data && config.segmenter().used(present) == Some(present) {
            subsets.extend(scores(task, &model, present, Feed::Sequences(present))?);
        }
    }
    let mut in_place = Vec::new();
    for (given, taken_for) in unseen(config) {
        let feed = Feed::InPlaceOf { given, taken_for };
        in_place.extend(scores(task, &model, ModalitySet::one(given), feed)?);
    }
    let prefix = format!("{SEGMENTER}.");
    let weights: BTreeMap<_, _> = run
        .state
        .best
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?.to_owned(), tensor.clone())))
        .collect();
    let weights = Weights::new(model_dir::WEIGHTS, weights)?;
    let card = card(run, &subsets);
    let card = model_dir::write_segmenter(&run.options.out, card, &weights, Encoding::F32)?;
    Ok(SegmentationOutcome {
        validation_dice: run.state.progress.best().and_then(|record| record.validation),
        best_epoch: run.state.progress.best_epoch(),
        subsets,
        unseen: in_place,
        held_out: run.state.progress.best().map(|record| record.held_out.clone()).unwrap_or_default(),
        card,
    })
}

/// Dice of the test scans that have these sequences, at the threshold chosen on the validation scans that have them.
fn scores(
    task: &SegmentationTask<'_>,
    model: &Model,
    present: ModalitySet,
    feed: Feed,
) -> Result<Option<SubsetScores>> {
    let (validation, test) = (task.with(&task.validation, present), task.with(&task.test, present));
    if validation.is_empty() || test.is_empty() {
        return Ok(None);
    }
    let (step, _) = best_threshold(&histograms(model, task.data, &validation, feed)?);
    let found = histograms(model, task.data, &test, feed)?;
    Ok(Some(SubsetScores {
        present,
        threshold: threshold(step),
        patients: test.iter().map(|&scan| task.data.scans[scan].patient.clone()).collect(),
        dice: dice(&found, step),
        dice_at_half: dice(&found, HALF),
    }))
}

fn card(run: &Run<'_, SegmentationTask<'_>>, subsets: &[SubsetScores]) -> SegmenterCard {
    let config = run.task.config;
    let subset = |scores: &SubsetScores| SubsetCard {
        present: scores.present,
        threshold: scores.threshold,
        dice: mean_by_patient(&scores.patients, &scores.dice),
        dice_at_half: mean_by_patient(&scores.patients, &scores.dice_at_half),
        n: scores.patients.len(),
    };
    SegmenterCard {
        version: CARD_VERSION,
        name: config.name.clone(),
        architecture: config.segmenter(),
        grid: config.grid,
        subsets: subsets.iter().map(subset).collect(),
        evaluation: evaluation(config),
        elsewhere: Vec::new(),
        training: Training {
            commands: vec![run.options.command.clone()],
            method: method(config),
            data: data_sets(&run.task),
            seed: config.seed,
            epochs: run.state.progress.best_epoch(),
            trainer: env!("CARGO_PKG_VERSION").to_owned(),
        },
        weights: WeightsFile { file: String::new(), bytes: 0, sha256: String::new(), encoding: Encoding::F32 },
    }
}

fn evaluation(config: &SegmentationConfig) -> String {
    let data = &config.data;
    let measured = "Dice on the network's grid for each scan, mean over scans, thresholds chosen on validation; 95% \
                    bootstrap intervals by patient; empty truth and empty outline give 1";
    if !data.test.is_empty() {
        return format!("{}, kept for the test. {measured}", names(&data.test));
    }
    let division = match data.folds {
        Some(n) => format!("fold {} of {n} by patient", data.fold % n + 1),
        None => "test part (20%) of a split by patient".to_owned(),
    };
    format!("{division}, seed {}, of {}. {measured}", data.split_seed, names(&data.volumes))
}

fn names(sources: &[VolumeSource]) -> String {
    let mut names: Vec<&str> = sources.iter().map(VolumeSource::what).collect();
    names.dedup();
    names.join(" and ")
}

fn method(config: &SegmentationConfig) -> String {
    let tie = &config.tie;
    let seen = match config.modality {
        Some(modality) => format!("{modality} alone at test"),
        None if config.method == SegmentationMethod::Unet => format!("{} at test", config.data.sequences),
        None => "any sequences at test".to_owned(),
    };
    let how = match config.method {
        SegmentationMethod::Cmim | SegmentationMethod::Fusion => {
            let partner = match tie.partner {
                Pairing::Own => "",
                Pairing::Shuffled => " of another patient: a placebo",
            };
            let teacher = match tie.teacher {
                Teacher::Frozen => "trained before",
                Teacher::Joint => "trained at the same time",
            };
            format!("tied by L_ll ({}) to the features of all sequences{partner}, {teacher}; ", tie.lambda)
        }
        SegmentationMethod::Distill => format!("soft masks of the all-sequence network ({}); ", tie.lambda),
        SegmentationMethod::Match => format!("features drawn to the all-sequence network's ({}); ", tie.lambda),
        SegmentationMethod::Mlp => "missing sequences guessed voxel by voxel; ".to_owned(),
        SegmentationMethod::Mean => "missing sequences filled with their mean; ".to_owned(),
        SegmentationMethod::Hemis => "trained with ever fewer sequences; ".to_owned(),
        SegmentationMethod::Unet => String::new(),
    };
    format!("{}: {how}{seen}", config.method.name())
}

fn data_sets(task: &SegmentationTask<'_>) -> Vec<DataSet> {
    let data = &task.config.data;
    let n = |source: usize| {
        let of = |scan: &&crate::data::volumes::Scan| {
            scan.source == source && task.parts.get(&scan.patient) == Some(&crate::data::Part::Train)
        };
        task.data.scans.iter().filter(of).count()
    };
    let set = |(number, source): (usize, &VolumeSource)| DataSet {
        name: source.what().to_owned(),
        n: n(number),
        licence: match source {
            VolumeSource::Brats(_) => "BRATS: CC BY-NC-SA 3.0 or as its year says; no volume is part of the model",
            VolumeSource::Phantom(_) => "generated by this program",
        }
        .to_owned(),
    };
    data.volumes.iter().enumerate().map(set).collect()
}
