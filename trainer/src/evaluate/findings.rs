//! Scores of a trained model over a data set, and what they are worth.

use rayon::prelude::*;
use serde::Serialize;
use serde::ser::SerializeMap;
use shared::finding::Finding;
use shared::io::ModelCard;
use shared::io::card::{Auroc, Calibration, Evaluation, FindingCard, Twin};
use shared::metric::calibration::N_BINS;
use shared::metric::{
    Bootstrap, Interval, OperatingPoint, Reliability, fit_temperature, operating_point, youden_threshold,
};

use crate::data::Study;
use crate::error::Result;
use crate::model_dir::ModelDir;

/// Resamples of every interval.
const RESAMPLES: usize = 2000;
/// Their seed, the same everywhere so that comparisons are paired and repeat.
const BOOTSTRAP_SEED: u64 = 20;
/// Test images with a finding from which on it enters a model card's macro average.
pub const CARD_MIN_POSITIVES: usize = 20;
/// The same where a small test part has no finding of so many.
const FEW_POSITIVES: usize = 5;

/// Scores of one model over some studies.
#[derive(Debug, Clone)]
pub struct Scored {
    /// `[N][K]`, in `0..=1`.
    pub scores: Vec<[f32; Finding::COUNT]>,
    /// `[N][K]`, whether the finding is there.
    pub present: Vec<[bool; Finding::COUNT]>,
    /// Whose image each is.
    pub patients: Vec<u32>,
}

impl Scored {
    /// Puts scores beside what is known of the studies.
    pub fn new(scores: Vec<[f32; Finding::COUNT]>, studies: &[&Study]) -> Self {
        let present = studies.iter().map(|study| Finding::ALL.map(|f| study.known_findings().contains(f))).collect();
        Self { scores, present, patients: studies.iter().map(|study| study.patient).collect() }
    }

    /// Scores and labels of one finding.
    pub fn column(&self, finding: Finding) -> (Vec<f32>, Vec<bool>) {
        let k = finding.index();
        (self.scores.iter().map(|s| s[k]).collect(), self.present.iter().map(|p| p[k]).collect())
    }

    /// Images with a finding.
    pub fn n_pos(&self, finding: Finding) -> usize {
        self.present.iter().filter(|p| p[finding.index()]).count()
    }

    /// Findings with at least so many images with and one without.
    pub fn measurable(&self, min_positives: usize) -> Vec<Finding> {
        let enough = |f: &Finding| (min_positives.max(1)..self.present.len()).contains(&self.n_pos(*f));
        Finding::ALL.into_iter().filter(enough).collect()
    }

    /// How many images a finding needs to be averaged: as in a card, or in a small test part, where none has so many,
    /// [`FEW_POSITIVES`] or at last one.
    pub fn min_positives(&self) -> usize {
        let measurable = |n: &usize| !self.measurable(*n).is_empty();
        [CARD_MIN_POSITIVES, FEW_POSITIVES, 1].into_iter().find(measurable).unwrap_or(CARD_MIN_POSITIVES)
    }

    /// Different patients.
    pub fn n_patients(&self) -> usize {
        let mut ids = self.patients.clone();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    }

    pub(crate) fn bootstrap(&self) -> Bootstrap {
        bootstrap(&self.patients)
    }

    pub(crate) fn columns(&self, findings: &[Finding]) -> Vec<(Vec<f32>, Vec<bool>)> {
        findings.iter().map(|&f| self.column(f)).collect()
    }

    /// Mean area over the findings that can be measured, without interval.
    pub fn macro_auroc(&self, min_positives: usize) -> Option<f64> {
        let areas: Vec<f64> = self
            .measurable(min_positives)
            .into_iter()
            .filter_map(|f| {
                let (scores, present) = self.column(f);
                shared::metric::auroc(&scores, &present)
            })
            .collect();
        (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
    }

    /// Area of each finding with its interval, in the order of [`Finding::ALL`].
    pub fn aurocs(&self) -> Vec<Option<Auroc>> {
        let bootstrap = self.bootstrap();
        let n = self.present.len();
        Finding::ALL
            .into_par_iter()
            .map(|f| {
                let (scores, present) = self.column(f);
                let Interval { value, lo, hi } = bootstrap.auroc(&scores, &present)?;
                Some(Auroc { auroc: value, lo, hi, n_pos: self.n_pos(f), n })
            })
            .collect()
    }

    /// Threshold of each finding by Youden's index.
    pub fn thresholds(&self) -> Vec<Option<f32>> {
        Finding::ALL.map(|f| self.column(f)).iter().map(|(scores, present)| youden_threshold(scores, present)).collect()
    }

    /// Calibrates on these scores, which the weights were not fitted to; `positive_weights` are those of training.
    pub fn calibration(&self, positive_weights: &[f32; Finding::COUNT]) -> Calibration {
        let start = Calibration { temperature: 1.0, offsets: positive_weights.map(f32::ln).to_vec() };
        let (logits, present): (Vec<f32>, Vec<bool>) =
            self.pooled().map(|(finding, score, present)| (start.logit(finding, score), present)).unzip();
        Calibration { temperature: fit_temperature(&logits, &present), ..start }
    }

    /// Probabilities of all findings together against what is there: as the scores are, or calibrated.
    pub fn reliability(&self, calibration: Option<&Calibration>) -> Option<Reliability> {
        let probability = |(finding, score, present)| {
            (calibration.map_or(score, |calibration| calibration.probability(finding, score)), present)
        };
        let (probabilities, present): (Vec<f32>, Vec<bool>) = self.pooled().map(probability).unzip();
        Reliability::new(&probabilities, &present, N_BINS)
    }

    fn pooled(&self) -> impl Iterator<Item = (Finding, f32, bool)> {
        let rows = self.scores.iter().zip(&self.present);
        rows.flat_map(|(scores, present)| Finding::ALL.map(|f| (f, scores[f.index()], present[f.index()])))
    }

    /// What a model card says of a test split: the macro area over findings with at least 20 positives, and the twin's.
    pub fn evaluation(&self, data: String, twin: Option<&Self>) -> Evaluation {
        let macro_findings = self.measurable(CARD_MIN_POSITIVES);
        let bootstrap = self.bootstrap();
        let ours = self.columns(&macro_findings);
        let image_only_twin = twin.and_then(|twin| {
            let theirs = twin.columns(&macro_findings);
            Some(Twin {
                macro_auroc: bootstrap.macro_auroc(&theirs)?,
                difference: bootstrap.macro_auroc_difference(&ours, &theirs)?,
            })
        });
        Evaluation {
            data,
            n: self.present.len(),
            n_patients: self.n_patients(),
            macro_auroc: bootstrap.macro_auroc(&ours),
            macro_findings,
            image_only_twin,
            compression_cost: None,
        }
    }
}

/// The resamples of every interval, by whose image each is.
pub(crate) fn bootstrap(patients: &[u32]) -> Bootstrap {
    Bootstrap::by_patient(patients, RESAMPLES, BOOTSTRAP_SEED)
}

/// Scores of a model for studies, read from their files and run on all cores.
///
/// # Errors
///
/// An unreadable image, by name; weights that do not fit.
pub fn score(model: &ModelDir, studies: &[&Study]) -> Result<Vec<[f32; Finding::COUNT]>> {
    let size = model.card.preprocessing.size;
    let share = studies.len().div_ceil(rayon::current_num_threads()).max(1);
    let parts = studies
        .par_chunks(share)
        .map(|part| {
            let mut classifier = model.classifier()?;
            part.iter().map(|study| Ok(classifier.scores(&study.radiograph(size)?)?)).collect()
        })
        .collect::<Result<Vec<Vec<_>>>>()?;
    Ok(parts.concat())
}

/// What `cmim eval --json` prints.
#[derive(Debug, Serialize)]
pub struct EvaluationReport {
    /// Mean area over [`Self::macro_findings`]; `None` if there are none.
    pub macro_auroc: Option<f64>,
    /// Lower end of its 95% interval.
    pub lo: Option<f64>,
    /// Upper end of it.
    pub hi: Option<f64>,
    /// Mean area over the same findings, each weighing its number of positive images, with its 95% interval.
    pub prevalence_weighted_auroc: Option<Interval>,
    /// The findings averaged over.
    pub macro_findings: Vec<Finding>,
    /// Images.
    pub n: usize,
    /// Patients.
    pub n_patients: usize,
    /// Area of each finding; `None` without a case or without a control.
    pub findings: ByFinding<Auroc>,
    /// Sensitivity, specificity and predictive values at the card's threshold of each finding.
    pub operating_points: Option<ByFinding<OperatingPoint>>,
    /// Expected calibration error of the scores over all findings.
    pub calibration_error: Option<f64>,
    /// The same of the card's calibrated probabilities.
    pub calibrated_error: Option<f64>,
}

/// A value for each finding, written as an object in the order of the findings.
#[derive(Debug)]
pub struct ByFinding<T>(pub Vec<Option<T>>);

impl<T: Serialize> Serialize for ByFinding<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (finding, value) in Finding::ALL.iter().zip(&self.0) {
            map.serialize_entry(finding.name(), value)?;
        }
        map.end()
    }
}

impl EvaluationReport {
    /// Measures scores; findings with fewer than `min_positives` images do not enter the macro average.
    pub fn new(scored: &Scored, min_positives: usize) -> Self {
        let macro_findings = scored.measurable(min_positives);
        let (bootstrap, columns) = (scored.bootstrap(), scored.columns(&macro_findings));
        let (interval, prevalence_weighted_auroc) =
            rayon::join(|| bootstrap.macro_auroc(&columns), || bootstrap.prevalence_weighted_auroc(&columns));
        Self {
            macro_auroc: interval.map(|i| i.value),
            lo: interval.map(|i| i.lo),
            hi: interval.map(|i| i.hi),
            prevalence_weighted_auroc,
            macro_findings,
            n: scored.present.len(),
            n_patients: scored.n_patients(),
            findings: ByFinding(scored.aurocs()),
            operating_points: None,
            calibration_error: scored.reliability(None).map(|found| found.expected_calibration_error),
            calibrated_error: None,
        }
    }

    /// Adds what a card's thresholds and its calibration come to on the same scores.
    #[must_use]
    pub fn with_card(mut self, scored: &Scored, card: &ModelCard) -> Self {
        let point = |entry: &FindingCard| {
            let (scores, present) = scored.column(entry.finding);
            operating_point(&scores, &present, entry.threshold?)
        };
        self.operating_points = Some(ByFinding(card.findings.iter().map(point).collect()));
        let calibrated = card.calibration.as_ref().and_then(|calibration| scored.reliability(Some(calibration)));
        self.calibrated_error = calibrated.map(|found| found.expected_calibration_error);
        self
    }
}

#[cfg(test)]
mod tests {
    use shared::phantom::PhantomSource;

    use super::*;
    use crate::data::{ImageSource, union};

    fn scored() -> Scored {
        let studies =
            union(&[ImageSource::Phantom(PhantomSource { n: 80, seed: 1, ..PhantomSource::PLAIN })]).unwrap().studies;
        let studies: Vec<&Study> = studies.iter().collect();
        let scores = studies
            .iter()
            .enumerate()
            .map(|(i, s)| {
                Finding::ALL
                    .map(|f| 0.3 * (i % 7) as f32 / 7.0 + if s.known_findings().contains(f) { 0.2 } else { 0.0 })
            })
            .collect();
        Scored::new(scores, &studies)
    }

    #[test]
    fn the_report_has_null_for_a_class_without_cases() {
        let mut scored = scored();
        scored.present.iter_mut().for_each(|p| p[Finding::Hernia.index()] = false);
        let json = serde_json::to_value(EvaluationReport::new(&scored, 1)).unwrap();
        assert!(json["findings"]["Hernia"].is_null());
        let mass = &json["findings"]["Mass"];
        assert!(mass["auroc"].as_f64().unwrap() > 0.5 && mass["lo"].as_f64() <= mass["auroc"].as_f64());
        assert_eq!(mass["n"], 80);
        assert_eq!(json["findings"].as_object().unwrap().len(), 14);
        let mean = scored.macro_auroc(1).unwrap();
        assert!((json["macro_auroc"].as_f64().unwrap() - mean).abs() < 1e-12);
        let weighted = &json["prevalence_weighted_auroc"];
        assert!(weighted["lo"].as_f64().unwrap() <= weighted["value"].as_f64().unwrap());
    }

    #[test]
    fn a_card_averages_the_findings_with_twenty_cases() {
        let scored = scored();
        let evaluation = scored.evaluation("phantoms".to_owned(), Some(&scored));
        assert!(evaluation.macro_findings.iter().all(|&f| scored.n_pos(f) >= CARD_MIN_POSITIVES));
        if let Some(twin) = evaluation.image_only_twin {
            assert_eq!(twin.difference.value, 0.0);
        }
    }
}
