//! The text of a generated examination: what is seen, what is not, and an impression, in varied words.

use crate::Finding;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::{PhantomSource, Side, Sign, percent};

/// Writes the report of a source whose reports tell so much and leave out so much.
pub(super) fn write(signs: &[Sign], source: &PhantomSource, rng: &mut impl Rng) -> String {
    let told: Vec<Sign> = signs.iter().copied().filter(|_| !percent(source.omission, rng)).collect();
    let mut seen: Vec<String> = told
        .iter()
        .map(|sign| {
            let options = if percent(source.detail, rng) { sentences(sign.finding) } else { PLAIN };
            fill(choose(options, rng), sign)
        })
        .collect();
    seen.extend(absent(signs, rng));
    for _ in 0..rng.random_range(0..3) {
        seen.push(choose(IRRELEVANT, rng).to_owned());
    }
    seen.shuffle(rng);
    seen.push(impression(&told, signs.is_empty(), rng));
    seen.join(" ")
}

/// Sentences that tell no more than the label.
const PLAIN: &[&str] = &["there is {finding}.", "findings of {finding}.", "{finding} is seen."];

/// Sentences about what is none of the findings.
const IRRELEVANT: &[&str] = &[
    "Degenerative changes of the thoracic spine.",
    "Surgical clips in the upper abdomen.",
    "The trachea is midline.",
    "Old healed rib fracture.",
    "Comparison is made to the prior study from XXXX.",
    "Atherosclerotic calcification of the aortic arch.",
    "Shoulder arthroplasty is noted.",
    "The visualized bony structures are intact.",
    "Calcified granuloma, unchanged.",
];

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
    let zone = match sign.down {
        down if down < 0.42 => "upper",
        down if down < 0.58 => "middle",
        _ => "lower",
    };
    let name = name(sign.finding);
    let text = sentence
        .replace("{zone}", zone)
        .replace("{finding}", &name)
        .replace("{side}", side)
        .replace("{grade}", grade)
        .replace("{extent}", extent);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The finding in running text.
fn name(finding: Finding) -> String {
    finding.name().replace('_', " ").to_lowercase()
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
            "{grade} patchy infiltrate in the {side} {zone} lung.",
            "{grade} ill-defined patchy opacities in the {zone} zone of the {side} lung, in keeping with infiltration.",
            "there are {grade} infiltrates in the {side} {zone} zone.",
        ],
        Finding::Mass => &[
            "there is a {extent} mass in the {side} {zone} lung.",
            "a rounded mass projects over the {side} {zone} zone.",
            "{extent} mass-like opacity in the {side} {zone} lung, several centimeters wide.",
        ],
        Finding::Nodule => &[
            "there is a small nodule in the {side} {zone} lung.",
            "a nodular density projects over the {side} {zone} zone.",
            "small round pulmonary nodule in the {side} {zone} lung.",
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

fn impression(told: &[Sign], healthy: bool, rng: &mut impl Rng) -> String {
    match told {
        [] if healthy => {
            choose(&["No acute cardiopulmonary abnormality.", "Normal chest.", "No acute disease."], rng).to_owned()
        }
        // Something is there, and the report does not say it.
        [] => choose(&["As above.", "Clinical correlation is recommended.", "Stable examination."], rng).to_owned(),
        [first, ..] => {
            let names: Vec<String> = told.iter().map(|sign| name(sign.finding)).collect();
            fill(&format!("{}.", names.join(" and ")), first)
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn written(signs: &[Sign], source: &PhantomSource) -> Vec<String> {
        (0..60).map(|seed| write(signs, source, &mut ChaCha8Rng::seed_from_u64(seed))).collect()
    }

    fn texts(signs: &[Sign]) -> Vec<String> {
        written(signs, &PhantomSource::PLAIN)
    }

    #[test]
    fn every_finding_is_described_with_its_side_and_grade() {
        for finding in Finding::ALL {
            let sign = Sign { finding, side: Side::Left, severity: 0.9, across: 0.0, down: 0.5, visibility: 1.0 };
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
        let sign = Sign {
            finding: Finding::Effusion,
            side: Side::Right,
            severity: 0.5,
            across: 0.0,
            down: 0.5,
            visibility: 1.0,
        };
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

    #[test]
    fn detail_and_omission_are_parameters() {
        let sign =
            Sign { finding: Finding::Mass, side: Side::Left, severity: 0.5, across: 0.0, down: 0.5, visibility: 1.0 };
        let n = |source: &PhantomSource, word: &str| {
            written(&[sign], source).iter().filter(|text| text.to_lowercase().contains(word)).count()
        };
        let (all, none) = (
            PhantomSource { detail: 100, ..PhantomSource::PLAIN },
            PhantomSource { detail: 0, ..PhantomSource::PLAIN },
        );
        assert_eq!((n(&all, "left"), n(&none, "left")), (60, 0));
        let silent = PhantomSource { omission: 100, ..PhantomSource::PLAIN };
        assert_eq!((n(&all, "mass"), n(&silent, "mass.")), (60, 0));
        assert!(written(&[sign], &silent).iter().all(|text| !text.contains("Normal chest")));
    }
}
