//! Label-matched pairs: an image and a report of different people that carry the same finding set.
//!
//! Such a pair is no examination of one patient; whatever is trained with it must say so.

use std::collections::HashMap;

use rand::Rng;
use shared::FindingSet;

use super::report::Report;

/// Finds reports by their finding set.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// Reports of each finding set, as positions in the list of reports.
    by_findings: HashMap<FindingSet, Vec<usize>>,
    /// For each report the number of its text.
    text_groups: Vec<usize>,
    n_texts: usize,
}

/// What decides whether two samples of a batch may serve as negatives of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairKey {
    /// Whose image it is.
    pub patient: u32,
    /// The finding set that image and report have in common.
    pub findings: FindingSet,
    /// [`Pairs::text_group`] of the report.
    pub text_group: usize,
}

impl PairKey {
    /// Whether the report of one could not as well be the report of the other: another patient, another finding set and
    /// another text.
    pub fn is_negative_of(&self, other: &Self) -> bool {
        self.patient != other.patient && self.findings != other.findings && self.text_group != other.text_group
    }
}

/// The mask of a batch, `[N, N]` row by row: whether the two samples may serve as negatives of each other.
pub fn negatives(keys: &[PairKey]) -> Vec<bool> {
    keys.iter().flat_map(|a| keys.iter().map(|b| a.is_negative_of(b))).collect()
}

impl Pairs {
    /// Groups the reports by finding set, and by text.
    pub fn new(reports: &[Report]) -> Self {
        let mut by_findings: HashMap<FindingSet, Vec<usize>> = HashMap::new();
        let mut texts: HashMap<String, usize> = HashMap::new();
        let mut text_groups = Vec::with_capacity(reports.len());
        for (i, report) in reports.iter().enumerate() {
            by_findings.entry(report.findings).or_default().push(i);
            let next = texts.len();
            text_groups.push(*texts.entry(normalized(&report.text)).or_insert(next));
        }
        Self { by_findings, text_groups, n_texts: texts.len() }
    }

    /// The reports with exactly these findings, as positions in the list.
    pub fn partners(&self, findings: FindingSet) -> &[usize] {
        self.by_findings.get(&findings).map_or(&[], Vec::as_slice)
    }

    /// A report with exactly these findings, all equally likely; `None` if there is none.
    pub fn draw(&self, findings: FindingSet, rng: &mut impl Rng) -> Option<usize> {
        let partners = self.partners(findings);
        (!partners.is_empty()).then(|| partners[rng.random_range(0..partners.len())])
    }

    /// Any report, all equally likely: the control that shows what matching is worth. `None` if there are no reports.
    pub fn draw_unmatched(&self, rng: &mut impl Rng) -> Option<usize> {
        (!self.text_groups.is_empty()).then(|| rng.random_range(0..self.text_groups.len()))
    }

    /// The number of a report's text: reports whose texts differ only in case, punctuation or spacing have the same.
    pub fn text_group(&self, report: usize) -> usize {
        self.text_groups[report]
    }

    /// How many different texts there are.
    pub fn n_texts(&self) -> usize {
        self.n_texts
    }

    /// How many of the images have at least one report to be paired with.
    pub fn n_with_partner(&self, findings: impl IntoIterator<Item = FindingSet>) -> usize {
        findings.into_iter().filter(|&set| !self.partners(set).is_empty()).count()
    }
}

/// The words in lower case.
fn normalized(text: &str) -> String {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use shared::Finding;

    use super::*;

    fn report(text: &str, findings: &[Finding]) -> Report {
        Report {
            id: text.to_owned(),
            text: text.to_owned(),
            findings: findings.iter().copied().collect(),
            normal: findings.is_empty(),
        }
    }

    fn reports() -> Vec<Report> {
        vec![
            report("Normal chest.", &[]),
            report("A mass.", &[Finding::Mass]),
            report("normal  CHEST", &[]),
            report("Mass and nodule.", &[Finding::Mass, Finding::Nodule]),
        ]
    }

    #[test]
    fn a_drawn_report_has_the_same_findings_and_each_is_drawn() {
        let (reports, mut rng) = (reports(), ChaCha8Rng::seed_from_u64(0));
        let pairs = Pairs::new(&reports);
        let mut drawn = [0; 4];
        for _ in 0..200 {
            for set in [FindingSet::default(), [Finding::Mass].into_iter().collect()] {
                let i = pairs.draw(set, &mut rng).expect("there is one");
                assert_eq!(reports[i].findings, set);
                drawn[i] += 1;
            }
        }
        assert_eq!((drawn[1], drawn[3]), (200, 0));
        assert!(drawn[0] > 60 && drawn[2] > 60, "{drawn:?}");
        let hernia: FindingSet = [Finding::Hernia].into_iter().collect();
        assert_eq!(pairs.draw(hernia, &mut rng), None);
        assert_eq!(pairs.n_with_partner([hernia, FindingSet::default()]), 1);
        let any: Vec<_> = (0..100).map(|_| pairs.draw_unmatched(&mut rng)).collect();
        assert!((0..4).all(|i| any.contains(&Some(i))));
        assert_eq!(Pairs::new(&[]).draw_unmatched(&mut rng), None);
    }

    #[test]
    fn texts_that_read_alike_are_one() {
        let pairs = Pairs::new(&reports());
        assert_eq!(pairs.text_group(0), pairs.text_group(2));
        assert_ne!(pairs.text_group(0), pairs.text_group(1));
        assert_eq!(pairs.n_texts(), 3);
    }

    #[test]
    fn negatives_differ_in_patient_findings_and_text() {
        let mass: FindingSet = [Finding::Mass].into_iter().collect();
        let key = |patient, findings, text_group| PairKey { patient, findings, text_group };
        let base = key(1, mass, 0);
        assert!(base.is_negative_of(&key(2, FindingSet::default(), 1)));
        assert!(!base.is_negative_of(&key(1, FindingSet::default(), 1)));
        assert!(!base.is_negative_of(&key(2, mass, 1)));
        assert!(!base.is_negative_of(&key(2, FindingSet::default(), 0)));
        let mask = negatives(&[base, key(2, FindingSet::default(), 1), key(3, mass, 2)]);
        assert_eq!(mask, [false, true, false, true, false, true, false, true, false]);
    }
}
