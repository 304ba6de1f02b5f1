//! Names of data sources, as on the command line and in configurations, such as `nih:DIR` and `phantom:xray`.
//!
//! Folders are relative to the working directory; `~` and variables are left to the shell.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::DataError;

/// Where images with findings come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ImageSource {
    /// `nih:DIR`: a folder with `labels.csv` and `images/`.
    Nih(PathBuf),
    /// `openi:DIR`: Open-I's reports with their images.
    OpenI(PathBuf),
    /// `covid:DIR`: the COVID-19 image collection: images with notes, without labels.
    Covid(PathBuf),
    /// `phantom:xray`: generated images with reports.
    Phantom(PhantomSource),
}

impl ImageSource {
    /// Whose images these are, in words.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Nih(_) => "NIH ChestX-ray14 images",
            Self::OpenI(_) => "Open-I images with their reports (Indiana University)",
            Self::Covid(_) => "COVID-19 image collection, images with notes, unlabelled",
            Self::Phantom(_) => "generated chest images",
        }
    }
}

/// Where reports with findings come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ReportSource {
    /// `openi:DIR`: Open-I's archive of reports, or the folder of it.
    OpenI(PathBuf),
    /// `phantom:xray`: generated reports.
    Phantom(PhantomSource),
}

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

/// Beyond this many the patients' numbers would not fit.
pub(super) const MAX_PHANTOMS: usize = 1_000_000;

impl PhantomSource {
    /// Reads what follows `phantom:`.
    fn parse(text: &str) -> Result<Self, String> {
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
    /// Reads what follows `phantom:brain?`.
    fn parse(parameters: &str) -> Result<Self, String> {
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

/// Where MRI volumes of patients come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum VolumeSource {
    /// `brats:DIR`: a folder of BRATS, in any of its layouts.
    Brats(PathBuf),
    /// `phantom:brain`: generated heads.
    Phantom(BrainSource),
}

impl VolumeSource {
    /// Whose volumes these are, in words.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Brats(_) => "BRATS patients",
            Self::Phantom(_) => "generated heads",
        }
    }
}

impl FromStr for VolumeSource {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        split_kind(text)
            .and_then(|(kind, rest)| match (kind, rest.split_once('?').unwrap_or((rest, ""))) {
                ("brats", _) => Ok(Self::Brats(rest.into())),
                ("phantom", ("brain", parameters)) => BrainSource::parse(parameters).map(Self::Phantom),
                ("phantom", (name, _)) => Err(format!("there is no phantom `{name}` of MRI")),
                _ => Err(format!("there is no kind `{kind}`")),
            })
            .map_err(|reason| DataError::Source {
                text: text.to_owned(),
                what: "a source of MRI volumes",
                reason,
                known: "brats:DIR and phantom:brain[?n=COUNT&seed=SEED&size=PIXELS&slices=COUNT&difficulty=PERCENT…]",
            })
    }
}

impl fmt::Display for VolumeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Brats(dir) => write!(f, "brats:{}", dir.display()),
            Self::Phantom(source) => source.fmt(f),
        }
    }
}

impl TryFrom<String> for VolumeSource {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl From<VolumeSource> for String {
    fn from(source: VolumeSource) -> Self {
        source.to_string()
    }
}

/// Splits `KIND:REST`; the rest may not be empty.
fn split_kind(text: &str) -> Result<(&str, &str), String> {
    match text.split_once(':') {
        Some((kind, "")) => Err(format!("nothing follows `{kind}:`")),
        Some(parts) => Ok(parts),
        None => Err("it does not begin with the kind of source and a colon".to_owned()),
    }
}

impl FromStr for ImageSource {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        split_kind(text)
            .and_then(|(kind, rest)| match kind {
                "nih" => Ok(Self::Nih(rest.into())),
                "phantom" => PhantomSource::parse(rest).map(Self::Phantom),
                "openi" => Ok(Self::OpenI(rest.into())),
                "covid" => Ok(Self::Covid(rest.into())),
                _ => Err(format!("there is no kind `{kind}`")),
            })
            .map_err(|reason| DataError::Source {
                text: text.to_owned(),
                what: "an image source",
                reason,
                known: "nih:DIR, openi:DIR, covid:DIR and phantom:xray[?n=COUNT&seed=SEED&difficulty=PERCENT…]",
            })
    }
}

impl FromStr for ReportSource {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        split_kind(text)
            .and_then(|(kind, rest)| match kind {
                "openi" => Ok(Self::OpenI(rest.into())),
                "phantom" => PhantomSource::parse(rest).map(Self::Phantom),
                "nih" => Err("the NIH's data set has images, not reports".to_owned()),
                _ => Err(format!("there is no kind `{kind}`")),
            })
            .map_err(|reason| DataError::Source {
                text: text.to_owned(),
                what: "a report source",
                reason,
                known: "openi:DIR and phantom:xray[?n=COUNT&seed=SEED]",
            })
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nih(dir) => write!(f, "nih:{}", dir.display()),
            Self::OpenI(dir) => write!(f, "openi:{}", dir.display()),
            Self::Covid(dir) => write!(f, "covid:{}", dir.display()),
            Self::Phantom(source) => source.fmt(f),
        }
    }
}

impl fmt::Display for ReportSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenI(dir) => write!(f, "openi:{}", dir.display()),
            Self::Phantom(source) => source.fmt(f),
        }
    }
}

impl TryFrom<String> for ImageSource {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl TryFrom<String> for ReportSource {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl From<ImageSource> for String {
    fn from(source: ImageSource) -> Self {
        source.to_string()
    }
}

impl From<ReportSource> for String {
    fn from(source: ReportSource) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in [
            "openi:a",
            "covid:b",
            "nih:data/nih-cxr",
            "nih:C:/x rays",
            "phantom:xray?n=12&seed=7&difficulty=9&omission=100",
        ] {
            assert_eq!(name.parse::<ImageSource>().unwrap().to_string(), name);
        }
        assert_eq!("openi:reports".parse::<ReportSource>().unwrap().to_string(), "openi:reports");
        let default = ImageSource::Phantom(PhantomSource::default());
        assert_eq!("phantom:xray".parse::<ImageSource>().unwrap(), default);
        assert_eq!(default.to_string().parse::<ImageSource>().unwrap(), default);
    }

    #[test]
    fn configurations_hold_names() {
        #[derive(Deserialize)]
        struct Config {
            images: Vec<ImageSource>,
        }
        let config: Config = toml::from_str("images = [\"nih:a\", \"phantom:xray?n=3\"]").unwrap();
        let phantom = ImageSource::Phantom(PhantomSource { n: 3, ..PhantomSource::default() });
        assert_eq!(config.images, [ImageSource::Nih("a".into()), phantom]);
        let error = toml::from_str::<Config>("images = [\"nhi:a\"]").err().unwrap().to_string();
        assert!(error.contains("there is no kind `nhi`; known are nih:DIR"), "{error}");
    }

    #[test]
    fn what_is_not_known_is_explained() {
        let message = |text: &str| text.parse::<ImageSource>().unwrap_err().to_string();
        for (text, part) in [
            ("", "colon"),
            ("nih", "colon"),
            ("nih:", "nothing follows"),
            ("phantom:mri", "no phantom `mri`"),
            ("phantom:xray?n=0", "n is `0`"),
            ("phantom:xray?n=", "n is ``"),
            ("phantom:xray?seed=x", "seed is `x`"),
            ("phantom:xray?m=1", "no parameter `m`"),
            ("phantom:xray?detail=101", "detail is `101`, expected 0 to 100"),
        ] {
            assert!(message(text).contains(part), "{}", message(text));
            assert!(message(text).contains("known are nih:DIR"), "{}", message(text));
        }
        assert!("nih:x".parse::<ReportSource>().unwrap_err().to_string().contains("images, not reports"));
    }
}
