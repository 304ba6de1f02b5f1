//! MRI in a suite.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::run::{Experiment, RunResult, Score};
use crate::config::SegmentationConfig;
use crate::data::VolumeSource;
use crate::data::volumes::VolumeSet;
use crate::error::Result;
use crate::train::segment::{SubsetScores, load, train_on};
use crate::train::{Options, Silent};

/// The part of a score that holds the Dice at one half.
pub(super) const HALF: &str = "half";

/// Prepared volumes of the last experiments: the rows of a seed share them.
#[derive(Default)]
pub struct Prepared {
    sets: Mutex<VecDeque<(Vec<VolumeSource>, Arc<VolumeSet>)>>,
}

/// How many are kept.
const KEPT: usize = 3;

impl Prepared {
    fn get(&self, config: &SegmentationConfig) -> Result<Arc<VolumeSet>> {
        let data = &config.data;
        let sources: Vec<VolumeSource> =
            data.volumes.iter().chain(&data.validation).chain(&data.test).cloned().collect();
        // Held while volumes are read: who wants the same ones waits for them.
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, set)) = sets.iter().find(|(other, set)| *other == sources && set.grid == config.grid) {
            return Ok(Arc::clone(set));
        }
        let set = Arc::new(load(config)?);
        sets.push_back((sources, Arc::clone(&set)));
        if sets.len() > KEPT {
            sets.pop_front();
        }
        Ok(set)
    }
}

impl Experiment for SegmentationConfig {
    type Shared = Prepared;

    fn parse(file: &str, text: &str) -> Result<Self> {
        Self::parse(file, text)
    }

    fn to_toml(&self) -> Result<String> {
        self.to_toml()
    }

    fn split_by(&mut self, seed: u64) {
        match self.data.folds {
            // Each patient is tested once, so the deal stays the same.
            Some(_) => self.data.fold = seed as usize,
            None => self.data.split_seed = seed,
        }
    }

    fn taught_by(&mut self, teacher: PathBuf) {
        self.data.teacher = Some(teacher);
    }

    fn run(&self, options: &Options, prepared: &Prepared) -> Result<RunResult> {
        let outcome = train_on(self, &*prepared.get(self)?, options, &mut Silent)?;
        let mut scores = BTreeMap::new();
        for subset in &outcome.subsets {
            scores.insert(subset.present.name(), score(subset));
        }
        for subset in &outcome.unseen {
            scores.insert(unseen_name(&subset.present.name()), score(subset));
        }
        Ok(RunResult {
            config: String::new(),
            validation: outcome.validation_dice,
            best_epoch: outcome.best_epoch,
            scores,
            held_out: outcome.held_out,
            n_test: outcome.subsets.first().map_or(0, |subset| subset.dice.len()),
            seconds: 0.0,
        })
    }
}

/// Name of the score of a network that was given a sequence it has never seen.
pub(super) fn unseen_name(given: &str) -> String {
    format!("unseen {given}")
}

/// Mean Dice at the validated threshold; beside it that at one half, the threshold, and each scan's.
fn score(subset: &SubsetScores) -> Score {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let mut parts = BTreeMap::from([
        (HALF.to_owned(), mean(&subset.dice_at_half)),
        ("threshold".to_owned(), f64::from(subset.threshold)),
    ]);
    if subset.dice.len() <= FEW {
        parts.extend(subset.patients.iter().zip(&subset.dice).map(|(name, dice)| (name.clone(), *dice)));
    }
    Score { value: mean(&subset.dice), parts }
}

/// So many scans are kept one by one.
const FEW: usize = 8;
