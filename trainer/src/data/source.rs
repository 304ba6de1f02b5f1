//! Names of data sources, as on the command line and in configurations, such as `nih:DIR` and `phantom:xray`.
//!
//! Folders are relative to the working directory; `~` and variables are left to the shell.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use shared::phantom::{BrainSource, PhantomSource};

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
