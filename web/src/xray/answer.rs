//! From scores and a model card to what is said about them.

use std::fmt;

use shared::Finding;
use shared::io::ModelCard;
use shared::io::card::Auroc;

/// One finding of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which finding.
    pub finding: Finding,
    /// The model's score, in `0..=1`.
    pub score: f32,
    /// The score against the threshold.
    pub call: Call,
    /// How well this finding was told apart when measured.
    pub auroc: Option<Auroc>,
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
    /// The threshold, if there is one.
    pub fn threshold(self) -> Option<f32> {
        match self {
            Self::Above(threshold) | Self::Below(threshold) => Some(threshold),
            Self::NoThreshold => None,
        }
    }

    /// Whether the model calls the finding present.
    pub fn is_above(self) -> bool {
        matches!(self, Self::Above(_))
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above(threshold) => write!(f, "above threshold {}", score_words(*threshold)),
            Self::Below(threshold) => write!(f, "below threshold {}", score_words(*threshold)),
            Self::NoThreshold => f.write_str("no threshold measured"),
        }
    }
}

/// The findings of an answer, highest score first.
pub fn rows(card: &ModelCard, scores: &[f32; Finding::COUNT]) -> Vec<Row> {
    let mut rows: Vec<Row> = card
        .findings
        .iter()
        .zip(scores)
        .map(|(entry, &score)| {
            let call = match entry.threshold {
                Some(threshold) if score >= threshold => Call::Above(threshold),
                Some(threshold) => Call::Below(threshold),
                None => Call::NoThreshold,
            };
            Row { finding: entry.finding, score, call, auroc: entry.auroc }
        })
        .collect();
    rows.sort_by(|a, b| b.score.total_cmp(&a.score)); // stable: equal scores stay in the model's order
    rows
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
        Some(Auroc { auroc, lo, hi, n_pos, n }) => format!("AUC {auroc:.2} ({lo:.2} to {hi:.2}), {n_pos} of {n}"),
        None => "AUC not measured".to_owned(),
    }
}

/// How many of the findings reach their threshold, in words; up to three are named.
pub fn summary(rows: &[Row]) -> String {
    let names: Vec<&str> = rows.iter().filter(|row| row.call.is_above()).map(|row| label(row.finding)).collect();
    let n = rows.len();
    match names.as_slice() {
        [] => format!("none of {n} findings reaches its threshold"),
        [one] => format!("1 of {n} findings reaches its threshold: {one}"),
        few @ ([_, _] | [_, _, _]) => {
            format!("{} of {n} findings reach their thresholds: {}", few.len(), few.join(", "))
        }
        many => format!("{} of {n} findings reach their thresholds", many.len()),
    }
}

/// A number of bytes for people: `24.1 MB`.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// The finding's name for people.
pub fn label(finding: Finding) -> &'static str {
    match finding {
        Finding::Pleural_Thickening => "Pleural thickening",
        other => other.name(),
    }
}

/// What the finding is, for people who have not learnt to read x-rays.
pub fn meaning(finding: Finding) -> &'static str {
    match finding {
        Finding::Atelectasis => "Part of a lung is collapsed or not fully opened.",
        Finding::Cardiomegaly => "The heart's shadow is larger than usual.",
        Finding::Effusion => "Fluid between the lung and the chest wall.",
        Finding::Infiltration => "A hazy area where something denser than air fills the lung; a loose term.",
        Finding::Mass => "A rounded shadow larger than 3 cm.",
        Finding::Nodule => "A rounded shadow up to 3 cm.",
        Finding::Pneumonia => "An infection of the lung. An x-ray alone can only suggest it.",
        Finding::Pneumothorax => "Air between the lung and the chest wall.",
        Finding::Consolidation => "Air spaces of the lung filled with fluid or cells, so that they look white.",
        Finding::Edema => "Fluid in the lung tissue, often from a failing heart.",
        Finding::Emphysema => "Air spaces destroyed and widened, so that the lung holds too much air.",
        Finding::Fibrosis => "Scarred, stiffened lung tissue.",
        Finding::Pleural_Thickening => "The lining around the lung is thicker than usual.",
        Finding::Hernia => "Part of the stomach or bowel lies in the chest.",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use shared::io::Encoding;
    use shared::io::card::{CARD_VERSION, FindingCard, Training, WeightsFile};
    use shared::model::resnet::{Depth, ResNetConfig};
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
        let rows = rows(&card(), &scores);
        let order: Vec<Finding> = rows.iter().map(|row| row.finding).collect();
        assert_eq!(order[..4], [Finding::Hernia, Finding::Mass, Finding::Edema, Finding::Atelectasis]);
        assert_eq!(order.len(), Finding::COUNT);
        assert_eq!(rows[0].call, Call::NoThreshold);
        assert_eq!(rows[2].call, Call::Above(0.5), "a score equal to the threshold reaches it");
        assert_eq!(rows[3].call, Call::Below(0.5));
        assert_eq!(summary(&rows), "2 of 14 findings reach their thresholds: Mass, Edema");
    }

    #[test]
    fn a_summary_counts_none_and_one() {
        let mut scores = [0.1; Finding::COUNT];
        assert_eq!(summary(&rows(&card(), &scores)), "none of 14 findings reaches its threshold");
        scores[2] = 0.7;
        assert_eq!(summary(&rows(&card(), &scores)), "1 of 14 findings reaches its threshold: Effusion");
        scores = [0.8; Finding::COUNT];
        assert_eq!(summary(&rows(&card(), &scores)), "13 of 14 findings reach their thresholds");
    }

    #[test]
    fn numbers_are_printed_with_their_n() {
        let card = card();
        assert_eq!(auroc_words(card.findings[0].auroc.as_ref()), "AUC 0.71 (0.64 to 0.78), 47 of 330");
        assert_eq!(auroc_words(card.findings[1].auroc.as_ref()), "AUC not measured");
        assert_eq!(megabytes(24_149_000), "24.1 MB");
        assert_eq!(Call::Above(0.4123).to_string(), "above threshold 0.412");
    }

    #[test]
    fn a_score_never_pretends_to_be_0_or_1() {
        assert_eq!(score_words(0.000_4), "<0.001");
        assert_eq!(score_words(0.999_6), ">0.999");
        assert_eq!(score_words(0.631_2), "0.631");
        assert_eq!(score_words(0.0), "0.000");
        assert_eq!(score_words(1.0), "1.000");
    }
}
