//! The text of a generated examination: what is seen, what is not, and an impression, in varied words.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use shared::Finding;

use super::{Side, Sign};

/// Writes the report.
pub(super) fn write(signs: &[Sign], rng: &mut impl Rng) -> String {
    let mut seen: Vec<String> = signs.iter().map(|sign| fill(choose(sentences(sign.finding), rng), sign)).collect();
    seen.extend(absent(signs, rng));
    seen.shuffle(rng);
    seen.push(impression(signs, rng));
    seen.join(" ")
}

fn choose(options: &'static [&'static str], rng: &mut impl Rng) -> &'static str {
    options.choose(rng).copied().unwrap_or_default()
}

/// Puts side and grade into a sentence and begins it with a capital.
fn fill(sentence: &str, sign: &Sign) -> String {
    let side = match sign.side {
        Side::Right => "right",
        Side::Left => "left",
    };
    let (grade, extent) = match sign.severity {
        s if s < 0.6 => ("mild", "small"),
        s if s < 0.8 => ("moderate", "moderate"),
        _ => ("severe", "large"),
    };
    let text = sentence.replace("{side}", side).replace("{grade}", grade).replace("{extent}", extent);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Sentences that describe a finding.
fn sentences(finding: Finding) -> &'static [&'static str] {
    match finding {
        Finding::Atelectasis => &[
            "there is {grade} atelectasis at the {side} base.",
            "{grade} linear opacity at the {side} lung base, compatible with subsegmental atelectasis.",
            "volume loss at the {side} base with an elevated hemidiaphragm.",
        ],
        Finding::Cardiomegaly => &[
            "there is {grade} cardiomegaly.",
            "the heart is {grade}ly enlarged.",
            "{grade} enlargement of the cardiac silhouette.",
        ],
        Finding::Effusion => &[
            "there is a {extent} {side} pleural effusion.",
            "the {side} costophrenic angle is blunted by a {extent} amount of pleural fluid.",
            "{extent} layering collection of fluid in the {side} pleural space.",
        ],
        Finding::Infiltration => &[
            "{grade} patchy infiltrate in the {side} lung.",
            "{grade} ill-defined patchy opacities in the {side} lung, in keeping with infiltration.",
            "there are {grade} infiltrates on the {side}.",
        ],
        Finding::Mass => &[
            "there is a large mass in the {side} lung.",
            "a rounded mass projects over the {side} lung.",
            "mass-like opacity on the {side}, several centimeters wide.",
        ],
        Finding::Nodule => &[
            "there is a small nodule in the {side} lung.",
            "a nodular density projects over the {side} lung.",
            "small round pulmonary nodule on the {side}.",
        ],
        Finding::Pneumonia => &[
            "{grade} airspace disease in the {side} lower lobe, compatible with pneumonia.",
            "there is {grade} {side} lower lobe pneumonia.",
            "{grade} {side} basilar airspace opacity suspicious for pneumonia.",
        ],
        Finding::Pneumothorax => &[
            "there is a {extent} {side} pneumothorax.",
            "a fine pleural line and apical lucency on the {side} indicate a {extent} pneumothorax.",
            "{extent} collection of free pleural air at the {side} apex.",
        ],
        Finding::Consolidation => &[
            "dense consolidation of the {side} upper lobe.",
            "homogeneous opacity of the {side} upper lobe that ends at the fissure, consistent with consolidation.",
            "the {side} upper lobe is consolidated.",
        ],
        Finding::Edema => &[
            "{grade} pulmonary edema.",
            "there is {grade} perihilar haze with septal lines, consistent with pulmonary edema.",
            "{grade} bilateral interstitial and alveolar edema.",
        ],
        Finding::Emphysema => &[
            "the lungs are {grade}ly hyperinflated with flat diaphragms, consistent with emphysema.",
            "{grade} emphysematous change.",
            "there is {grade} emphysema.",
        ],
        Finding::Fibrosis => &[
            "{grade} reticular markings at both bases, compatible with fibrosis.",
            "there is {grade} basilar pulmonary fibrosis.",
            "{grade} fibrotic scarring in both lower lungs.",
        ],
        Finding::Pleural_Thickening => &[
            "there is {grade} {side} pleural thickening.",
            "the pleura of the {side} chest wall is {grade}ly thickened.",
            "{grade} band of thickened pleura along the {side} chest wall.",
        ],
        Finding::Hernia => &[
            "there is a {extent} hiatal hernia.",
            "{extent} retrocardiac round shadow with a fluid level, compatible with a hiatal hernia.",
            "air-filled stomach behind the heart, a {extent} hiatus hernia.",
        ],
    }
}

/// Sentences that deny findings the examination does not have.
fn absent(signs: &[Sign], rng: &mut impl Rng) -> Vec<String> {
    let denials: [(&[Finding], &'static [&'static str]); 7] = [
        (&[Finding::Cardiomegaly], &["Heart size is normal.", "The cardiac silhouette is not enlarged."]),
        (&[Finding::Effusion], &["No pleural effusion.", "The costophrenic angles are sharp."]),
        (&[Finding::Pneumothorax], &["There is no pneumothorax.", "No evidence of pneumothorax."]),
        (
            &[Finding::Consolidation, Finding::Pneumonia, Finding::Infiltration],
            &["No focal airspace disease.", "There is no consolidation, infiltrate or pneumonia."],
        ),
        (&[Finding::Edema], &["No pulmonary edema.", "The pulmonary vasculature is normal."]),
        (&[Finding::Mass, Finding::Nodule], &["No suspicious nodule or mass.", "There is no mass."]),
        (&[Finding::Hernia], &["The mediastinum is unremarkable."]),
    ];
    let mut sentences = Vec::new();
    for (findings, options) in denials {
        let present = signs.iter().any(|sign| findings.contains(&sign.finding));
        // Nobody denies everything.
        if !present && rng.random_range(0..10) < 6 {
            sentences.push(choose(options, rng).to_owned());
        }
    }
    sentences
}

fn impression(signs: &[Sign], rng: &mut impl Rng) -> String {
    if signs.is_empty() {
        let normal = ["No acute cardiopulmonary abnormality.", "Normal chest.", "No acute disease."];
        return normal.choose(rng).copied().unwrap_or_default().to_owned();
    }
    let names: Vec<String> = signs.iter().map(|sign| sign.finding.name().replace('_', " ").to_lowercase()).collect();
    fill(&format!("{}.", names.join(" and ")), &signs[0])
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn texts(signs: &[Sign]) -> Vec<String> {
        (0..60).map(|seed| write(signs, &mut ChaCha8Rng::seed_from_u64(seed))).collect()
    }

    #[test]
    fn every_finding_is_described_with_its_side_and_grade() {
        for finding in Finding::ALL {
            let sign = Sign { finding, side: Side::Left, severity: 0.9, across: 0.0, down: 0.5 };
            for text in texts(&[sign]) {
                assert!(!text.contains(['{', '}']), "{text}");
                assert!(text.split(". ").all(|s| s.chars().next().is_some_and(char::is_uppercase)), "{text}");
                assert!(!text.contains("right"), "{text}");
                assert!(text.to_lowercase().contains(&finding.name().replace('_', " ").to_lowercase()), "{text}");
            }
        }
    }

    #[test]
    fn what_is_present_is_not_denied_and_what_is_absent_may_be() {
        let sign = Sign { finding: Finding::Effusion, side: Side::Right, severity: 0.5, across: 0.0, down: 0.5 };
        let texts = texts(&[sign]);
        assert!(texts.iter().all(|text| !text.contains("No pleural effusion") && !text.contains("angles are sharp")));
        assert!(texts.iter().any(|text| text.contains("no pneumothorax")));
    }

    #[test]
    fn normal_reports_vary() {
        let mut texts = texts(&[]);
        texts.sort();
        texts.dedup();
        assert!(texts.len() > 20, "{}", texts.len());
        assert!(texts.iter().all(|text| !text.is_empty()));
    }
}
