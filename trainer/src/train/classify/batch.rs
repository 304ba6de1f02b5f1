//! Batches: varied images, their targets, and for each image with a report that report.

use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use shared::FindingSet;
use shared::finding::Finding;
use shared::phantom::xray;
use shared::prep::image::Preprocessing;
use shared::prep::report::TokenBatch;
use shared::train::PairedBatch;

use super::reports::ReportData;
use crate::config::{Config, Method};
use crate::data::augment::augment;
use crate::data::{DataError, Dataset, Origin, PairKey};
use crate::error::Result;
use crate::train::stream::{Stream, generator};

/// What is drawn once for a run, by the seed of its split, so that methods compared with each other share it.
#[derive(Clone, Copy)]
pub(super) enum Draw {
    /// Whose labels are used.
    Labelled,
    /// Whose reports are used.
    Paired,
    /// Who gets whose report.
    Shuffle,
}

impl Draw {
    pub(super) fn generator(self, config: &Config) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(config.data.split_seed);
        rng.set_stream(1 + self as u64);
        rng
    }
}

/// `n` of the indices, or all, sorted.
pub(super) fn draw(indices: &[usize], n: Option<usize>, config: &Config, what: Draw) -> Vec<usize> {
    let mut drawn = indices.to_vec();
    if let Some(n) = n {
        drawn.shuffle(&mut what.generator(config));
        drawn.truncate(n);
        drawn.sort_unstable();
    }
    drawn
}

/// Everything that batches are made of.
pub(super) struct Material<'a> {
    pub(super) config: &'a Config,
    pub(super) data: &'a Dataset,
    /// The labels that may be used, by study.
    pub(super) labels: &'a [Option<FindingSet>],
    pub(super) reports: Option<&'a ReportData>,
    /// Height and width of the image path's feature map.
    pub(super) grid: usize,
    /// What computes.
    pub(super) device: &'a Device,
}

/// One step's input.
pub(super) struct Batch {
    /// Positions of the studies.
    pub(super) indices: Vec<usize>,
    /// `[N, C, size, size]`.
    pub(super) images: Tensor,
    /// Rows with labels, and those labels: `[M, K]`.
    pub(super) labelled: Tensor,
    pub(super) targets: Tensor,
    pub(super) paired: Option<PairedBatch>,
    /// `[N, K, grid, grid]`: where findings are; for the oracle alone.
    pub(super) places: Option<Tensor>,
}

impl Material<'_> {
    /// The batch of some studies for training: varied images, partners drawn for this step.
    pub(super) fn training(&self, indices: Vec<usize>, epoch: usize, step: usize) -> Result<Batch> {
        let images = self.images(&indices, Some(epoch))?;
        let rows: Vec<u32> =
            (0..).zip(&indices).filter(|(_, i)| self.labels[**i].is_some()).map(|(row, _)| row).collect();
        let targets: Vec<f32> =
            indices.iter().filter_map(|&i| self.labels[i]).flat_map(FindingSet::to_targets).collect();
        let mut rng = generator(self.config.seed, epoch, Stream::Partners(step));
        let paired = self.reports.and_then(|reports| {
            let partners = indices.iter().map(|&i| reports.partner(i, &self.data.studies[i], self.labels[i], &mut rng));
            let partners: Vec<_> = partners.collect();
            collect(partners.into_iter(), |text| reports.varied(text, &self.config.augment, &mut rng))
        });
        let places = (self.config.method == Method::Oracle).then(|| self.places(&indices)).transpose()?;
        Ok(Batch {
            labelled: Tensor::from_slice(&rows, rows.len(), self.device)?,
            targets: Tensor::from_vec(targets, (rows.len(), Finding::COUNT), self.device)?,
            images,
            paired,
            places,
            indices,
        })
    }

    /// Network input of some images, `[N, C, size, size]`; varied where an epoch is given.
    pub(super) fn images(&self, indices: &[usize], epoch: Option<usize>) -> Result<Tensor> {
        let Preprocessing { size, channels, .. } = self.config.preprocessing;
        let mut input = Vec::with_capacity(indices.len() * channels * size * size);
        for &index in indices {
            let mut square = self.data.square(index)?;
            if let Some(epoch) = epoch {
                let mut rng = generator(self.config.seed, epoch, Stream::Image(index as u32));
                augment(&mut square, size, &self.config.augment, &mut rng);
            }
            input.extend(self.config.preprocessing.normalize(&square));
        }
        Ok(Tensor::from_vec(input, (indices.len(), channels, size, size), self.device)?)
    }

    /// The own reports of those of the studies that have one.
    pub(super) fn own_reports(&self, indices: &[usize]) -> Option<PairedBatch> {
        let reports = self.reports?;
        let partners = indices.iter().map(|&i| reports.own_pair(i, &self.data.studies[i]));
        collect(partners, |text| reports.tokens(text))
    }

    fn places(&self, indices: &[usize]) -> Result<Tensor> {
        let mut places = Vec::new();
        for &index in indices {
            match &self.data.studies[index].origin {
                Origin::Phantom { source, index } => places.extend(xray::places(source, *index, self.grid)),
                Origin::File(_) => return Err(DataError::NoPlaces(self.data.studies[index].image.clone()).into()),
            }
        }
        Ok(Tensor::from_vec(places, (indices.len(), Finding::COUNT, self.grid, self.grid), self.device)?)
    }
}

/// The rows that have a partner; `None` if none has.
fn collect(
    partners: impl Iterator<Item = Option<(usize, PairKey)>>,
    mut tokens: impl FnMut(usize) -> Vec<u32>,
) -> Option<PairedBatch> {
    let (mut rows, mut texts, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for (row, (text, key)) in (0..).zip(partners).filter_map(|(row, partner)| Some((row, partner?))) {
        rows.push(row);
        texts.push(tokens(text));
        keys.push(key);
    }
    let negatives = crate::data::pairs::negatives(&keys);
    (!rows.is_empty()).then(|| PairedBatch {
        rows,
        reports: TokenBatch::new(texts.iter().map(Vec::as_slice)),
        negatives,
    })
}

/// How much a positive of each finding counts: as many negatives as there are for one, up to the limit.
pub(super) fn positive_weights(labels: &[Option<FindingSet>], train: &[usize], limit: f64) -> [f32; Finding::COUNT] {
    let known: Vec<FindingSet> = train.iter().filter_map(|&i| labels[i]).collect();
    Finding::ALL.map(|finding| {
        let n_pos = known.iter().filter(|set| set.contains(finding)).count();
        ((known.len() - n_pos) as f64 / n_pos.max(1) as f64).clamp(1.0, limit) as f32
    })
}
