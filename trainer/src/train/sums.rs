//! What is summed up over an epoch.

use std::collections::BTreeMap;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use shared::train::Losses;

use super::StepRecord;
use crate::error::Result;

/// Sums of an epoch's losses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sums {
    items: usize,
    paired: usize,
    steps: usize,
    total: f64,
    /// By name.
    parts: BTreeMap<String, Mean>,
    chances: BTreeMap<String, Mean>,
}

/// Sum and number of steps that had the loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Mean(f64, usize);

impl Mean {
    fn add(&mut self, value: f64) {
        self.0 += value;
        self.1 += 1;
    }
}

impl Sums {
    /// Adds a step of so many items, of which so many have a partner, with the value of its weighted loss.
    pub(super) fn add(
        &mut self,
        [items, paired]: [usize; 2],
        total: Option<f32>,
        losses: &Losses,
    ) -> Result<StepRecord> {
        self.steps += 1;
        self.items += items;
        self.paired += paired;
        self.total += total.map_or(0.0, f64::from);
        let (names, values): (Vec<&str>, Vec<&Tensor>) = losses.parts.iter().map(|(name, loss)| (*name, loss)).unzip();
        // In one transfer: each would make a GPU wait.
        let values = if values.is_empty() { Vec::new() } else { Tensor::stack(&values, 0)?.to_vec1::<f32>()? };
        let mut information = None;
        for (name, value) in names.into_iter().zip(values) {
            let value = f64::from(value);
            self.parts.entry(name.to_owned()).or_default().add(value);
            if let Some((_, chance)) = losses.chances.iter().find(|(of, _)| *of == name) {
                self.chances.entry(name.to_owned()).or_default().add(*chance);
                *information.get_or_insert(0.0) += chance - value;
            }
        }
        Ok(StepRecord { items, loss: total, information })
    }

    /// Mean of the weighted sum of all losses.
    pub(super) fn loss(&self) -> f64 {
        self.total / self.steps.max(1) as f64
    }

    /// Mean of each loss.
    pub(super) fn losses(&self) -> BTreeMap<String, f64> {
        means(&self.parts)
    }

    /// Mean of what a critic that knows nothing would have for each.
    pub(super) fn chance(&self) -> BTreeMap<String, f64> {
        means(&self.chances)
    }

    /// Share of the items that had a partner.
    pub(super) fn paired(&self) -> f64 {
        self.paired as f64 / self.items.max(1) as f64
    }
}

fn means(parts: &BTreeMap<String, Mean>) -> BTreeMap<String, f64> {
    parts.iter().map(|(name, Mean(sum, n))| (name.clone(), sum / *n as f64)).collect()
}
