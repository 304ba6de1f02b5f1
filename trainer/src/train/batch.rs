//! Batches: varied images, their targets, and for each image with a matching report that report.

use candle_core::{Device, Tensor};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use shared::finding::Finding;
use shared::prep::image::Preprocessing;
use shared::prep::report::TokenBatch;

use crate::config::Config;
use crate::data::augment::augment;
use crate::data::{Dataset, PairKey, Pairs};
use crate::error::Result;

/// Streams of random numbers of one run, so that what one part draws does not move another's draws.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    /// Order of the images.
    Order,
    /// Variation of one image.
    Image(u32),
    /// Partners and sampled locations.
    Reports,
}

/// The generator of a stream in an epoch: a function of the seed alone, so that a resumed run draws the same.
pub(super) fn generator(seed: u64, epoch: usize, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let lane = match stream {
        Stream::Order => 0,
        Stream::Reports => 1,
        Stream::Image(index) => 2 + u64::from(index),
    };
    rng.set_stream((epoch as u64) << 34 | lane);
    rng
}

/// The training images of an epoch in random order, in batches; a last one of a single image is left out, since batch
/// norm cannot train on it.
pub(super) fn batches(train: &[usize], config: &Config, epoch: usize) -> Vec<Vec<usize>> {
    let mut order = train.to_vec();
    order.shuffle(&mut generator(config.seed, epoch, Stream::Order));
    order.chunks(config.training.batch_size).filter(|batch| batch.len() > 1).map(<[usize]>::to_vec).collect()
}

/// Network input of some images, `[N, C, size, size]`; varied where an epoch is given.
pub(super) fn images(data: &Dataset, indices: &[usize], config: &Config, epoch: Option<usize>) -> Result<Tensor> {
    let Preprocessing { size, channels, .. } = config.preprocessing;
    let image_len = channels * size * size;
    let mut input = vec![0f32; indices.len() * image_len];
    input.par_chunks_exact_mut(image_len).zip(indices).for_each(|(input, &index)| {
        let mut square = data.square(index).to_vec();
        if let Some(epoch) = epoch {
            let mut rng = generator(config.seed, epoch, Stream::Image(index as u32));
            augment(&mut square, size, &config.augment, &mut rng);
        }
        input.copy_from_slice(&config.preprocessing.normalize(&square));
    });
    Ok(Tensor::from_vec(input, (indices.len(), channels, size, size), &Device::Cpu)?)
}

/// Targets of some images, `[N, K]`.
pub(super) fn targets(data: &Dataset, indices: &[usize]) -> Result<Tensor> {
    let targets: Vec<f32> = indices.iter().flat_map(|&i| data.studies[i].known_findings().to_targets()).collect();
    Ok(Tensor::from_vec(targets, (indices.len(), Finding::COUNT), &Device::Cpu)?)
}

/// The images of a batch that have a report, and the reports.
pub(super) struct PairedBatch {
    /// Positions in the batch.
    pub(super) rows: Vec<u32>,
    /// Their reports.
    pub(super) reports: TokenBatch,
    /// `[P, P]`: which may serve as negatives of each other.
    pub(super) negatives: Vec<bool>,
}

/// Draws a report for each image of a batch; `None` if too few have one or none may serve as a negative.
pub(super) fn pair(
    data: &Dataset,
    indices: &[usize],
    pairs: &Pairs,
    tokens: &[Vec<u32>],
    rng: &mut impl Rng,
) -> Option<PairedBatch> {
    let (mut rows, mut drawn, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for (row, &index) in indices.iter().enumerate() {
        let study = &data.studies[index];
        if let Some(report) = pairs.draw(study.known_findings(), rng) {
            rows.push(row as u32);
            drawn.push(tokens[report].as_slice());
            let text_group = pairs.text_group(report);
            keys.push(PairKey { patient: study.patient, findings: study.known_findings(), text_group });
        }
    }
    let negatives = crate::data::pairs::negatives(&keys);
    (rows.len() > 1 && negatives.contains(&true)).then(|| PairedBatch {
        rows,
        reports: TokenBatch::new(drawn),
        negatives,
    })
}

/// How much a positive of each finding counts, `[K]`: as many negatives as there are for one, up to the limit.
pub(super) fn positive_weights(data: &Dataset, train: &[usize], limit: f64) -> Result<Tensor> {
    let weights: Vec<f32> = Finding::ALL
        .into_iter()
        .map(|finding| {
            let n_pos = train.iter().filter(|&&i| data.studies[i].known_findings().contains(finding)).count();
            ((train.len() - n_pos) as f64 / n_pos.max(1) as f64).clamp(1.0, limit) as f32
        })
        .collect();
    Ok(Tensor::from_vec(weights, Finding::COUNT, &Device::Cpu)?)
}
