//! Descriptions of generated data: how much of it, which, and how hard it is.

use std::fmt;

/// `phantom:xray?n=400&seed=0&difficulty=50…`: how many generated studies, which, and how hard they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhantomSource {
    /// How many, at least 1.
    pub n: usize,
    /// Another seed gives other studies.
    pub seed: u64,
    /// How faint the signs are and how strong the grain, in per cent.
    pub difficulty: u8,
    /// Studies whose label has lost or gained a finding, in per cent.
    pub label_noise: u8,
    /// Sentences of the report that tell side, place and grade beyond the finding's name, in per cent.
    pub detail: u8,
    /// Findings that the report leaves out, in per cent.
    pub omission: u8,
}

impl PhantomSource {
    /// Plain signs, exact labels, full reports: every part of the generator at its clearest.
    pub const PLAIN: Self = Self { n: 400, seed: 0, difficulty: 0, label_noise: 0, detail: 100, omission: 0 };
}

impl Default for PhantomSource {
    fn default() -> Self {
        Self { difficulty: 50, detail: 80, omission: 10, ..Self::PLAIN }
    }
}

/// Greatest number of studies or heads of one source.
pub const MAX_PHANTOMS: usize = 1_000_000;

impl PhantomSource {
    /// Reads what follows `phantom:`, such as `xray?n=400`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, parameters) = text.split_once('?').unwrap_or((text, ""));
        if name != "xray" {
            return Err(format!("there is no phantom `{name}`"));
        }
        let mut source = Self::default();
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let per_cent = || {
                let valid = value.parse().ok().filter(|p| (0..=100).contains(p));
                valid.ok_or_else(|| format!("{key} is `{value}`, expected 0 to 100 per cent"))
            };
            match key {
                "n" => {
                    source.n = value
                        .parse()
                        .ok()
                        .filter(|n| (1..=MAX_PHANTOMS).contains(n))
                        .ok_or_else(|| format!("n is `{value}`, expected 1 to {MAX_PHANTOMS}"))?;
                }
                "seed" => {
                    source.seed =
                        value.parse().map_err(|_unused| format!("seed is `{value}`, expected a whole number"))?;
                }
                "difficulty" => source.difficulty = per_cent()?,
                "label_noise" => source.label_noise = per_cent()?,
                "detail" => source.detail = per_cent()?,
                "omission" => source.omission = per_cent()?,
                _ => return Err(format!("there is no parameter `{key}`")),
            }
        }
        Ok(source)
    }
}

impl fmt::Display for PhantomSource {
    /// The short form: what is as by default is left out, but for number and seed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        write!(f, "phantom:xray?n={}&seed={}", self.n, self.seed)?;
        for (key, value, default) in [
            ("difficulty", self.difficulty, default.difficulty),
            ("label_noise", self.label_noise, default.label_noise),
            ("detail", self.detail, default.detail),
            ("omission", self.omission, default.omission),
        ] {
            if value != default {
                write!(f, "&{key}={value}")?;
            }
        }
        Ok(())
    }
}

/// `phantom:brain?n=100&seed=0&size=64…`: how many generated heads, which, and how they are imaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BrainSource {
    /// How many patients, at least 1.
    pub n: usize,
    /// Another seed gives other patients.
    pub seed: u64,
    /// Pixels along each side of a slice; the field of view is 192 mm.
    pub size: usize,
    /// Slices of each volume, around the tumour while they are few.
    pub slices: usize,
    /// How strong the noise is, in per cent.
    pub difficulty: u8,
    /// Sequences that were not made, in per cent; each patient has one at least.
    pub lacking: u8,
}

impl Default for BrainSource {
    fn default() -> Self {
        Self { n: 40, seed: 0, size: 64, slices: 6, difficulty: 50, lacking: 0 }
    }
}

impl BrainSource {
    /// Reads what follows `phantom:brain?`, such as `n=40&seed=1`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn parse(parameters: &str) -> Result<Self, String> {
        let mut source = Self::default();
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let number = |lo: u64, hi: u64| {
                let valid = value.parse().ok().filter(|n| (lo..=hi).contains(n));
                valid.ok_or_else(|| format!("{key} is `{value}`, expected {lo} to {hi}"))
            };
            match key {
                "n" => source.n = number(1, MAX_PHANTOMS as u64)? as usize,
                "seed" => source.seed = number(0, u64::MAX)?,
                "size" => source.size = number(16, 512)? as usize,
                "slices" => source.slices = number(1, 256)? as usize,
                "difficulty" => source.difficulty = number(0, 100)? as u8,
                "lacking" => source.lacking = number(0, 100)? as u8,
                _ => return Err(format!("there is no parameter `{key}`")),
            }
        }
        Ok(source)
    }
}

impl fmt::Display for BrainSource {
    /// The short form: what is as by default is left out, but for number and seed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        write!(f, "phantom:brain?n={}&seed={}", self.n, self.seed)?;
        for (key, value, default) in [
            ("size", self.size, default.size),
            ("slices", self.slices, default.slices),
            ("difficulty", self.difficulty.into(), default.difficulty.into()),
            ("lacking", self.lacking.into(), default.lacking.into()),
        ] {
            if value != default {
                write!(f, "&{key}={value}")?;
            }
        }
        Ok(())
    }
}
