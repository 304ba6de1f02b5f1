//! TieNet: an image network that writes the report and reads its own words for the findings.
//!
//! Source: Wang et al. 2018, arXiv 1801.04334. Sizes that the source leaves open are named where they are ours.

use candle_core::{D, Device, Module, Tensor};
use candle_nn::{Init, VarBuilder, ops::softmax};
use serde::{Deserialize, Serialize};

use super::classifier::IMAGE_PREFIX;
use super::resnet::{ResNet, ResNetConfig};
use crate::error::Result;
use crate::finding::Finding;
use crate::nn::{Linear, Lstm, LstmState};
use crate::prep::report::TokenBatch;

/// Sizes of the parts that write and read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TieNetConfig {
    /// Length of a word vector.
    pub word_dim: usize,
    /// Features of the LSTM's state.
    pub hidden: usize,
    /// Features of the two attentions' hidden layers.
    pub attention: usize,
    /// Rows of the text attention.
    pub rows: usize,
    /// Longest caption in tokens, the end not counted; longer reports are cut.
    pub max_tokens: usize,
}

impl Default for TieNetConfig {
    fn default() -> Self {
        Self { word_dim: 300, hidden: 256, attention: 2000, rows: 5, max_tokens: 128 }
    }
}

/// The token that begins and ends a caption: padding, which no report contains.
const BOUNDARY: u32 = 0;

/// What [`TieNet`] says of a batch.
#[derive(Debug, Clone)]
pub struct TieNetOutput {
    /// Findings: `[N, K]`.
    pub logits: Tensor,
    /// The next word at each step: `[N, T, V]`.
    pub words: Tensor,
}

/// The network.
#[derive(Debug, Clone)]
pub struct TieNet {
    config: TieNetConfig,
    encoder: ResNet,
    embedding: Tensor,
    init: Linear,
    attend_map: Linear,
    attend_state: Linear,
    attend_score: Linear,
    gate: Linear,
    lstm: Lstm,
    word: Linear,
    text_hidden: Linear,
    text_rows: Linear,
    fc: Linear,
}

/// What the steps of a caption leave behind.
struct Steps {
    /// LSTM outputs `H`: `[N, T, hidden]`.
    states: Tensor,
    /// Where each step looked: `[N, T, L]`.
    looks: Tensor,
}

impl TieNet {
    /// Takes `image.*` (torchvision's names), `embedding.weight`, `init.*`, `attend.{map,state,score}.*`, `gate.*`,
    /// `lstm.*`, `word.*`, `text.{hidden,rows}.*` and `fc.*` from the builder.
    ///
    /// # Errors
    ///
    /// Those of [`ResNet::new`]; [`crate::Error::Tensor`] if the builder lacks a tensor.
    pub fn new(image: &ResNetConfig, config: &TieNetConfig, vocabulary: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let TieNetConfig { word_dim, hidden, attention, rows, .. } = *config;
        let c = image.out_channels();
        let init = Init::Randn { mean: 0.0, stdev: 0.3 };
        Ok(Self {
            encoder: ResNet::new(image, &vb.pp(IMAGE_PREFIX))?,
            embedding: vb.get_with_hints((vocabulary, word_dim), "embedding.weight", init)?,
            init: Linear::new(c, 2 * hidden, &vb.pp("init"))?,
            attend_map: Linear::new(c, hidden, &vb.pp("attend.map"))?,
            attend_state: Linear::new(hidden, hidden, &vb.pp("attend.state"))?,
            attend_score: Linear::new(hidden, 1, &vb.pp("attend.score"))?,
            gate: Linear::new(hidden, 1, &vb.pp("gate"))?,
            lstm: Lstm::new(word_dim + c, hidden, &vb.pp("lstm"))?,
            word: Linear::new(hidden, vocabulary, &vb.pp("word"))?,
            text_hidden: Linear::new(hidden, attention, &vb.pp("text.hidden"))?,
            text_rows: Linear::new(attention, rows, &vb.pp("text.rows"))?,
            fc: Linear::new(hidden + c, Finding::COUNT, &vb.pp("fc"))?,
            config: config.clone(),
        })
    }

    /// Findings and next words for images `[N, C, H, W]` with their reports, each step given the report's own words.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn forward_t(&self, x: &Tensor, reports: &TokenBatch, train: bool) -> Result<TieNetOutput> {
        let map = self.encoder.forward_t(x, train)?.flatten(1, 2)?; // [N, L, C]
        let caption = self.cut(reports);
        let n = caption.lens.len();
        // The words before each step: the boundary, then the report.
        let mut before = vec![BOUNDARY; n * caption.width];
        for (before, ids) in before.chunks_exact_mut(caption.width).zip(caption.ids.chunks_exact(caption.width)) {
            before[1..].copy_from_slice(&ids[..caption.width - 1]);
        }
        let words = self.embed(&before, n)?; // [N, T, word_dim]
        let keys = self.attend_map.forward(&map)?; // [N, L, hidden]
        let mut state = self.begin(&map)?;
        let (mut states, mut looks) = (Vec::new(), Vec::new());
        for t in 0..caption.width {
            let (next, look) = self.step(&map, &keys, &words.narrow(1, t, 1)?.squeeze(1)?, &state)?;
            states.push(next.h.clone());
            looks.push(look);
            state = next;
        }
        let steps = Steps { states: Tensor::stack(&states, 1)?, looks: Tensor::stack(&looks, 1)? };
        let words = self.word.forward(&steps.states)?; // [N, T, V]
        Ok(TieNetOutput { logits: self.findings(&map, &steps, &caption.lens)?, words })
    }

    /// Mean cross-entropy of the words of the reports and of their ends.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn caption_loss(&self, words: &Tensor, reports: &TokenBatch) -> Result<Tensor> {
        let caption = self.cut(reports);
        // Steps after the end do not count.
        let rows: Vec<u32> = caption
            .lens
            .iter()
            .enumerate()
            .flat_map(|(i, &len)| (0..len).map(move |t| (i * caption.width + t) as u32))
            .collect();
        let targets: Vec<u32> = rows.iter().map(|&row| caption.ids[row as usize]).collect();
        let rows = Tensor::from_slice(&rows, rows.len(), words.device())?;
        let targets = Tensor::from_slice(&targets, targets.len(), &Device::Cpu)?;
        Ok(crate::nn::cross_entropy(&words.flatten(0, 1)?.index_select(&rows, 0)?, &targets)?)
    }

    /// Findings from images alone: writes a caption word by word, each time the most likely one, and reads it. The
    /// captions' words come along, the end left out.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn generate(&self, x: &Tensor) -> Result<(Tensor, Vec<Vec<u32>>)> {
        let map = self.encoder.forward_t(x, false)?.flatten(1, 2)?.detach(); // [N, L, C]
        let n = map.dim(0)?;
        let keys = self.attend_map.forward(&map)?;
        let mut state = self.begin(&map)?;
        let mut before = vec![BOUNDARY; n];
        let mut captions = vec![Vec::new(); n];
        let mut lens = vec![0; n];
        let (mut states, mut looks) = (Vec::new(), Vec::new());
        for t in 0..=self.config.max_tokens {
            let word = self.embed(&before, n)?.squeeze(1)?;
            let (next, look) = self.step(&map, &keys, &word, &state)?;
            before = self.word.forward(&next.h)?.argmax(D::Minus1)?.to_vec1::<u32>()?;
            for ((len, caption), &word) in lens.iter_mut().zip(&mut captions).zip(&before) {
                if *len == 0 && (word == BOUNDARY || t == self.config.max_tokens) {
                    *len = t + 1;
                } else if *len == 0 {
                    caption.push(word);
                }
            }
            states.push(next.h.clone());
            looks.push(look);
            state = next;
            if lens.iter().all(|&len| len > 0) {
                break;
            }
        }
        let steps = Steps { states: Tensor::stack(&states, 1)?, looks: Tensor::stack(&looks, 1)? };
        Ok((self.findings(&map, &steps, &lens)?, captions))
    }

    /// The reports with the boundary at their end, no wider than they need to be; `lens` counts it.
    fn cut(&self, reports: &TokenBatch) -> TokenBatch {
        let lens: Vec<usize> = reports.lens.iter().map(|&len| len.min(self.config.max_tokens) + 1).collect();
        let width = lens.iter().copied().max().unwrap_or(1);
        let mut ids = Vec::with_capacity(lens.len() * width);
        for (row, &len) in reports.ids.chunks_exact(reports.width).zip(&lens) {
            ids.extend_from_slice(&row[..len - 1]);
            ids.resize(ids.len() + width - (len - 1), BOUNDARY);
        }
        TokenBatch { ids, lens, width }
    }

    /// Word vectors: `N · T` ids to `[N, T, word_dim]`.
    fn embed(&self, ids: &[u32], n: usize) -> Result<Tensor> {
        let ids = Tensor::from_slice(ids, ids.len(), self.embedding.device())?;
        Ok(self.embedding.index_select(&ids, 0)?.reshape((n, (), self.config.word_dim))?)
    }

    /// The state before the first word, from the mean of the map.
    fn begin(&self, map: &Tensor) -> Result<LstmState> {
        let both = self.init.forward(&map.mean(1)?)?.tanh()?; // [N, 2 hidden]
        let hidden = self.config.hidden;
        Ok(LstmState { h: both.narrow(1, 0, hidden)?, c: both.narrow(1, hidden, hidden)? })
    }

    /// One word on: looks at the map where the state says, weighs what it sees by a gate, and steps. Also gives where it
    /// looked, `[N, L]`.
    fn step(&self, map: &Tensor, keys: &Tensor, word: &Tensor, state: &LstmState) -> Result<(LstmState, Tensor)> {
        let query = self.attend_state.forward(&state.h)?.unsqueeze(1)?; // [N, 1, hidden]
        let scores = self.attend_score.forward(&keys.broadcast_add(&query)?.tanh()?)?.squeeze(2)?; // [N, L]
        let look = softmax(&scores, D::Minus1)?;
        let seen = look.unsqueeze(1)?.matmul(map)?.squeeze(1)?; // [N, C]
        let gate = candle_nn::ops::sigmoid(&self.gate.forward(&state.h)?)?; // [N, 1]
        let seen = seen.broadcast_mul(&gate)?;
        let input = self.lstm.project(&Tensor::cat(&[word, &seen], 1)?)?;
        Ok((self.lstm.step(&input, state)?, look))
    }

    /// Attention-encoded text (AETE) and saliency-weighted pooling of the map (SWGAP), and the findings from both.
    fn findings(&self, map: &Tensor, steps: &Steps, lens: &[usize]) -> Result<Tensor> {
        let (n, t, _) = steps.states.dims3()?;
        let scores = self.text_rows.forward(&self.text_hidden.forward(&steps.states)?.tanh()?)?; // [N, T, rows]
        let after: Vec<f32> =
            lens.iter().flat_map(|&len| (0..t).map(move |i| if i < len { 0.0 } else { -1e9 })).collect();
        let after = Tensor::from_vec(after, (n, t, 1), scores.device())?.to_dtype(scores.dtype())?;
        let attention = softmax(&scores.broadcast_add(&after)?, 1)?; // G: [N, T, rows]
        let rows = attention.transpose(1, 2)?.contiguous()?.matmul(&steps.states)?; // GH: [N, rows, hidden]
        let text = rows.max(1)?; // [N, hidden]
        let saliency = attention.max(2)?.unsqueeze(1)?; // [N, 1, T]
        let place = saliency.matmul(&steps.looks)?; // [N, 1, L]
        let seen = place.matmul(map)?.squeeze(1)?; // [N, C]
        Ok(self.fc.forward(&Tensor::cat(&[&text, &seen], 1)?)?)
    }
}

/// The weighted sum of both losses, as in the source: 0.15 of the words', 0.85 of the findings', where any are known.
///
/// # Errors
///
/// Those of the tensor library.
pub fn tienet_loss(words: &Tensor, findings: Option<&Tensor>) -> Result<Tensor> {
    let words = (words * 0.15)?;
    match findings {
        Some(findings) => Ok((words + (findings * 0.85)?)?),
        None => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::model::resnet::Depth;
    use crate::nn::Parameters;
    use crate::nn::gradcheck::{check, random};

    const IMAGE: ResNetConfig = ResNetConfig { depth: Depth::D18, width: 4, in_channels: 1, stem_pool: false };

    fn tienet(parameters: &Parameters, dtype: DType) -> Result<TieNet> {
        let config = TieNetConfig { word_dim: 3, hidden: 4, attention: 5, rows: 2, max_tokens: 6 };
        TieNet::new(&IMAGE, &config, 9, &parameters.builder(dtype, &Device::Cpu))
    }

    fn reports() -> TokenBatch {
        TokenBatch::new([&[2, 3, 4, 5, 6, 7, 8, 2][..], &[5, 3]])
    }

    #[test]
    fn every_variable_receives_a_gradient() -> Result<()> {
        let parameters = Parameters::new(2);
        let model = tienet(&parameters, DType::F32)?;
        let out = model.forward_t(&random((2, 1, 48, 48), 1)?.to_dtype(DType::F32)?, &reports(), true)?;
        // Six words and the end.
        assert_eq!((out.words.dims(), out.logits.dims()), (&[2, 7, 9][..], &[2, 14][..]));
        let loss = tienet_loss(&model.caption_loss(&out.words, &reports())?, Some(&out.logits.sqr()?.mean_all()?))?;
        let grads = loss.backward()?;
        for (name, var) in parameters.trainable() {
            let grad = grads.get(&var).map(|g| g.abs()?.sum_all()?.to_scalar::<f32>()).transpose()?;
            // Softmax does not feel what is added to all its arguments.
            let without = name.starts_with("attend.score.bias") || name.starts_with("text.rows.bias");
            assert!(grad.is_some_and(|g| g.is_finite() && (g > 0.0 || without)), "{name}: {grad:?}");
        }
        Ok(())
    }

    #[test]
    fn gradients_of_the_reading_equal_finite_differences() -> Result<()> {
        let model = tienet(&Parameters::new(2), DType::F64)?;
        let inputs = [(random((2, 3, 32), 1)? * 2.0)?, (random((2, 4, 4), 2)? * 2.0)?, random((2, 4, 3), 3)?.abs()?];
        check(&inputs, |v| {
            let steps = Steps { states: v[1].clone(), looks: v[2].clone() };
            model.findings(&v[0], &steps, &[4, 2]).map_err(candle_core::Error::wrap)
        })?;
        Ok(())
    }

    #[test]
    fn gradients_of_the_writing_equal_finite_differences() -> Result<()> {
        let model = tienet(&Parameters::new(2), DType::F64)?;
        check(&[random((2, 3, 32), 1)?, random((2, 3), 2)?], |v| {
            let run = || -> Result<Tensor> {
                let (map, word) = (&v[0], &v[1]);
                let keys = model.attend_map.forward(map)?;
                let (state, _) = model.step(map, &keys, word, &model.begin(map)?)?;
                let (state, look) = model.step(map, &keys, word, &state)?;
                Ok((state.h.sum(1)? + look.sqr()?.sum(1)?)?)
            };
            run().map_err(candle_core::Error::wrap)
        })?;
        Ok(())
    }

    #[test]
    fn a_caption_read_as_a_report_gives_the_same_findings() -> Result<()> {
        let model = tienet(&Parameters::new(3), DType::F32)?;
        let x = random((2, 1, 48, 48), 1)?.to_dtype(DType::F32)?;
        let (logits, captions) = model.generate(&x)?;
        assert!(captions.iter().all(|caption| caption.len() <= 6 && !caption.contains(&BOUNDARY)));
        // An empty caption has no token batch of its own.
        if captions.iter().all(|caption| !caption.is_empty()) {
            let again = model.forward_t(&x, &TokenBatch::new(captions.iter().map(Vec::as_slice)), false)?.logits;
            assert!((again - logits)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-4);
        }
        Ok(())
    }
}
