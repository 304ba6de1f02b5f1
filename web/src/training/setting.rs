//! What a person may set of a training, and how it stands in the address of the page.

use serde::{Deserialize, Serialize};

/// What a person may set. Always within its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Position of the weight of the mutual-information losses in [`LAMBDAS`].
    lambda: usize,
    /// Share of the training pairs whose findings are known, in per cent.
    labelled: usize,
    /// Seeds that are trained, from 1 on.
    seeds: usize,
    /// Steps of each model.
    steps: usize,
}

/// The weights `λ` that can be chosen.
pub const LAMBDAS: [f64; 7] = [0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
/// Least and greatest share of labelled pairs, in per cent.
pub const LABELLED: [usize; 2] = [5, 100];
/// Least and greatest number of seeds. One alone has no spread.
pub const SEEDS: [usize; 2] = [2, 12];
/// Least and greatest number of steps.
pub const STEPS: [usize; 2] = [2, 2000];

impl Default for Setting {
    fn default() -> Self {
        Self { lambda: 3, labelled: 100, seeds: 4, steps: 160 }
    }
}

impl Setting {
    /// Weight `λ` of the mutual-information losses.
    pub fn lambda(self) -> f64 {
        LAMBDAS[self.lambda.min(LAMBDAS.len() - 1)]
    }

    /// Position of the weight in [`LAMBDAS`].
    pub fn lambda_at(self) -> usize {
        self.lambda
    }

    /// Share of the training pairs whose findings are known, in per cent.
    pub fn labelled(self) -> usize {
        self.labelled
    }

    /// How many seeds are trained.
    pub fn seeds(self) -> usize {
        self.seeds
    }

    /// Steps of each model.
    pub fn steps(self) -> usize {
        self.steps
    }

    /// The same with another weight, by its position in [`LAMBDAS`].
    #[must_use]
    pub fn with_lambda_at(self, at: usize) -> Self {
        Self { lambda: at.min(LAMBDAS.len() - 1), ..self }
    }

    /// The same with another share of labelled pairs, in per cent.
    #[must_use]
    pub fn with_labelled(self, labelled: usize) -> Self {
        Self { labelled: labelled.clamp(LABELLED[0], LABELLED[1]), ..self }
    }

    /// The same with another number of seeds.
    #[must_use]
    pub fn with_seeds(self, seeds: usize) -> Self {
        Self { seeds: seeds.clamp(SEEDS[0], SEEDS[1]), ..self }
    }

    /// The same with another number of steps.
    #[must_use]
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps: steps.clamp(STEPS[0], STEPS[1]), ..self }
    }

    /// Reads `lambda,labelled,seeds,steps`, such as `0.3,100,4,160`; what is missing or makes no sense is as by default.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.split(',').map(str::trim);
        let default = Self::default();
        let lambda = parts.next().and_then(|part| part.parse::<f64>().ok());
        let at = lambda.and_then(|lambda| LAMBDAS.iter().position(|known| *known == lambda));
        let mut number = |default| parts.next().and_then(|part| part.parse().ok()).unwrap_or(default);
        let setting = default.with_lambda_at(at.unwrap_or(default.lambda)).with_labelled(number(default.labelled));
        let seeds = number(default.seeds);
        setting.with_seeds(seeds).with_steps(number(default.steps))
    }

    /// The form that [`Self::parse`] reads.
    pub fn to_text(self) -> String {
        format!("{},{},{},{}", self.lambda(), self.labelled, self.seeds, self.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_comes_back_from_its_text() {
        let setting = Setting::default().with_lambda_at(5).with_labelled(60).with_seeds(3).with_steps(40);
        assert_eq!(setting.to_text(), "3,60,3,40");
        assert_eq!(Setting::parse(&setting.to_text()), setting);
    }

    #[test]
    fn whatever_stands_there_is_a_setting() {
        assert_eq!(Setting::parse(""), Setting::default());
        assert_eq!(Setting::parse("x,-1,,1e9"), Setting::default());
        let bounded = Setting::parse("7,0,1,99999999");
        assert_eq!(bounded.lambda(), Setting::default().lambda());
        assert_eq!((bounded.labelled(), bounded.seeds(), bounded.steps()), (LABELLED[0], SEEDS[0], STEPS[1]));
    }
}
