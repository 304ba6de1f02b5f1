//! What a chest x-ray model has beside its image path: the report path and the check of its input, with what they are
//! worth. Both go into the card and into the one file of weights.

use std::collections::BTreeMap;
use std::path::Path;

use shared::infer::XrayClassifier;
use shared::io::card::ReportCard;
use shared::io::weights::NamedTensor;
use shared::io::{ModelCard, Weights};
use shared::prep::report::ReportTokenizer;

use crate::config::{Config, Method};
use crate::data::{ReportSource, Reports};
use crate::error::{Error, Result};
use crate::evaluate::Material;
use crate::evaluate::input::{Beside, input_check};
use crate::evaluate::reports::measure_reports;
use crate::model_dir::{CONFIG, TOKENIZER, WEIGHTS, WHOLE_WEIGHTS};

/// The parts of a cross-modal model that a page uses beside the image path.
const REPORT_PARTS: [&str; 4] = ["text.", "joint.", "joint_head.", "critic_ll."];
/// How the names of tensors begin that are not the image path's.
pub(crate) const BESIDE_IMAGE: [&str; 5] = ["text.", "joint.", "joint_head.", "critic_ll.", "input_check."];

/// The report path of a run.
pub struct ReportPath {
    card: ReportCard,
    tensors: BTreeMap<String, NamedTensor>,
    sources: Vec<ReportSource>,
}

impl ReportPath {
    /// Of a run with this configuration, tokenizer and whole set of tensors; `None` for a method without one, or one whose
    /// head for both was not trained.
    pub fn new(config: &Config, tokenizer: &ReportTokenizer, whole: &BTreeMap<String, NamedTensor>) -> Option<Self> {
        if config.method != Method::Cmim || config.loss.lambda_joint <= 0.0 {
            return None;
        }
        let critic = (config.loss.lambda_ll > 0.0).then_some(config.cross_modal.critic);
        let needed = |name: &str| {
            REPORT_PARTS.iter().any(|part| name.starts_with(part)) && (critic.is_some() || !name.starts_with("critic"))
        };
        let card = ReportCard {
            text: config.cross_modal.text.clone(),
            joint: config.cross_modal.joint,
            critic,
            vocabulary: tokenizer.vocabulary().join(" "),
            calibration: None,
            findings: Vec::new(),
            evaluation: None,
        };
        let tensors =
            whole.iter().filter(|(name, _)| needed(name)).map(|(name, tensor)| (name.clone(), tensor.clone()));
        Some(Self { card, tensors: tensors.collect(), sources: config.data.reports.clone() })
    }

    /// Of the run in a folder; `None` where there is none.
    ///
    /// # Errors
    ///
    /// A missing or damaged file of the run, named.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let whole = dir.join(WHOLE_WEIGHTS);
        if !whole.is_file() {
            return Ok(None);
        }
        let config = Config::read(&dir.join(CONFIG))?;
        let path = dir.join(TOKENIZER);
        let json = std::fs::read_to_string(&path).map_err(Error::file(&path, "cannot read the tokenizer"))?;
        let bytes = std::fs::read(&whole).map_err(Error::file(&whole, "cannot read the weights"))?;
        let weights = Weights::from_safetensors(&whole.display().to_string(), &bytes)?;
        Ok(Self::new(&config, &ReportTokenizer::from_json(&json)?, weights.tensors()))
    }

    /// With other reports to measure with than the run's own, if any are given.
    #[must_use]
    pub fn with_sources(self, sources: &[ReportSource]) -> Self {
        if sources.is_empty() { self } else { Self { sources: sources.to_vec(), ..self } }
    }
}

/// Adds the report path and the check of the input to a model, measured where there is material.
///
/// # Errors
///
/// Whatever reading and running can bring; weights that do not fit.
pub fn complete(
    mut card: ModelCard,
    image: &Weights,
    report: Option<ReportPath>,
    material: Option<&Material<'_>>,
    beside: &[Beside],
) -> Result<(ModelCard, Weights)> {
    let mut tensors = image.tensors().clone();
    if let Some(material) = material {
        let (check, check_card) = input_check(material, beside)?;
        tensors.extend(check.tensors());
        card.input_check = Some(check_card);
    }
    let Some(report) = report else { return Ok((card, Weights::new(WEIGHTS, tensors)?)) };
    tensors.extend(report.tensors);
    card.report = Some(report.card.clone());
    let weights = Weights::new(WEIGHTS, tensors)?;
    if let Some(material) = material {
        let reports = Reports::load(&report.sources)?;
        let mut classifier = XrayClassifier::new(card.clone(), &weights)?;
        card.report = Some(measure_reports(&mut classifier, material, &reports, report.card)?);
    }
    Ok((card, weights))
}
