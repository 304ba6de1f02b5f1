//! What a batch of x-rays is trained with: the findings of those that are labelled, the reports of those that have one.

use candle_core::Tensor;

use crate::error::Result;
use crate::model::classifier::finding_loss;
use crate::prep::report::TokenBatch;

/// Findings of the labelled rows of a batch.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Position among the labelled rows of each row of the batch.
    position: Vec<Option<u32>>,
    /// The labelled rows.
    rows: Tensor,
    /// `[M, K]`, 0 or 1.
    findings: Tensor,
    /// `[K]`: how much a positive of each finding counts.
    positive_weights: Tensor,
}

impl Targets {
    /// Of a batch of `n` rows: the numbers of those with labels, `[M]` u32, and their findings, `[M, K]`.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn new(n: usize, rows: &Tensor, findings: &Tensor, positive_weights: &Tensor) -> Result<Self> {
        let mut position = vec![None; n];
        for (at, row) in (0..).zip(rows.to_vec1::<u32>()?) {
            position[row as usize] = Some(at);
        }
        let (rows, findings) = (rows.clone(), findings.clone());
        Ok(Self { position, rows, findings, positive_weights: positive_weights.clone() })
    }

    /// Cross-entropy of logits, one for each row of the batch or for each of `rows`, over those that are labelled;
    /// `None` if none is.
    ///
    /// # Errors
    ///
    /// Those of the tensor library.
    pub fn loss(&self, logits: &Tensor, rows: Option<&[u32]>) -> Result<Option<Tensor>> {
        let Some(rows) = rows else {
            if self.rows.elem_count() == 0 {
                return Ok(None);
            }
            let logits = logits.index_select(&self.rows, 0)?;
            return Ok(Some(finding_loss(&logits, &self.findings, &self.positive_weights)?));
        };
        let known: Vec<(u32, u32)> =
            (0..).zip(rows).filter_map(|(at, &row)| Some((at, self.position[row as usize]?))).collect();
        if known.is_empty() {
            return Ok(None);
        }
        let (at, target): (Vec<u32>, Vec<u32>) = known.into_iter().unzip();
        let select = |tensor: &Tensor, rows: Vec<u32>| {
            let n = rows.len();
            tensor.index_select(&Tensor::from_vec(rows, n, tensor.device())?, 0)
        };
        Ok(Some(finding_loss(&select(logits, at)?, &select(&self.findings, target)?, &self.positive_weights)?))
    }
}

/// The images of a batch that have a report, and the reports.
#[derive(Debug, Clone)]
pub struct PairedBatch {
    /// Positions in the batch.
    pub rows: Vec<u32>,
    /// Their reports.
    pub reports: TokenBatch,
    /// `[P, P]`: which may serve as negatives of each other.
    pub negatives: Vec<bool>,
}

impl PairedBatch {
    /// Whether there is a pair to tell apart from a true one.
    pub fn has_negatives(&self) -> bool {
        self.negatives.contains(&true)
    }
}
