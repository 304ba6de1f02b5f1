//! Pairs of an image and a report, and which of them may serve as negatives of each other.
//!
//! A study's own report is of the same examination. A label-matched report is of another person with the same finding
//! set: no examination of one patient, and whatever is trained with it must say so.

use std::collections::HashMap;

use rand::Rng;
use rand::seq::SliceRandom;
use shared::FindingSet;

use super::report::Report;

/// Finds reports by their finding set.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// Reports of each finding set, as positions in the list of reports.
    by_findings: HashMap<FindingSet, Vec<usize>>,
    n: usize,
}

/// What decides whether two samples of a batch may serve as negatives of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairKey {
    /// Whose image it is.
    pub patient: u32,
    /// For a label-matched pair the finding set that image and report have in common.
    pub matched: Option<FindingSet>,
    /// [`text_groups`] of the report.
    pub text_group: usize,
}

impl PairKey {
    /// Whether the report of one could not as well be the report of the other: another patient, another text and, where
    /// both were matched by them, other findings.
    pub fn is_negative_of(&self, other: &Self) -> bool {
        let alike = self.matched.is_some() && self.matched == other.matched;
        self.patient != other.patient && self.text_group != other.text_group && !alike
    }
}

/// The mask of a batch, `[N, N]` row by row: whether the two samples may serve as negatives of each other.
pub fn negatives(keys: &[PairKey]) -> Vec<bool> {
    keys.iter().flat_map(|a| keys.iter().map(|b| a.is_negative_of(b))).collect()
}

/// A number for each text: those that differ only in case, punctuation or spacing have the same.
pub fn text_groups<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<usize> {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    texts
        .into_iter()
        .map(|text| {
            let next = numbers.len();
            *numbers.entry(normalized(text)).or_insert(next)
        })
        .collect()
}

/// Each of `owners` with another one's position, no one twice, so that as few as possible stay with one patient: which
/// report goes with which image when reports are shuffled.
pub fn shuffled(owners: &[u32], rng: &mut impl Rng) -> Vec<usize> {
    let n = owners.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(rng);
    let same = |step: usize| (0..n).filter(|&k| owners[order[k]] == owners[order[(k + step) % n]]).count();
    // A handful of rotations always holds one that parts every patient from his own report, if there is one.
    let step = (1..n.min(16)).min_by_key(|&step| same(step)).unwrap_or(0);
    let mut partner = vec![0; n];
    for k in 0..n {
        partner[order[k]] = order[(k + step) % n];
    }
    partner
}

impl Pairs {
    /// Groups the reports by finding set.
    pub fn new(reports: &[Report]) -> Self {
        let mut by_findings: HashMap<FindingSet, Vec<usize>> = HashMap::new();
        for (i, report) in reports.iter().enumerate() {
            by_findings.entry(report.findings).or_default().push(i);
        }
        Self { by_findings, n: reports.len() }
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
        (self.n > 0).then(|| rng.random_range(0..self.n))
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
        assert_eq!(text_groups(["Normal chest.", "A mass.", "normal  CHEST"]), [0, 1, 0]);
    }

    #[test]
    fn a_shuffled_report_is_another_patients() {
        let owners: Vec<u32> = (0..50).map(|i| i / 2).collect();
        let partners = shuffled(&owners, &mut ChaCha8Rng::seed_from_u64(1));
        assert!(partners.iter().enumerate().all(|(i, &partner)| owners[i] != owners[partner]));
        let mut sorted = partners.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_eq!(shuffled(&[1], &mut ChaCha8Rng::seed_from_u64(1)), [0]);
        assert!(shuffled(&[], &mut ChaCha8Rng::seed_from_u64(1)).is_empty());
    }

    #[test]
    fn negatives_differ_in_patient_and_text_and_matched_ones_in_findings() {
        let mass: FindingSet = [Finding::Mass].into_iter().collect();
        let key = |patient, matched, text_group| PairKey { patient, matched, text_group };
        let base = key(1, Some(mass), 0);
        assert!(base.is_negative_of(&key(2, Some(FindingSet::default()), 1)));
        assert!(!base.is_negative_of(&key(1, Some(FindingSet::default()), 1)));
        assert!(!base.is_negative_of(&key(2, Some(mass), 1)));
        assert!(!base.is_negative_of(&key(2, Some(FindingSet::default()), 0)));
        assert!(key(1, None, 0).is_negative_of(&key(2, None, 1)));
        assert!(base.is_negative_of(&key(2, None, 1)));
        let mask = negatives(&[base, key(2, Some(FindingSet::default()), 1), key(3, Some(mass), 2)]);
        assert_eq!(mask, [false, true, false, true, false, true, false, true, false]);
    }
}
