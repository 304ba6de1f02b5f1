//! Generated x-rays as studies, with names and patients that no other source has.

use shared::phantom::xray::{IMAGES_PER_PATIENT, labels, report as text};
use shared::phantom::{MAX_PHANTOMS, PhantomSource};

use super::report::Report;
use super::{Origin, Study};

/// Number of the first generated patient; real patients have smaller numbers.
pub const FIRST_PATIENT: u32 = 1 << 31;

/// Examination `index` as a study of source number `number`, with its report, without drawing it.
pub fn study(source: &PhantomSource, index: usize, number: usize) -> Study {
    Study {
        image: name(source.seed, index),
        origin: Origin::Phantom { source: *source, index },
        patient: patient(source.seed, index),
        findings: Some(labels(source, index)),
        report: Some(text(source, index)),
        source: number,
    }
}

/// The report of examination `index` with its labels, without drawing it.
pub fn report(source: &PhantomSource, index: usize) -> Report {
    let findings = labels(source, index);
    Report { id: name(source.seed, index), text: text(source, index), findings, normal: findings.is_empty() }
}

fn name(seed: u64, index: usize) -> String {
    format!("phantom-{seed}-{index:06}")
}

/// Numbers of different seeds do not meet while the seeds' lower eleven bits differ.
fn patient(seed: u64, index: usize) -> u32 {
    FIRST_PATIENT + ((seed % (1 << 11)) as u32) * PATIENTS_PER_SEED + (index / IMAGES_PER_PATIENT) as u32
}

/// Patients' numbers kept for each seed.
const PATIENTS_PER_SEED: u32 = (MAX_PHANTOMS / IMAGES_PER_PATIENT) as u32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn study_and_report_agree() {
        let source = PhantomSource { label_noise: 50, ..PhantomSource::PLAIN };
        for index in 0..40 {
            let (study, report) = (study(&source, index, 2), report(&source, index));
            assert_eq!((study.image.as_str(), study.source), (report.id.as_str(), 2));
            assert_eq!((study.findings, study.report), (Some(report.findings), Some(report.text)));
        }
    }

    #[test]
    fn two_images_are_of_one_patient_and_seeds_share_none() {
        assert_eq!(patient(0, 0), patient(0, 1));
        assert_ne!(patient(0, 1), patient(0, 2));
        assert_ne!(patient(0, 0), patient(1, 0));
        assert!(patient(0, 0) >= FIRST_PATIENT && patient(2047, MAX_PHANTOMS - 1) > patient(2046, 0));
    }
}
