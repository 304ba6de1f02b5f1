//! Generated chest x-rays with reports: no data set is needed to try the program, and every finding has a known place.
//!
//! The images are drawings, not radiographs: a small network learns them, and what it learns says nothing of patients.
//! Everything follows from the seed and the index, so nothing is stored.

mod draw;
mod report;

use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::io::Radiograph;
use shared::{Finding, FindingSet};

use super::report::Report;
use super::{Origin, Study};

/// Number of the first generated patient; real patients have smaller numbers.
pub const FIRST_PATIENT: u32 = 1 << 31;

/// Images of each patient; they share the anatomy, not the findings.
const IMAGES_PER_PATIENT: usize = 2;

/// A generated examination.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomXray {
    /// The drawing.
    pub image: Radiograph,
    /// What it shows.
    pub findings: FindingSet,
    /// What a report says of it, in plain sentences.
    pub report: String,
    /// Whose it is.
    pub patient: u32,
}

/// A finding at its place.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sign {
    finding: Finding,
    /// Which lung, where one is meant.
    side: Side,
    /// 0.4 (mild) to 1 (severe).
    severity: f32,
    /// Across the lung: -1 towards the heart, 1 at the chest wall.
    across: f32,
    /// Down the lung: 0 at the apex, 1 at the diaphragm.
    down: f32,
}

/// The patient's side; the right lung is on the left of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Right,
    Left,
}

/// Draws examination `index` of a seed, `size` x `size`.
pub fn xray(seed: u64, index: usize, size: usize) -> PhantomXray {
    let (signs, mut rng) = signs(seed, index);
    let anatomy = draw::Anatomy::sample(&mut stream(seed, PATIENT_STREAMS + (index / IMAGES_PER_PATIENT) as u64));
    PhantomXray {
        findings: signs.iter().map(|sign| sign.finding).collect(),
        report: report::write(&signs, &mut rng),
        image: draw::draw(&anatomy, &signs, size, &mut rng),
        patient: patient(index),
    }
}

/// The report of examination `index`, without drawing it.
pub fn report(seed: u64, index: usize) -> Report {
    let (signs, mut rng) = signs(seed, index);
    Report {
        id: name(seed, index),
        text: report::write(&signs, &mut rng),
        findings: signs.iter().map(|sign| sign.finding).collect(),
        normal: signs.is_empty(),
    }
}

/// Examination `index` as a study of source number `source`, without drawing it.
pub fn study(seed: u64, index: usize, source: usize) -> Study {
    Study {
        image: name(seed, index),
        origin: Origin::Phantom { seed, index },
        patient: patient(index),
        findings: signs(seed, index).0.iter().map(|sign| sign.finding).collect(),
        source,
    }
}

fn name(seed: u64, index: usize) -> String {
    format!("phantom-{seed}-{index:06}")
}

fn patient(index: usize) -> u32 {
    FIRST_PATIENT + (index / IMAGES_PER_PATIENT) as u32
}

/// Where the random streams of patients begin; those of examinations begin at 0.
const PATIENT_STREAMS: u64 = 1 << 32;

fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// What an examination shows, and the random numbers that follow: three in ten are normal, the others have one finding
/// or, one in four, two.
fn signs(seed: u64, index: usize) -> (Vec<Sign>, ChaCha8Rng) {
    let mut rng = stream(seed, index as u64);
    let n = match rng.random_range(0..40) {
        0..12 => 0,
        12..33 => 1,
        _ => 2,
    };
    let mut chosen = sample(&mut rng, Finding::COUNT, n).into_vec();
    chosen.sort_unstable();
    let signs = chosen
        .into_iter()
        .map(|i| Sign {
            finding: Finding::ALL[i],
            side: if rng.random_range(0..2) == 0 { Side::Right } else { Side::Left },
            severity: rng.random_range(0.4..1.0),
            across: rng.random_range(-0.4..0.5),
            down: rng.random_range(0.25..0.75),
        })
        .collect();
    (signs, rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_and_index_decide() {
        let a = xray(1, 5, 32);
        assert_eq!(a, xray(1, 5, 32));
        assert_ne!(a.image, xray(1, 6, 32).image);
        assert_ne!(a.image, xray(2, 5, 32).image);
        assert_eq!((a.image.width, a.image.height, a.image.pixels.len()), (32, 32, 32 * 32));
        assert!(a.image.pixels.iter().all(|p| (0.0..=1.0).contains(p)));
    }

    #[test]
    fn report_and_study_are_those_of_the_drawing() {
        for index in 0..50 {
            let (drawn, report, study) = (xray(0, index, 8), report(0, index), study(0, index, 2));
            assert_eq!((&drawn.report, drawn.findings), (&report.text, report.findings));
            assert_eq!((drawn.patient, drawn.findings), (study.patient, study.findings));
            assert_eq!(report.normal, report.findings.is_empty());
        }
    }

    #[test]
    fn every_finding_occurs_and_normal_images_too() {
        let sets: Vec<FindingSet> = (0..400).map(|index| report(0, index).findings).collect();
        for finding in Finding::ALL {
            let n = sets.iter().filter(|set| set.contains(finding)).count();
            assert!((10..50).contains(&n), "{finding}: {n}");
        }
        let normal = sets.iter().filter(|set| set.is_empty()).count();
        assert!((90..150).contains(&normal), "{normal}");
    }

    #[test]
    fn two_images_are_of_one_patient() {
        assert_eq!(patient(0), patient(1));
        assert_ne!(patient(1), patient(2));
        assert!(patient(0) >= FIRST_PATIENT);
    }

    /// Each finding changes the picture where it should: the same anatomy and noise with and without it.
    #[test]
    fn every_finding_shows_in_the_image() {
        let anatomy = draw::Anatomy::sample(&mut stream(0, PATIENT_STREAMS));
        let drawing = |signs: &[Sign]| draw::draw(&anatomy, signs, 64, &mut stream(0, 9)).pixels;
        let normal = drawing(&[]);
        for finding in Finding::ALL {
            let sign = Sign { finding, side: Side::Left, severity: 0.4, across: 0.0, down: 0.5 };
            let changed = drawing(&[sign]);
            let most = changed.iter().zip(&normal).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(most > 0.08, "{finding}: {most}");
        }
    }
}
