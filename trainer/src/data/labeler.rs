//! Findings read from a report's text by rules: terms of each finding, and whether the sentence denies them.
//!
//! Sources of the idea: NegEx (Chapman et al. 2001) and the CheXpert labeler (Irvin et al. 2019, arXiv 1901.07031). The
//! terms are ours. An uncertain mention counts as present.

use shared::{Finding, FindingSet};

/// Terms of a finding: phrases of lower-case words. A word that ends in `*` matches all words that begin so.
fn terms(finding: Finding) -> &'static [&'static str] {
    match finding {
        Finding::Atelectasis => &["atelecta*", "volume loss", "collapsed lobe"],
        Finding::Cardiomegaly => &[
            "cardiomegaly",
            "enlarged heart",
            "heart * enlarged",
            "heart is * enlarged",
            "enlarged cardiac silhouette",
            "cardiac silhouette is * enlarged",
            "enlargement of the cardiac silhouette",
            "cardiac enlargement",
            "heart size is * enlarged",
        ],
        Finding::Effusion => &[
            "effusion*",
            "pleural fluid",
            "fluid in the * pleural space",
            "costophrenic angle is blunted",
            "blunting of the * costophrenic angle",
        ],
        Finding::Infiltration => &["infiltrat*"],
        Finding::Mass => &["mass", "masses"],
        Finding::Nodule => &["nodul*"],
        Finding::Pneumonia => &["pneumonia*"],
        Finding::Pneumothorax => &["pneumothora*", "free pleural air"],
        Finding::Consolidation => &["consolidat*"],
        Finding::Edema => &["edema"],
        Finding::Emphysema => &["emphysem*"],
        Finding::Fibrosis => &["fibrosis", "fibrotic"],
        Finding::Pleural_Thickening => {
            &["pleural thickening", "thickened pleura", "pleura * is * thickened", "pleura of the * * thickened"]
        }
        Finding::Hernia => &["hernia*"],
    }
}

/// What denies everything after it in a sentence.
const NEGATIONS: &[&str] = &[
    "no",
    "not",
    "without",
    "negative for",
    "free of",
    "clear of",
    "absence of",
    "resolved",
    "resolution of",
    "rule out",
    "ruled out",
    "neither",
];

/// What ends a denial.
const TURNS: &[&str] = &["but", "however", "except", "although", "though"];

/// The findings that a report affirms.
pub fn findings(text: &str) -> FindingSet {
    let mut found = FindingSet::default();
    for sentence in text.to_lowercase().split(['.', ';', '\n', ':']) {
        let words: Vec<&str> = sentence.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let denied = denied(&words);
        for finding in Finding::ALL {
            // A denial may stand inside the phrase: "the heart is not enlarged".
            let affirmed = |phrase: &&str| {
                (0..words.len()).any(|at| {
                    matched(&words[at..], phrase).is_some_and(|n| !denied[at..at + n].contains(&true))
                        && !excepted(finding, &words, at)
                })
            };
            if terms(finding).iter().any(affirmed) {
                found.insert(finding);
            }
        }
    }
    found
}

/// For each word whether a denial reaches it.
fn denied(words: &[&str]) -> Vec<bool> {
    let mut denying = false;
    (0..words.len())
        .map(|at| {
            if TURNS.contains(&words[at]) {
                denying = false;
            }
            denying |= NEGATIONS.iter().any(|phrase| matched(&words[at..], phrase).is_some());
            // "… has resolved" denies what came before.
            denying
                || words[at..].iter().take_while(|word| !TURNS.contains(word)).take(6).any(|word| *word == "resolved")
        })
        .collect()
}

/// Words that only look like a finding of the lung or the pleura.
fn excepted(finding: Finding, words: &[&str], at: usize) -> bool {
    let before = at.checked_sub(1).map(|i| words[i]);
    match finding {
        Finding::Effusion => matches!(before, Some("pericardial" | "joint")),
        Finding::Emphysema => matches!(before, Some("subcutaneous" | "mediastinal")),
        Finding::Fibrosis => before == Some("cystic"),
        Finding::Edema => matches!(before, Some("peripheral" | "tissue")),
        _ => false,
    }
}

/// How many words a phrase takes if the words begin with it: `*` alone stands for at most three words, as few as
/// possible.
fn matched(words: &[&str], phrase: &str) -> Option<usize> {
    fn go(words: &[&str], phrase: &[&str]) -> Option<usize> {
        match phrase.split_first() {
            None => Some(0),
            Some((&"*", rest)) => (0..=3.min(words.len())).find_map(|skip| Some(skip + go(&words[skip..], rest)?)),
            Some((part, rest)) => words.split_first().and_then(|(word, words)| {
                let fits = match part.strip_suffix('*') {
                    Some(start) => word.starts_with(start),
                    None => word == part,
                };
                if fits { Some(1 + go(words, rest)?) } else { None }
            }),
        }
    }
    go(words, &phrase.split(' ').collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use shared::phantom::PhantomSource;

    use super::*;
    use crate::data::openi::{self, Effusions};
    use crate::data::phantom;

    #[test]
    fn what_is_affirmed_is_found_and_what_is_denied_is_not() {
        use Finding::*;
        let set = |findings: &[Finding]| findings.iter().copied().collect::<FindingSet>();
        for (text, expected) in [
            ("There is a small right pleural effusion.", set(&[Effusion])),
            ("No pleural effusion or pneumothorax.", set(&[])),
            ("No effusion, but a large pneumothorax.", set(&[Pneumothorax])),
            ("The heart is mildly enlarged. No focal consolidation.", set(&[Cardiomegaly])),
            ("The heart is not enlarged.", set(&[])),
            ("The pneumonia has resolved. Basilar atelectasis.", set(&[Atelectasis])),
            ("Small pericardial effusion; subcutaneous emphysema.", set(&[])),
            ("Nodular density and a mass in the left lung", set(&[Mass, Nodule])),
            ("Lungs are free of infiltrates.", set(&[])),
            ("Possible pneumonia versus edema.", set(&[Pneumonia, Edema])),
            ("", set(&[])),
        ] {
            assert_eq!(findings(text), expected, "{text}");
        }
    }

    /// Sensitivity and specificity of each finding, in order, and of all together; NaN where there is no case.
    fn agreement(reports: &[(String, FindingSet)]) -> (Vec<[f64; 2]>, [f64; 2]) {
        let read: Vec<FindingSet> = reports.iter().map(|(text, _)| findings(text)).collect();
        // Reports that do and do not have the finding, and how many of each the rules agree on.
        let counts = Finding::ALL.map(|finding| {
            let mut counts = [[0usize; 2]; 2];
            for ((_, labels), read) in reports.iter().zip(&read) {
                let [n, agreed] = &mut counts[usize::from(labels.contains(finding))];
                *n += 1;
                *agreed += usize::from(labels.contains(finding) == read.contains(finding));
            }
            counts
        });
        let share = |of: &[[usize; 2]]| {
            let sum = |at: usize| of.iter().map(|counts| counts[at]).sum::<usize>() as f64;
            sum(1) / sum(0)
        };
        let each = Finding::ALL.into_iter().zip(counts).map(|(finding, [without, with])| {
            let shares = [share(&[with]), share(&[without])];
            eprintln!("{:<20}{:>5} sensitivity {:.3} specificity {:.3}", finding.name(), with[0], shares[0], shares[1]);
            shares
        });
        (each.collect(), [share(&counts.map(|[_, with]| with)), share(&counts.map(|[without, _]| without))])
    }

    #[test]
    fn generated_reports_are_read() {
        let reports: Vec<(String, FindingSet)> =
            (0..600).map(|i| phantom::report(&PhantomSource::PLAIN, i)).map(|r| (r.text, r.findings)).collect();
        let (_, [sensitivity, specificity]) = agreement(&reports);
        assert!(sensitivity > 0.98 && specificity > 0.98, "{sensitivity} {specificity}");
    }

    /// Against the human indexer's headings. Measured when this was written: sensitivity 0.94, specificity 0.99; the
    /// least of a single finding 0.73 (pleural thickening) and 0.98 (nodule).
    #[test]
    fn real_reports_are_read() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/openi");
        let Ok(records) = openi::records(&dir) else {
            eprintln!("skipped: {} is not here", dir.display());
            return;
        };
        let reports = openi::select(&records, Effusions::Pleural).reports;
        let reports: Vec<(String, FindingSet)> = reports.into_iter().map(|r| (r.text, r.findings)).collect();
        let (each, [sensitivity, specificity]) = agreement(&reports);
        assert!(sensitivity > 0.9 && specificity > 0.97, "{sensitivity} {specificity}");
        for (finding, [sensitivity, specificity]) in Finding::ALL.into_iter().zip(each) {
            assert!(sensitivity > 0.65 && specificity > 0.97, "{finding:?}: {sensitivity} {specificity}");
        }
    }
}
