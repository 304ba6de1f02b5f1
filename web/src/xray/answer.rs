//! From scores and a model card to what is said about them.

use shared::Finding;
use shared::infer::Reason;
use shared::io::ModelCard;
use shared::io::card::{Auroc, Calibration, FindingCard};

use crate::language::t;

/// One finding of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which finding.
    pub finding: Finding,
    /// What the image says.
    pub image: Verdict,
    /// What image and report say together, if there is a report.
    pub joined: Option<Verdict>,
}

/// What the model says of one finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The model's score, in `0..=1`.
    pub score: f32,
    /// The score as a probability; absent for a model that was not calibrated.
    pub probability: Option<f32>,
    /// The score against its threshold.
    pub call: Call,
    /// The threshold in the unit of [`Self::shown`].
    pub mark: Option<f32>,
    /// How well this finding was told apart when measured.
    pub auroc: Option<Auroc>,
}

impl Verdict {
    fn new(entry: &FindingCard, calibration: Option<&Calibration>, score: f32) -> Self {
        let probability = |score| calibration.map(|calibration| calibration.probability(entry.finding, score));
        let call = match entry.threshold {
            Some(threshold) if score >= threshold => Call::Above(threshold),
            Some(threshold) => Call::Below(threshold),
            None => Call::NoThreshold,
        };
        let mark = entry.threshold.map(|threshold| probability(threshold).unwrap_or(threshold));
        Self { score, probability: probability(score), call, mark, auroc: entry.auroc }
    }

    /// What the bar shows: the probability where there is one, else the score.
    pub fn shown(&self) -> f32 {
        self.probability.unwrap_or(self.score)
    }
}

/// A score against the threshold of its finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Call {
    /// The score reaches this threshold.
    Above(f32),
    /// The score is below this threshold.
    Below(f32),
    /// The validation data gave no threshold.
    NoThreshold,
}

impl Call {
    /// Whether the model calls the finding present.
    pub fn is_above(self) -> bool {
        matches!(self, Self::Above(_))
    }

    /// The call in words.
    pub fn words(self) -> String {
        match self {
            Self::Above(_) => t!("xray.call_above"),
            Self::Below(_) => t!("xray.call_below"),
            Self::NoThreshold => t!("xray.call_none"),
        }
    }
}

/// The findings of an answer, the most probable first; without a calibration, the highest score first.
pub fn rows(card: &ModelCard, image: &[f32; Finding::COUNT], joined: Option<&[f32; Finding::COUNT]>) -> Vec<Row> {
    let with_report = card.report.as_ref();
    let row = |(entry, &score): (&FindingCard, &f32)| Row {
        finding: entry.finding,
        image: Verdict::new(entry, card.calibration.as_ref(), score),
        joined: joined.zip(with_report).map(|(scores, report)| {
            let k = entry.finding.index();
            let unmeasured = FindingCard { finding: entry.finding, threshold: None, auroc: None };
            let entry = report.findings.get(k).unwrap_or(&unmeasured);
            Verdict::new(entry, report.calibration.as_ref(), scores[k])
        }),
    };
    let mut rows: Vec<Row> = card.findings.iter().zip(image).map(row).collect();
    // Stable: equals stay in the model's order.
    rows.sort_by(|a, b| b.image.shown().total_cmp(&a.image.shown()));
    rows
}

/// A number of `0..=1` in per cent; what would round to 0 or to 100 without being it says so.
pub fn percent_words(share: f32) -> String {
    let percent = 100.0 * share;
    if share > 0.0 && percent < 0.5 {
        "<1%".to_owned()
    } else if share < 1.0 && percent >= 99.5 {
        ">99%".to_owned()
    } else {
        format!("{percent:.0}%")
    }
}

/// A score with three decimals; what would round to 0 or to 1 without being it says so.
pub fn score_words(score: f32) -> String {
    if score > 0.0 && score < 0.0005 {
        "<0.001".to_owned()
    } else if (0.9995..1.0).contains(&score) {
        ">0.999".to_owned()
    } else {
        format!("{score:.3}")
    }
}

/// A measured AUC as the page prints it: `AUC 0.71 (0.64 to 0.78), 47 of 330`.
pub fn auroc_words(auroc: Option<&Auroc>) -> String {
    match auroc {
        Some(Auroc { auroc, lo, hi, n_pos, n }) => t!(
            "xray.auroc",
            auroc = format!("{auroc:.2}"),
            lo = format!("{lo:.2}"),
            hi = format!("{hi:.2}"),
            n_pos = n_pos,
            n = n
        ),
        None => t!("xray.auroc_none"),
    }
}

/// How many of the findings reach their threshold, in words; up to three are named.
pub fn summary(rows: &[Row]) -> String {
    let names: Vec<String> =
        rows.iter().filter(|row| row.image.call.is_above()).map(|row| label(row.finding)).collect();
    match names.as_slice() {
        [] => t!("xray.summary_none", n = rows.len()),
        few @ ([_] | [_, _] | [_, _, _]) => {
            t!("xray.summary_few", k = few.len(), n = rows.len(), names = few.join(", "))
        }
        many => t!("xray.summary_many", k = many.len(), n = rows.len()),
    }
}

/// Why an image is taken for no frontal chest x-ray, in words.
pub fn reason_words(reason: &Reason) -> String {
    match reason {
        Reason::Colours => t!("xray.reason_colours"),
        Reason::Modality(name) => t!("xray.reason_modality", name = name),
        Reason::View(name) => t!("xray.reason_view", name = name),
        Reason::Strange => t!("xray.reason_strange"),
        Reason::Far => t!("xray.reason_far"),
        Reason::Shades => t!("xray.reason_shades"),
        Reason::Blank => t!("xray.reason_blank"),
    }
}

/// A number of bytes for people: `24.1 MB`.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// The finding's name for people.
pub fn label(finding: Finding) -> String {
    match finding {
        Finding::Atelectasis => t!("xray.finding_atelectasis"),
        Finding::Cardiomegaly => t!("xray.finding_cardiomegaly"),
        Finding::Effusion => t!("xray.finding_effusion"),
        Finding::Infiltration => t!("xray.finding_infiltration"),
        Finding::Mass => t!("xray.finding_mass"),
        Finding::Nodule => t!("xray.finding_nodule"),
        Finding::Pneumonia => t!("xray.finding_pneumonia"),
        Finding::Pneumothorax => t!("xray.finding_pneumothorax"),
        Finding::Consolidation => t!("xray.finding_consolidation"),
        Finding::Edema => t!("xray.finding_edema"),
        Finding::Emphysema => t!("xray.finding_emphysema"),
        Finding::Fibrosis => t!("xray.finding_fibrosis"),
        Finding::Pleural_Thickening => t!("xray.finding_pleural_thickening"),
        Finding::Hernia => t!("xray.finding_hernia"),
    }
}

/// What the finding is, for people who have not learnt to read x-rays.
pub fn meaning(finding: Finding) -> String {
    match finding {
        Finding::Atelectasis => t!("xray.meaning_atelectasis"),
        Finding::Cardiomegaly => t!("xray.meaning_cardiomegaly"),
        Finding::Effusion => t!("xray.meaning_effusion"),
        Finding::Infiltration => t!("xray.meaning_infiltration"),
        Finding::Mass => t!("xray.meaning_mass"),
        Finding::Nodule => t!("xray.meaning_nodule"),
        Finding::Pneumonia => t!("xray.meaning_pneumonia"),
        Finding::Pneumothorax => t!("xray.meaning_pneumothorax"),
        Finding::Consolidation => t!("xray.meaning_consolidation"),
        Finding::Edema => t!("xray.meaning_edema"),
        Finding::Emphysema => t!("xray.meaning_emphysema"),
        Finding::Fibrosis => t!("xray.meaning_fibrosis"),
        Finding::Pleural_Thickening => t!("xray.meaning_pleural_thickening"),
        Finding::Hernia => t!("xray.meaning_hernia"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use shared::io::Encoding;
    use shared::io::card::{CARD_VERSION, FindingCard, ReportCard, Training, WeightsFile};
    use shared::model::bilinear::BilinearConfig;
    use shared::model::resnet::{Depth, ResNetConfig};
    use shared::model::text_cnn::TextCnnConfig;
    use shared::prep::image::{Normalization, Preprocessing};

    /// A card in which only the first finding was measured, and the last has no threshold.
    pub(crate) fn card() -> ModelCard {
        let measured = Auroc { auroc: 0.714, lo: 0.638, hi: 0.781, n_pos: 47, n: 330 };
        let findings = Finding::ALL.map(|finding| FindingCard {
            finding,
            threshold: (finding != Finding::Hernia).then_some(0.5),
            auroc: (finding == Finding::Atelectasis).then_some(measured),
        });
        ModelCard {
            version: CARD_VERSION,
            name: "test".to_owned(),
            architecture: ResNetConfig { depth: Depth::D18, width: 16, in_channels: 1, stem_pool: false },
            preprocessing: Preprocessing { size: 64, channels: 1, normalization: Normalization::PerImage },
            findings: findings.to_vec(),
            calibration: None,
            evaluation: None,
            report: None,
            input_check: None,
            training: Training {
                commands: vec![],
                method: "test".to_owned(),
                data: vec![],
                seed: 0,
                epochs: 0,
                trainer: "test".to_owned(),
            },
            weights: WeightsFile {
                file: "model.safetensors".to_owned(),
                bytes: 0,
                sha256: String::new(),
                encoding: Encoding::F32,
            },
        }
    }

    #[test]
    fn rows_are_sorted_and_keep_the_models_order_among_equals() {
        let mut scores = [0.25; Finding::COUNT];
        scores[Finding::Mass.index()] = 0.9;
        scores[Finding::Hernia.index()] = 0.95;
        scores[Finding::Edema.index()] = 0.5;
        let rows = rows(&card(), &scores, None);
        let order: Vec<Finding> = rows.iter().map(|row| row.finding).collect();
        assert_eq!(order[..4], [Finding::Hernia, Finding::Mass, Finding::Edema, Finding::Atelectasis]);
        assert_eq!(order.len(), Finding::COUNT);
        assert_eq!(rows[0].image.call, Call::NoThreshold);
        assert_eq!(rows[2].image.call, Call::Above(0.5), "a score equal to the threshold reaches it");
        assert_eq!(rows[3].image.call, Call::Below(0.5));
        assert_eq!(summary(&rows), "2 of 14 findings at or above threshold: Mass, Edema");
    }

    #[test]
    fn a_summary_counts_none_and_one() {
        let mut scores = [0.1; Finding::COUNT];
        let summary = |scores: &[f32; Finding::COUNT]| summary(&rows(&card(), scores, None));
        assert_eq!(summary(&scores), "none of 14 findings reaches its threshold");
        scores[2] = 0.7;
        assert_eq!(summary(&scores), "1 of 14 findings at or above threshold: Effusion");
        scores = [0.8; Finding::COUNT];
        assert_eq!(summary(&scores), "13 of 14 findings at or above threshold");
    }

    #[test]
    fn a_calibrated_model_is_shown_by_its_probabilities() {
        let mut offsets = vec![0.0; Finding::COUNT];
        offsets[Finding::Mass.index()] = 9f32.ln();
        let card = ModelCard { calibration: Some(Calibration { temperature: 1.0, offsets }), ..card() };
        let mut scores = [0.25; Finding::COUNT];
        scores[Finding::Mass.index()] = 0.5;
        let rows = rows(&card, &scores, None);
        // The highest score, and the lowest probability: positives weighed nine fold in training.
        let mass = rows.last().expect("14 rows");
        assert_eq!((mass.finding, mass.image.score), (Finding::Mass, 0.5));
        assert!((mass.image.shown() - 0.1).abs() < 1e-6, "{mass:?}");
        assert_eq!(mass.image.call, Call::Above(0.5));
        assert!(
            (mass.image.mark.expect("a threshold") - mass.image.shown()).abs() < 1e-6,
            "the mark is at the bar's end"
        );
    }

    #[test]
    fn with_a_report_both_answers_stand_side_by_side() {
        let mut with_report = card();
        with_report.report = Some(ReportCard {
            text: TextCnnConfig::default(),
            joint: BilinearConfig::default(),
            critic: None,
            vocabulary: "<pad> <unk>".to_owned(),
            calibration: None,
            findings: Vec::new(),
            evaluation: None,
        });
        let mut joined = [0.1; Finding::COUNT];
        joined[Finding::Edema.index()] = 0.9;
        let rows_of = |card: &ModelCard| rows(card, &[0.3; Finding::COUNT], Some(&joined));
        let edema = rows_of(&with_report).into_iter().find(|row| row.finding == Finding::Edema).expect("there");
        let together = edema.joined.expect("both");
        assert_eq!((edema.image.score, together.score, together.call), (0.3, 0.9, Call::NoThreshold));
        assert!(rows_of(&card()).iter().all(|row| row.joined.is_none()), "a model that reads no reports");
    }

    #[test]
    fn numbers_are_printed_with_their_n() {
        let card = card();
        assert_eq!(auroc_words(card.findings[0].auroc.as_ref()), "AUC 0.71 (0.64 to 0.78), 47 of 330");
        assert_eq!(auroc_words(card.findings[1].auroc.as_ref()), "AUC not measured");
        assert_eq!(megabytes(24_149_000), "24.1 MB");
    }

    #[test]
    fn a_score_never_pretends_to_be_0_or_1() {
        assert_eq!(score_words(0.000_4), "<0.001");
        assert_eq!(score_words(0.999_6), ">0.999");
        assert_eq!(score_words(0.631_2), "0.631");
        assert_eq!((score_words(0.0), score_words(1.0)), ("0.000".to_owned(), "1.000".to_owned()));
        assert_eq!((percent_words(0.004), percent_words(0.996)), ("<1%".to_owned(), ">99%".to_owned()));
        assert_eq!((percent_words(0.0), percent_words(0.126)), ("0%".to_owned(), "13%".to_owned()));
    }
}
