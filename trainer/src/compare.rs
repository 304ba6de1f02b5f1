//! Two models scored on the same studies: which is better, finding by finding and on average.

use serde::Serialize;
use shared::finding::Finding;
use shared::metric::{Interval, PairedAuroc, delong};

use crate::error::{Error, Result};
use crate::evaluate::{ByFinding, Scored};

/// How the first model differs from the second.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Mean area of the first minus that of the second over [`Self::macro_findings`], by resampling patients for both
    /// alike; `None` if there are no such findings.
    pub macro_difference: Option<Interval>,
    /// The findings averaged over.
    pub macro_findings: Vec<Finding>,
    /// Images.
    pub n: usize,
    /// Patients.
    pub n_patients: usize,
    /// Difference of each finding; `None` with fewer than two cases or controls.
    pub findings: ByFinding<FindingComparison>,
}

/// How two models differ on one finding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FindingComparison {
    /// Images with the finding.
    pub n_pos: usize,
    /// Both areas and their difference. Images count as independent here, so that the interval is somewhat narrow where
    /// patients have several.
    #[serde(flatten)]
    pub auroc: PairedAuroc,
}

/// Compares two models on the same studies; findings with fewer than `min_positives` images do not enter the average.
///
/// # Errors
///
/// [`Error::OtherStudies`] if the two were not scored on the same studies in the same order.
pub fn compare(a: &Scored, b: &Scored, min_positives: usize) -> Result<Comparison> {
    check_same_studies(a, b)?;
    let macro_findings = a.measurable(min_positives);
    let finding = |f: Finding| {
        let ((of_a, present), (of_b, _)) = (a.column(f), b.column(f));
        Some(FindingComparison { n_pos: a.n_pos(f), auroc: delong(&of_a, &of_b, &present)? })
    };
    Ok(Comparison {
        macro_difference: a
            .bootstrap()
            .macro_auroc_difference(&a.columns(&macro_findings), &b.columns(&macro_findings)),
        macro_findings,
        n: a.present.len(),
        n_patients: a.n_patients(),
        findings: ByFinding(Finding::ALL.into_iter().map(finding).collect()),
    })
}

fn check_same_studies(a: &Scored, b: &Scored) -> Result<()> {
    let (n_a, n_b) = (a.present.len(), b.present.len());
    if n_a != n_b {
        return Err(Error::OtherStudies { reason: format!("the first has {n_a} images, the second {n_b}") });
    }
    if let Some(i) = (0..n_a).find(|&i| a.patients[i] != b.patients[i]) {
        let (of_a, of_b) = (a.patients[i], b.patients[i]);
        let reason = format!("image {} is of patient {of_a} in the first, of patient {of_b} in the second", i + 1);
        return Err(Error::OtherStudies { reason });
    }
    if let Some(i) = (0..n_a).find(|&i| a.present[i] != b.present[i]) {
        return Err(Error::OtherStudies { reason: format!("image {} has other findings in the second", i + 1) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 60 images of 30 patients; the scores rise with the finding by `lift`.
    fn scored(lift: f32) -> Scored {
        let present: Vec<[bool; Finding::COUNT]> =
            (0..60).map(|i| std::array::from_fn(|k| k < 3 && (i + k) % 3 == 0)).collect();
        let noise = |i: usize, k: usize| ((i * 37 + k * 11) % 60) as f32 / 60.0;
        let scores = present
            .iter()
            .enumerate()
            .map(|(i, p)| std::array::from_fn(|k| 0.5 * noise(i, k) + if p[k] { lift } else { 0.0 }))
            .collect();
        Scored { scores, present, patients: (0..60).map(|i| i / 2).collect() }
    }

    #[test]
    fn the_better_model_leads_everywhere() {
        let comparison = compare(&scored(0.3), &scored(0.05), 20).unwrap();
        assert_eq!(comparison.macro_findings.len(), 3);
        let macro_difference = comparison.macro_difference.unwrap();
        assert!(macro_difference.lo > 0.0);
        let first = comparison.findings.0[0].unwrap();
        assert_eq!(first.n_pos, 20);
        assert!(first.auroc.difference.lo > 0.0 && first.auroc.p < 0.05, "{first:?}");
        assert_eq!(comparison.findings.0[5], None, "no case");
        let mean = comparison.findings.0[..3].iter().map(|f| f.unwrap().auroc.difference.value).sum::<f64>() / 3.0;
        assert!((macro_difference.value - mean).abs() < 1e-12);
    }

    #[test]
    fn json_lists_every_finding() {
        let json = serde_json::to_value(compare(&scored(0.3), &scored(0.3), 1).unwrap()).unwrap();
        let first = &json["findings"]["Atelectasis"];
        assert_eq!((first["n_pos"].as_u64(), first["p"].as_f64()), (Some(20), Some(1.0)));
        assert_eq!(first["difference"]["value"], 0.0);
        assert!(json["findings"]["Hernia"].is_null());
        assert_eq!(json["findings"].as_object().unwrap().len(), 14);
    }

    #[test]
    fn other_studies_are_refused() {
        let a = scored(0.3);
        let refusal = |change: fn(&mut Scored)| {
            let mut b = a.clone();
            change(&mut b);
            compare(&a, &b, 1).unwrap_err().to_string()
        };
        assert!(refusal(|b| b.patients[4] = 99).contains("image 5 is of patient 2 in the first, of patient 99"));
        assert!(refusal(|b| b.present[0][0] ^= true).contains("image 1 has other findings"));
        let fewer = refusal(|b| {
            b.scores.pop();
            b.present.pop();
            b.patients.pop();
        });
        assert!(fewer.contains("60 images, the second 59"), "{fewer}");
    }
}
