//! Enhancing tumour in MRI, from one sequence or from any.

mod batch;
mod evaluate;
mod finish;
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use shared::io::weights::sha256_hex;
use shared::io::{SegmenterCard, Weights};
use shared::model::classifier::RunningMeans;
use shared::model::unet::UNet;
use shared::nn::Parameters;
use shared::train::{Losses, Trained};
use shared::{Modality, ModalitySet};

use self::batch::Batch;
use self::evaluate::{Feed, best_threshold, histograms};
use self::model::{Model, SEGMENTER};
use super::folder::RunFolder;
use super::run::Run;
use super::stream::{Stream, generator, steps};
use super::task::Task;
use super::{Observer, Options, Start};
use crate::checkpoint::write_atomically;
use crate::config::TrainingConfig;
use crate::config::segmentation::{SegmentationConfig, SegmentationMethod, VolumeConfig};
use crate::data::volumes::{self, Division, Scan, VolumeSet};
use crate::data::{Fingerprint, Part};
use crate::error::{Error, Result};
use crate::model_dir::{self, CONFIG, SPLIT};

/// Validation slices in one step of the mutual-information losses, and such steps.
const HELD_OUT: (usize, usize) = (16, 4);

/// What a run has come to.
#[derive(Debug, Clone)]
pub struct SegmentationOutcome {
    /// Best validation result, the mean Dice at the best threshold, and its epoch.
    pub validation_dice: Option<f64>,
    /// From 1.
    pub best_epoch: usize,
    /// Results on the test scans for each set of sequences that the method answers from.
    pub subsets: Vec<SubsetScores>,
    /// For networks of one sequence: results when another one is given in its place.
    pub unseen: Vec<SubsetScores>,
    /// Mutual-information losses on validation slices in the best epoch.
    pub held_out: BTreeMap<String, f64>,
    /// The card.
    pub card: SegmenterCard,
}

/// Dice of the test scans, given certain sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct SubsetScores {
    /// What is there.
    pub present: ModalitySet,
    /// Chosen on validation.
    pub threshold: f32,
    /// The scans' patients.
    pub patients: Vec<String>,
    /// Of each scan at that threshold.
    pub dice: Vec<f64>,
    /// Of each scan at one half.
    pub dice_at_half: Vec<f64>,
}

/// Trains as configured and leaves weights, card, metrics, split and checkpoint in the folder; first the all-sequence
/// U-Net, where it is needed and not given.
///
/// # Errors
///
/// [`Error`]: bad data or configuration, a folder in use, a loss that is not finite, a full disk. The last checkpoint
/// survives all of them.
pub fn train(
    config: &SegmentationConfig,
    options: &Options,
    observer: &mut impl Observer,
) -> Result<SegmentationOutcome> {
    let folder = RunFolder::take(options)?;
    let data = load(config)?;
    train_in(folder, config, &data, options, observer)
}

/// The same on volumes that are prepared already: those of [`load`].
///
/// # Errors
///
/// As [`train`].
pub fn train_on(
    config: &SegmentationConfig,
    data: &VolumeSet,
    options: &Options,
    observer: &mut impl Observer,
) -> Result<SegmentationOutcome> {
    train_in(RunFolder::take(options)?, config, data, options, observer)
}

fn train_in(
    folder: RunFolder,
    config: &SegmentationConfig,
    data: &VolumeSet,
    options: &Options,
    observer: &mut impl Observer,
) -> Result<SegmentationOutcome> {
    let mut dir = config.data.teacher.clone();
    if config.needs_teacher() && dir.is_none() {
        let out = options.out.join("teacher");
        if options.start == Start::Fresh || !out.join(model_dir::CARD).is_file() {
            let options = Options { out: out.clone(), ..options.clone() };
            train_one(RunFolder::take(&options)?, &config.of_teacher(), None, data, &options, observer)?;
        }
        dir = Some(out);
    }
    train_one(folder, config, dir.as_deref().filter(|_| config.needs_teacher()), data, options, observer)
}

/// The volumes of an experiment: those for training first, then for validation, then for test.
///
/// # Errors
///
/// Those of [`VolumeSet::load`].
pub fn load(config: &SegmentationConfig) -> Result<VolumeSet> {
    Ok(VolumeSet::load(&config.data.sources(), config.grid)?)
}

fn train_one(
    folder: RunFolder,
    config: &SegmentationConfig,
    teacher: Option<&Path>,
    data: &VolumeSet,
    options: &Options,
    observer: &mut impl Observer,
) -> Result<SegmentationOutcome> {
    let parameters = Parameters::on(&options.device, config.seed);
    let task = SegmentationTask::new(config, teacher, data, &parameters)?;
    let mut run = Run::new(task, parameters, folder, options, observer)?;
    run.train(observer)?;
    finish::finish(&run)
}

/// An experiment with its volumes.
struct SegmentationTask<'a> {
    config: &'a SegmentationConfig,
    data: &'a VolumeSet,
    parts: BTreeMap<String, Part>,
    /// A number for each scan's patient.
    patients: Vec<usize>,
    /// Training slices that may be used: with an outline, and without.
    labelled: Vec<usize>,
    unlabelled: Vec<usize>,
    /// Scans.
    validation: Vec<usize>,
    test: Vec<usize>,
    /// The all-sequence U-Net that stays as it is.
    teacher: Option<UNet>,
    /// Hash of its weights, also where they are those to start from.
    teacher_hash: Option<String>,
}

impl<'a> SegmentationTask<'a> {
    /// Divides the scans; reads the teacher.
    fn new(
        config: &'a SegmentationConfig,
        teacher: Option<&Path>,
        data: &'a VolumeSet,
        parameters: &Parameters,
    ) -> Result<Self> {
        let parts = parts(config, data)?;
        let names: BTreeSet<&str> = data.scans.iter().map(|scan| scan.patient.as_str()).collect();
        let number: BTreeMap<&str, usize> = names.iter().enumerate().map(|(i, name)| (*name, i)).collect();
        let patients = data.scans.iter().map(|scan| number[scan.patient.as_str()]).collect();
        let of = |part: Part| (0..data.scans.len()).filter(|&i| parts_of(&parts, data, i) == part).collect::<Vec<_>>();
        let is_usable = |scan: &usize| usable(config, data.scans[*scan].present);
        let train: Vec<usize> = of(Part::Train).into_iter().filter(is_usable).collect();
        let outlined = outlined_patients(config, data, &train);
        let (mut labelled, mut unlabelled) = (Vec::new(), Vec::new());
        for &scan in &train {
            let has_outline = data.scans[scan].is_labelled && outlined.contains(data.scans[scan].patient.as_str());
            let slices = if has_outline { &mut labelled } else { &mut unlabelled };
            slices.extend(data.scans[scan].slices.clone());
        }
        let measurable = |scan: &usize| data.scans[*scan].is_labelled;
        let [validation, test] =
            [Part::Validation, Part::Test].map(|part| of(part).into_iter().filter(measurable).collect());
        let (teacher, teacher_hash) = match teacher {
            Some(dir) => read_teacher(config, dir, parameters).map(|(net, hash)| (net, Some(hash)))?,
            None => (None, None),
        };
        let task =
            Self { config, data, parts, patients, labelled, unlabelled, validation, test, teacher, teacher_hash };
        for (part, found) in [
            ("outlined training", task.labelled.len()),
            ("outlined validation", task.validation.len()),
            ("outlined test", task.test.len()),
        ] {
            if found < 1 {
                return Err(Error::TooFewImages { part, found, needed: 1 });
            }
        }
        Ok(task)
    }

    /// The sets of sequences that the method is validated with: its own one, all of them where it is trained on all, or
    /// each alone.
    fn primary(&self) -> Vec<ModalitySet> {
        match (self.config.method, self.config.modality) {
            (_, Some(modality)) => vec![ModalitySet::one(modality)],
            (SegmentationMethod::Unet | SegmentationMethod::Mean, None) => vec![self.config.data.sequences],
            _ => self.config.data.sequences.iter().map(ModalitySet::one).collect(),
        }
    }

    /// Those of some scans that have certain sequences.
    fn with(&self, scans: &[usize], present: ModalitySet) -> Vec<usize> {
        scans.iter().copied().filter(|&scan| self.data.scans[scan].present.contains_all(present)).collect()
    }

    /// Slices of an epoch that have an outline: all with tumour, and of the others as many as configured.
    fn outlined(&self, epoch: usize) -> Vec<usize> {
        let Some(share) = self.config.data.empty_per_tumour else { return self.labelled.clone() };
        let has_tumour = |slice: &&usize| self.data.slices[**slice].n_enhancing > 0;
        let (mut chosen, mut empty): (Vec<&usize>, Vec<&usize>) = self.labelled.iter().partition(has_tumour);
        empty.shuffle(&mut generator(self.config.seed, epoch, Stream::Empty));
        empty.truncate(self.n_empty(chosen.len(), share));
        chosen.extend(empty);
        chosen.into_iter().copied().collect()
    }

    fn n_empty(&self, n_tumour: usize, share: f64) -> usize {
        ((n_tumour as f64 * share).round() as usize).min(self.labelled.len() - n_tumour)
    }

    /// Whether slices without an outline are of use.
    fn uses_unlabelled(&self) -> bool {
        matches!(
            self.config.method,
            SegmentationMethod::Cmim
                | SegmentationMethod::Fusion
                | SegmentationMethod::Distill
                | SegmentationMethod::Match
                | SegmentationMethod::Mlp
        )
    }

    fn make(&self, items: Vec<usize>, shown: ModalitySet, vary: impl Fn(usize, &mut volumes::Slice)) -> Result<Batch> {
        let n_labelled = items.iter().filter(|item| self.labelled.binary_search(item).is_ok()).count();
        let mut slices = Vec::with_capacity(items.len());
        for &item in &items {
            let mut slice = self.data.slice(item)?;
            vary(item, &mut slice);
            slices.push(slice);
        }
        let patients = items.iter().map(|&item| self.patients[self.data.slices[item].scan]).collect();
        Batch::new(self.data, items, &slices, n_labelled, patients, [self.config.data.sequences, shown])
    }
}

/// Whether a scan with these sequences can be trained on: it has what the network reads.
fn usable(config: &SegmentationConfig, present: ModalitySet) -> bool {
    config.segmenter().used(present).is_some()
}

fn parts_of(parts: &BTreeMap<String, Part>, data: &VolumeSet, scan: usize) -> Part {
    parts.get(&data.scans[scan].patient).copied().unwrap_or(Part::Train)
}

/// The part of each patient: as the sources say, or drawn.
fn parts(config: &SegmentationConfig, data: &VolumeSet) -> Result<BTreeMap<String, Part>> {
    let of = &config.data;
    if of.validation.is_empty() && of.test.is_empty() {
        let names: Vec<String> = data.scans.iter().map(|scan| scan.patient.clone()).collect();
        let division = match of.folds {
            Some(n) => Division::Folds { n, test: of.fold },
            None => Division::Shares,
        };
        return Ok(volumes::split(&names, division, of.split_seed)?);
    }
    let mut parts = BTreeMap::new();
    for scan in &data.scans {
        let part = match scan.source {
            i if i < of.volumes.len() => Part::Train,
            i if i < of.volumes.len() + of.validation.len() => Part::Validation,
            _ => Part::Test,
        };
        if *parts.entry(scan.patient.clone()).or_insert(part) != part {
            let reason =
                format!("patient {} is in the data of two parts: what is learned must not be tested on", scan.patient);
            return Err(Error::Config { file: config.name.clone(), reason });
        }
    }
    Ok(parts)
}

/// The training patients whose outlines are used.
fn outlined_patients<'a>(config: &SegmentationConfig, data: &'a VolumeSet, train: &[usize]) -> BTreeSet<&'a str> {
    let labelled = train.iter().map(|&scan| &data.scans[scan]).filter(|scan| scan.is_labelled);
    let mut patients: Vec<&str> = labelled.map(|scan| scan.patient.as_str()).collect();
    patients.sort_unstable();
    patients.dedup();
    if let Some(n) = config.data.labelled {
        patients.shuffle(&mut generator(config.data.split_seed, 0, Stream::Order));
        patients.truncate(n);
    }
    patients.into_iter().collect()
}

/// The teacher's weights: as a network of its own that stays as it is, or for the voxel networks as their own U-Net; and
/// the hash of their file.
fn read_teacher(config: &SegmentationConfig, dir: &Path, parameters: &Parameters) -> Result<(Option<UNet>, String)> {
    let path = dir.join(model_dir::WEIGHTS);
    let bytes = std::fs::read(&path).map_err(Error::file(&path, "cannot read the all-sequence network"))?;
    let (weights, hash) = (Weights::from_safetensors(&path.display().to_string(), &bytes)?, sha256_hex(&bytes));
    let (own, prefix) = match config.method {
        SegmentationMethod::Mlp => (parameters.clone(), format!("{SEGMENTER}.")),
        _ => (Parameters::on(parameters.device(), 0), String::new()),
    };
    for (name, tensor) in weights.tensors() {
        own.set(&format!("{prefix}{name}"), &Tensor::from_slice(&tensor.data, tensor.shape.as_slice(), &Device::Cpu)?)?;
    }
    if config.method == SegmentationMethod::Mlp {
        return Ok((None, hash));
    }
    let n = own.all().len();
    let net = model::teacher(config, &own.builder(DType::F32, own.device()))?;
    if own.all().len() != n {
        let reason = format!("{}: its widths or sequences are not those of this experiment", path.display());
        return Err(Error::Config { file: config.name.clone(), reason });
    }
    Ok((Some(net), hash))
}

impl Task for SegmentationTask<'_> {
    type Config = SegmentationConfig;
    type Batch = Batch;
    type Model = Model;

    const MEASURE: &'static str = "Dice";

    fn config(&self) -> &SegmentationConfig {
        self.config
    }

    fn continued(&self, saved: &SegmentationConfig) -> SegmentationConfig {
        // Where data lie may change: what they are is in the fingerprint.
        let VolumeConfig { volumes, validation, test, teacher, .. } = self.config.data.clone();
        let data = VolumeConfig { volumes, validation, test, teacher, ..saved.data.clone() };
        SegmentationConfig { training: self.config.training.continued(&saved.training), data, ..saved.clone() }
    }

    fn fingerprint(&self) -> Fingerprint {
        let scans = &self.data.scans;
        let outlined = |scan: &&Scan| scan.is_labelled;
        let part = |i: usize| format!("{} {}", scans[i].patient, parts_of(&self.parts, self.data, i).name());
        Fingerprint::default()
            .with("scans", scans.iter().map(|scan| format!("{} {} {:?}", scan.name, scan.present, scan.positions)))
            .with("outlined scans", scans.iter().filter(outlined).map(|scan| &scan.name))
            .with("slices", self.data.checksums().iter().map(|sum| sum.to_le_bytes()))
            .with("patients in their parts", (0..scans.len()).map(part))
            .with("all-sequence networks", &self.teacher_hash)
    }

    fn training(&self) -> &TrainingConfig {
        &self.config.training
    }

    fn name(&self) -> &str {
        &self.config.name
    }

    fn seed(&self) -> u64 {
        self.config.seed
    }

    fn summary(&self) -> Result<String> {
        let mut text = format!(
            "{} scans, {} slices; for training {} outlined slices and {} others, {} scans for validation, {} for test",
            self.data.scans.len(),
            self.data.slices.len(),
            self.labelled.len(),
            if self.uses_unlabelled() { self.unlabelled.len() } else { 0 },
            self.validation.len(),
            self.test.len()
        );
        for note in &self.data.notes {
            text += "; ";
            text += note;
        }
        Ok(text)
    }

    fn write_inputs(&self, out: &Path) -> Result<()> {
        let scans = self.data.scans.iter().enumerate();
        let rows =
            scans.map(|(i, scan)| (scan.name.as_str(), scan.patient.as_str(), parts_of(&self.parts, self.data, i)));
        write_atomically(&out.join(SPLIT), volumes::split::to_csv(rows).as_bytes())?;
        write_atomically(&out.join(CONFIG), self.config.to_toml()?.as_bytes())
    }

    fn build(&self, parameters: &Parameters) -> Result<Model> {
        Model::new(self.config, parameters)
    }

    fn trained(&self, parameters: &Parameters) -> Vec<Trained> {
        let training = &self.config.training;
        let voxels_alone = self.config.method == SegmentationMethod::Mlp;
        let rate = |name: &str| match training.critic_learning_rate {
            Some(rate) if name.starts_with("critic_") => rate,
            _ => training.learning_rate,
        };
        parameters
            .trainable()
            .into_iter()
            .filter(|(name, _)| !voxels_alone || name.starts_with(&format!("{SEGMENTER}.mlp.")))
            .map(|(name, var)| Trained { learning_rate: rate(&name), name, var })
            .collect()
    }

    fn n_steps(&self) -> usize {
        let n = match self.config.data.empty_per_tumour {
            None => self.labelled.len(),
            Some(share) => {
                let n_tumour = self.labelled.iter().filter(|slice| self.data.slices[**slice].n_enhancing > 0).count();
                n_tumour + self.n_empty(n_tumour, share)
            }
        };
        n.div_ceil(self.config.training.batch_size)
    }

    fn steps(&self, epoch: usize) -> Vec<Vec<usize>> {
        let unlabelled: &[usize] = if self.uses_unlabelled() { &self.unlabelled } else { &[] };
        steps(&self.outlined(epoch), unlabelled, &self.config.training, self.config.seed, epoch)
    }

    fn batch(&self, mut items: Vec<usize>, epoch: usize, step: usize) -> Result<Batch> {
        let mut rng = generator(self.config.seed, epoch, Stream::Partners(step));
        let progress = (epoch - 1) as f64 / self.config.training.max_epochs as f64;
        let shown = match self.config.method {
            SegmentationMethod::Hemis | SegmentationMethod::Fusion => model::drawn(self.config, progress, &mut rng),
            _ => self.config.modality.map_or(self.config.data.sequences, ModalitySet::one),
        };
        // Scans that lack what is shown are left out of the step; where none has all of it, what the first one has is shown.
        let present = |item: &usize| self.data.scans[self.data.slices[*item].scan].present;
        let shown = if self.config.method == SegmentationMethod::Mean
            || items.iter().any(|item| present(item).contains_all(shown))
        {
            shown
        } else {
            present(&items[0]).intersection(self.config.data.sequences).unwrap_or(shown)
        };
        if self.config.method != SegmentationMethod::Mean {
            items.retain(|item| present(item).contains_all(shown));
        }
        // Outlined ones first.
        items.sort_by_key(|item| self.labelled.binary_search(item).is_err());
        self.make(items, shown, |item, slice| {
            let mut rng = generator(self.config.seed, epoch, Stream::Image(item as u32));
            self.config.augment.apply(&mut slice.pixels, &mut slice.outline, self.data.grid.size, &mut rng);
        })
    }

    fn losses(&self, model: &Model, batch: &Batch, means: &mut RunningMeans, rng: &mut ChaCha8Rng) -> Result<Losses> {
        model.losses(self.config, self.teacher.as_ref(), batch, means, rng)
    }

    fn count(&self, batch: &Batch) -> [usize; 2] {
        [batch.items.len(), batch.complete.len()]
    }

    fn items(&self, batch: &Batch) -> String {
        let name = |item: &usize| {
            let scan = &self.data.scans[self.data.slices[*item].scan];
            format!("slice {} of {}", scan.positions[item - scan.slices.start], scan.name)
        };
        batch.items.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    fn validate(&self, model: &Model) -> Result<Option<f64>> {
        let mut all = Vec::new();
        for present in self.primary() {
            let scans = self.with(&self.validation, present);
            if !scans.is_empty() {
                let found = histograms(model, self.data, &scans, Feed::Sequences(present))?;
                all.push(best_threshold(&found).1);
            }
        }
        Ok((!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64))
    }

    fn held_out(&self, model: &Model) -> Result<BTreeMap<String, f64>> {
        // Always the same locations, so that epochs can be compared.
        let mut rng = generator(self.config.seed, 0, Stream::Locations);
        let scans = self.with(&self.validation, self.config.data.sequences);
        // Slices of many patients in each step.
        let slices: Vec<usize> = scans.iter().map(|&scan| middle(&self.data.scans[scan].slices)).collect();
        let (mut sum, mut n) = (0.0, 0usize);
        for part in slices.chunks(HELD_OUT.0).take(HELD_OUT.1).filter(|part| part.len() > 1) {
            let shown = self.config.modality.map_or(self.config.data.sequences, ModalitySet::one);
            let batch = self.make(part.to_vec(), shown, |_, _| {})?;
            if let Some(loss) = model.held_out(self.config, self.teacher.as_ref(), &batch, &mut rng)? {
                sum += loss;
                n += 1;
            }
        }
        Ok(if n > 0 { BTreeMap::from([("ll".to_owned(), sum / n as f64)]) } else { BTreeMap::new() })
    }
}

fn middle(range: &std::ops::Range<usize>) -> usize {
    usize::midpoint(range.start, range.end)
}

/// One sequence that a network of one sequence was not made for, and the one it was made for.
fn unseen(config: &SegmentationConfig) -> Vec<(Modality, Modality)> {
    let Some(own) = config.modality else { return Vec::new() };
    config.data.sequences.iter().filter(|other| *other != own).map(|other| (other, own)).collect()
}
