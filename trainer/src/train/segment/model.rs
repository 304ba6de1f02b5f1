//! What each method trains.

use candle_core::{DType, Device, Module, Tensor};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use shared::mi::{Term, select_locations};
use shared::model::classifier::RunningMeans;
use shared::model::segmenter::{Segmenter, SegmenterOutput, Slices, stack, unet_config};
use shared::model::unet::UNet;
use shared::nn::{Linear, Parameters, cross_entropy, softplus};
use shared::train::Losses;
use shared::{Modality, ModalitySet};

use super::batch::Batch;
use crate::config::Pairing;
use crate::config::segmentation::{SegmentationConfig, SegmentationMethod, Teacher};
use crate::error::Result;

/// Prefix of the variables of what exists at test time.
pub(super) const SEGMENTER: &str = "segmenter";
/// Voxels of a batch that the networks for single voxels are trained on.
const VOXELS: usize = 4096;

/// A model on its variables.
pub(super) struct Model {
    pub(super) segmenter: Segmenter,
    /// The all-sequence path, where it is trained at the same time.
    teacher: Option<UNet>,
    term: Option<Term>,
    /// From the one-sequence features to the teacher's.
    project: Option<Linear>,
    /// Where its variables are; batches are made on the CPU.
    pub(super) device: Device,
}

impl Model {
    pub(super) fn new(config: &SegmentationConfig, parameters: &Parameters) -> Result<Self> {
        let vb = parameters.builder(DType::F32, parameters.device());
        let tie = &config.tie;
        let channels = config.widths.last().copied().unwrap_or(0);
        let is_tied =
            matches!(config.method, SegmentationMethod::Cmim | SegmentationMethod::Fusion) && tie.lambda > 0.0;
        let is_joint = is_tied && tie.teacher == Teacher::Joint;
        let is_matched = config.method == SegmentationMethod::Match && tie.lambda > 0.0;
        Ok(Self {
            segmenter: Segmenter::new(&config.segmenter(), &vb.pp(SEGMENTER))?,
            teacher: is_joint.then(|| teacher(config, &vb.pp("teacher"))).transpose()?,
            term: is_tied.then(|| Term::new(channels, channels, tie.term, &vb.pp("critic_ll"))).transpose()?,
            project: is_matched.then(|| Linear::new(channels, channels, &vb.pp("project"))).transpose()?,
            device: parameters.device().clone(),
        })
    }

    /// The losses of a batch; `frozen` is the teacher that is not trained.
    pub(super) fn losses(
        &self,
        config: &SegmentationConfig,
        frozen: Option<&UNet>,
        batch: &Batch,
        means: &mut RunningMeans,
        rng: &mut ChaCha8Rng,
    ) -> Result<Losses> {
        let mut losses = Losses::default();
        if let Segmenter::Mlp(_, _, mlps) = &self.segmenter {
            for (modality, mlp) in Modality::ALL.into_iter().zip(mlps) {
                if let Some((x, y)) = batch.voxels(modality, config.data.sequences, VOXELS, rng)? {
                    let (x, y) = (x.to_device(&self.device)?, y.to_device(&self.device)?);
                    losses.add("voxels", (mlp.forward(&x)? - y)?.sqr()?.mean_all()?, 1.0)?;
                }
            }
            return Ok(losses);
        }
        let out = self.segmenter.forward_t(&upload(&batch.shown, &self.device)?, true)?;
        if batch.n_labelled > 0 {
            let logits = out.logits.narrow(0, 0, batch.n_labelled)?;
            losses.add("outline", cross_entropy(&logits, &batch.targets.to_device(&self.device)?)?, 1.0)?;
        }
        match config.method {
            SegmentationMethod::Cmim | SegmentationMethod::Fusion => {
                self.tie(config, frozen, batch, &out, means, rng, &mut losses)?;
            }
            SegmentationMethod::Distill | SegmentationMethod::Match if !batch.complete.is_empty() => {
                if let Some(teacher) = frozen {
                    self.imitate(config, teacher, batch, &out, &mut losses)?;
                }
            }
            _ => {}
        }
        Ok(losses)
    }

    /// All sequences of a batch as channels, where the model is.
    fn all(&self, config: &SegmentationConfig, batch: &Batch) -> Result<Tensor> {
        Ok(stack(&batch.all, config.data.sequences)?.to_device(&self.device)?)
    }

    /// Mutual information of the local features with those of all sequences.
    #[allow(clippy::too_many_arguments, reason = "a step's state, seen once")]
    fn tie(
        &self,
        config: &SegmentationConfig,
        frozen: Option<&UNet>,
        batch: &Batch,
        out: &SegmenterOutput,
        means: &mut RunningMeans,
        rng: &mut ChaCha8Rng,
        losses: &mut Losses,
    ) -> Result<()> {
        let (Some(term), Some(local)) = (&self.term, &out.local) else { return Ok(()) };
        if let Some(teacher) = &self.teacher {
            let all = teacher.forward_t(&self.all(config, batch)?, true)?;
            if batch.n_labelled > 0 {
                let logits = all.logits.narrow(0, 0, batch.n_labelled)?;
                losses.add("teacher", cross_entropy(&logits, &batch.targets.to_device(&self.device)?)?, 1.0)?;
            }
            return estimate(config, term, batch, local, &all.local, means, rng, losses);
        }
        let Some(teacher) = frozen else { return Ok(()) };
        let all = teacher.local(&self.all(config, batch)?, false)?.detach();
        estimate(config, term, batch, local, &all, means, rng, losses)
    }

    /// The teacher's soft masks, or its features.
    fn imitate(
        &self,
        config: &SegmentationConfig,
        teacher: &UNet,
        batch: &Batch,
        out: &SegmenterOutput,
        losses: &mut Losses,
    ) -> Result<()> {
        let rows = batch.complete_rows()?.to_device(&self.device)?;
        let all = teacher.forward_t(&self.all(config, batch)?.index_select(&rows, 0)?, false)?;
        if let (Some(project), Some(local)) = (&self.project, &out.local) {
            let wanted = all.local.detach();
            let scale = wanted.sqr()?.mean_all()?.to_scalar::<f32>()?.max(f32::MIN_POSITIVE);
            let distance = (project.forward(&local.index_select(&rows, 0)?)? - wanted)?.sqr()?.mean_all()?;
            return Ok(losses.add("features", (distance / f64::from(scale))?, config.tie.lambda)?);
        }
        if config.tie.lambda == 0.0 {
            return Ok(());
        }
        // -q log σ(z) - (1 - q) log(1 - σ(z)) = sp(z) - q z, where z is the margin of the logits.
        let wanted = candle_nn::ops::sigmoid(&margin(&all.logits)?)?.detach();
        let found = margin(&out.logits.index_select(&rows, 0)?)?;
        let loss = (softplus(&found)? - (found * wanted)?)?.mean_all()?;
        Ok(losses.add("soft masks", loss, config.tie.lambda)?)
    }

    /// `L_ll` of validation slices, and what a critic without knowledge would have.
    pub(super) fn held_out(
        &self,
        config: &SegmentationConfig,
        frozen: Option<&UNet>,
        batch: &Batch,
        rng: &mut ChaCha8Rng,
    ) -> Result<Option<f64>> {
        let Some(term) = &self.term else { return Ok(None) };
        let Some(teacher) = self.teacher.as_ref().or(frozen) else { return Ok(None) };
        let shown = upload(&batch.shown, &self.device)?;
        let Some(local) = self.segmenter.forward_t(&shown, false)?.local else { return Ok(None) };
        let all = teacher.local(&self.all(config, batch)?, false)?;
        let mut losses = Losses::default();
        estimate(config, term, batch, &local, &all, &mut RunningMeans::default(), rng, &mut losses)?;
        losses.parts.first().map(|(_, loss)| Ok(f64::from(loss.to_scalar::<f32>()?))).transpose()
    }
}

/// Slices on a device.
pub(super) fn upload(slices: &Slices, device: &Device) -> Result<Slices> {
    let mut uploaded = slices.clone();
    for slice in uploaded.iter_mut().flatten() {
        *slice = slice.to_device(device)?;
    }
    Ok(uploaded)
}

/// The all-sequence U-Net.
pub(super) fn teacher(config: &SegmentationConfig, vb: &candle_nn::VarBuilder<'_>) -> Result<UNet> {
    Ok(UNet::new(&unet_config(config.data.sequences.len(), &config.widths), vb)?)
}

/// Adds `L_ll` of the rows that have every sequence, with the patient's own or another's features.
#[allow(clippy::too_many_arguments, reason = "a step's state, seen once")]
fn estimate(
    config: &SegmentationConfig,
    term: &Term,
    batch: &Batch,
    local: &Tensor,
    all: &Tensor,
    means: &mut RunningMeans,
    rng: &mut ChaCha8Rng,
    losses: &mut Losses,
) -> Result<()> {
    let rows = &batch.complete;
    let patient = |at: usize| batch.patients[rows[at] as usize];
    let n = rows.len();
    let partners: Vec<usize> = match config.tie.partner {
        Pairing::Own => (0..n).collect(),
        Pairing::Shuffled => match others(n, patient, rng) {
            Some(partners) => partners,
            None => return Ok(()),
        },
    };
    let negatives: Vec<bool> = (0..n * n).map(|at| patient(at / n) != patient(partners[at % n])).collect();
    if !(0..n * n).any(|at| negatives[at] && at / n != at % n) {
        return Ok(());
    }
    let select = |map: &Tensor, rows: Vec<u32>, rng: &mut ChaCha8Rng| -> Result<Tensor> {
        let flat = map.index_select(&Tensor::from_vec(rows, n, map.device())?, 0)?.flatten(1, 2)?; // [N, L, C]
        let l = flat.dim(1)?;
        match config.tie.locations {
            Some(locations) if locations < l => Ok(select_locations(&flat, &vec![l; n], locations, rng)?),
            _ => Ok(flat),
        }
    };
    let local = select(local, rows.clone(), rng)?;
    let all = select(all, partners.iter().map(|&at| rows[at]).collect(), rng)?;
    let (found, weighted) = term.loss(&local, &all, &negatives, config.tie.lambda, &mut means.local_local)?;
    losses.mutual_information = Some(weighted);
    losses.chances.push(("ll", found.chance));
    losses.parts.push(("ll", found.loss));
    Ok(())
}

/// For each of `n` rows another one of another patient, drawn; `None` if one has none.
fn others(n: usize, patient: impl Fn(usize) -> usize, rng: &mut impl Rng) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(rng);
    (0..n)
        .map(|at| {
            // The first of a random order, begun at a random place for each row.
            let start = rng.random_range(0..n.max(1));
            (0..n).map(|i| order[(start + i) % n]).find(|&other| patient(other) != patient(at))
        })
        .collect()
}

/// Logit of tumour minus logit of the rest: `[N, H, W, 2]` to `[N, H, W]`.
pub(super) fn margin(logits: &Tensor) -> Result<Tensor> {
    let at = |k: usize| logits.narrow(3, k, 1)?.squeeze(3);
    Ok((at(1)? - at(0)?)?)
}

/// The sequences that a step shows to a network that takes any.
pub(super) fn drawn(config: &SegmentationConfig, progress: f64, rng: &mut impl Rng) -> ModalitySet {
    let all: Vec<Modality> = config.data.sequences.iter().collect();
    let most = match config.method {
        // The curriculum: first all of them, in the last quarter any number.
        SegmentationMethod::Hemis => (progress * all.len() as f64) as usize,
        _ => all.len(),
    };
    let n_dropped = rng.random_range(0..=most.min(all.len() - 1));
    let mut order = all;
    order.shuffle(rng);
    let kept = order.len() - n_dropped;
    ModalitySet::new(order.into_iter().take(kept)).unwrap_or(config.data.sequences)
}

/// Those of a set, the others left out.
pub(super) fn only(slices: &Slices, set: ModalitySet) -> Slices {
    let mut kept = slices.clone();
    for modality in Modality::ALL.into_iter().filter(|modality| !set.contains(*modality)) {
        kept[modality.index()] = None;
    }
    kept
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use shared::phantom::BrainSource;
    use shared::prep::volume::Grid;

    use super::*;
    use crate::data::VolumeSource;
    use crate::data::volumes::VolumeSet;

    const HEADS: BrainSource = BrainSource { n: 4, seed: 5, size: 16, slices: 2, difficulty: 20, lacking: 0 };

    fn config(method: &str) -> SegmentationConfig {
        let modality = if ["cmim", "distill", "match"].contains(&method) { "modality = \"flair\"" } else { "" };
        SegmentationConfig::parse(
            "test",
            &format!(
                "task = \"segmentation\"\nname = \"test\"\nmethod = \"{method}\"\n{modality}\nseed = 1\nwidths = [4, 6]\n\
                 data = {{ volumes = [\"{HEADS}\"] }}\ngrid = {{ size = 16, pixel_mm = 12.0 }}\n\
                 hemis = {{ width = 4, fuse_width = 3, kernel = 3, head_kernel = 3 }}\n\
                 tie = {{ lambda = 0.5, term = {{ critic = {{ hidden = 5 }} }} }}\n\
                 training = {{ batch_size = 4, learning_rate = 1e-3, max_epochs = 1, patience = 1 }}"
            ),
        )
        .unwrap()
    }

    fn batch(shown: ModalitySet) -> Batch {
        let grid = Grid { size: 16, pixel_mm: 12.0 };
        let data = VolumeSet::load(&[VolumeSource::Phantom(HEADS)], grid).unwrap();
        let items: Vec<usize> = (0..data.slices.len()).collect();
        let slices: Vec<_> = items.iter().map(|&item| data.slice(item).unwrap()).collect();
        let patients = items.iter().map(|&item| data.slices[item].scan).collect();
        Batch::new(&data, items, &slices, 5, patients, [ModalitySet::ALL, shown]).unwrap()
    }

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(0)
    }

    #[test]
    fn every_variable_that_is_trained_receives_a_gradient() {
        for (method, shown, teacher_rule) in [
            ("cmim", "flair", Teacher::Frozen),
            ("cmim", "flair", Teacher::Joint),
            ("distill", "flair", Teacher::Frozen),
            ("match", "flair", Teacher::Frozen),
            ("hemis", "flair+t1+t1c+t2", Teacher::Frozen),
            ("mean", "flair+t1+t1c+t2", Teacher::Frozen),
            ("mlp", "flair+t1+t1c+t2", Teacher::Frozen),
            ("fusion", "flair+t1+t1c+t2", Teacher::Frozen),
        ] {
            let mut config = config(method);
            config.tie.teacher = teacher_rule;
            let parameters = Parameters::new(1);
            let model = Model::new(&config, &parameters).unwrap();
            let frozen = teacher(&config, &Parameters::new(9).builder(DType::F32, &Device::Cpu)).unwrap();
            let batch = batch(shown.parse().unwrap());
            let losses =
                model.losses(&config, Some(&frozen), &batch, &mut RunningMeans::default(), &mut rng()).unwrap();
            let mut sum = losses.task.unwrap();
            if let Some(mi) = losses.mutual_information {
                sum = (sum + mi).unwrap();
            }
            let grads = sum.backward().unwrap();
            let is_trained = |name: &str| method != "mlp" || name.starts_with("segmenter.mlp.");
            for (name, var) in parameters.trainable().into_iter().filter(|(name, _)| is_trained(name)) {
                let grad = grads.get(&var).map(|g| g.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap());
                assert!(grad.is_some_and(|g| g > 0.0 && g.is_finite()), "{method} {teacher_rule:?} {name}: {grad:?}");
            }
        }
    }

    /// The step along the gradient changes each loss by as much as the gradient says.
    #[test]
    fn losses_change_along_their_gradients() {
        for method in ["cmim", "distill", "match", "mlp"] {
            let config = config(method);
            let parameters = Parameters::new(1);
            let model = Model::new(&config, &parameters).unwrap();
            let frozen = teacher(&config, &Parameters::new(9).builder(DType::F32, &Device::Cpu)).unwrap();
            let shown = if method == "mlp" { ModalitySet::ALL } else { ModalitySet::one(Modality::Flair) };
            let batch = batch(shown);
            let value = || {
                let losses =
                    model.losses(&config, Some(&frozen), &batch, &mut RunningMeans::default(), &mut rng()).unwrap();
                match (losses.task.unwrap(), losses.mutual_information) {
                    (task, Some(mi)) => (task + mi).unwrap(),
                    (task, None) => task,
                }
            };
            let grads = value().backward().unwrap();
            let square: f32 = parameters
                .trainable()
                .iter()
                .filter_map(|(_, var)| grads.get(var))
                .map(|grad| grad.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap())
                .sum();
            let step = 1e-2 / square.sqrt();
            let shift = |by: f32| {
                for (_, var) in parameters.trainable() {
                    if let Some(grad) = grads.get(&var) {
                        var.set(&(var.as_tensor() + (grad * f64::from(by)).unwrap()).unwrap()).unwrap();
                    }
                }
            };
            shift(step);
            let above = value().to_scalar::<f32>().unwrap();
            shift(-2.0 * step);
            let below = value().to_scalar::<f32>().unwrap();
            let (found, expected) = ((above - below) / (2.0 * step), square);
            assert!((found / expected - 1.0).abs() < 0.03, "{method}: {found} {expected}");
        }
    }

    #[test]
    fn a_placebo_is_another_patients() {
        let patients = [0, 0, 1, 2, 2, 2, 3];
        for seed in 0..50 {
            let partners = others(7, |at| patients[at], &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
            assert!(partners.iter().enumerate().all(|(at, &other)| patients[at] != patients[other]));
        }
        assert!(others(3, |_| 1, &mut rng()).is_none());
    }

    #[test]
    fn the_curriculum_drops_ever_more_sequences() {
        let mean = |method: &str, progress: f64| {
            let (config, mut rng) = (config(method), rng());
            (0..400).map(|_| drawn(&config, progress, &mut rng).len() as f64).sum::<f64>() / 400.0
        };
        assert_eq!(mean("hemis", 0.0), 4.0);
        assert!((mean("hemis", 0.3) - 3.5).abs() < 0.1);
        assert!((mean("hemis", 0.9) - 2.5).abs() < 0.2);
        assert!((mean("fusion", 0.0) - 2.5).abs() < 0.2);
    }
}
