//! Generated chest x-rays with reports: no data set is needed to try the program, and every finding has a known place.
//!
//! The images are drawings, not radiographs: a small network learns them, and what it learns says nothing of patients.
//! Everything follows from the seed and the index, so nothing is stored.

mod draw;
mod report;

use crate::io::Radiograph;
use crate::{Finding, FindingSet};
use rand::Rng;
use rand::seq::index::sample;

use super::{PhantomSource, stream};

/// Images of each patient, one after the other; they share the anatomy, not the findings.
pub const IMAGES_PER_PATIENT: usize = 2;

/// A generated examination.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomXray {
    /// The drawing.
    pub image: Radiograph,
    /// What it shows, whatever the labels say.
    pub shown: FindingSet,
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
    /// Share of its full contrast that is drawn: 0 to 1.
    visibility: f32,
}

/// The patient's side; the right lung is on the left of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Right,
    Left,
}

/// Draws examination `index` of a source, `size` x `size`.
pub fn examination(source: &PhantomSource, index: usize, size: usize) -> PhantomXray {
    let signs = signs(source, index);
    let mut rng = stream(source.seed, IMAGE_STREAMS + index as u64);
    PhantomXray {
        shown: shown(&signs),
        image: draw::draw(&anatomy(source, index), &signs, size, noise(source), &mut rng),
    }
}

/// What the report of examination `index` says, without drawing it.
pub fn report(source: &PhantomSource, index: usize) -> String {
    let mut rng = stream(source.seed, REPORT_STREAMS + index as u64);
    report::write(&signs(source, index), source, &mut rng)
}

/// The labels of examination `index`, without drawing it: what it shows, but for the source's label noise.
pub fn labels(source: &PhantomSource, index: usize) -> FindingSet {
    noisy(source, index, shown(&signs(source, index)))
}

/// Where examination `index` shows each finding and how strongly: `[K, grid, grid]`, from 0 to the sign's severity at the
/// place where the sign changes the drawing most.
///
/// # Panics
///
/// If `grid` is 0.
pub fn places(source: &PhantomSource, index: usize, grid: usize) -> Vec<f32> {
    let (signs, anatomy) = (signs(source, index), anatomy(source, index));
    let mut map = vec![0.0; Finding::COUNT * grid * grid];
    for (at, sign) in signs.iter().enumerate() {
        let others: Vec<Sign> = signs.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, sign)| *sign).collect();
        let change = draw::change(&anatomy, &signs, &others, grid);
        let greatest = change.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let cells = &mut map[sign.finding.index() * grid * grid..][..grid * grid];
        for (cell, change) in cells.iter_mut().zip(change) {
            *cell = sign.severity * change / greatest;
        }
    }
    map
}

/// With label noise, each examination's labels may have lost a finding, or gained one.
fn noisy(source: &PhantomSource, index: usize, shown: FindingSet) -> FindingSet {
    let mut rng = stream(source.seed, LABEL_STREAMS + index as u64);
    if !percent(source.label_noise, &mut rng) {
        return shown;
    }
    let changed = Finding::ALL[rng.random_range(0..Finding::COUNT)];
    // Losing is as likely as gaining, so that the noise does not change how frequent findings are.
    match shown.iter().next() {
        Some(lost) if rng.random_range(0..2) == 0 => shown.iter().filter(|finding| *finding != lost).collect(),
        _ => shown.iter().chain([changed]).collect(),
    }
}

fn shown(signs: &[Sign]) -> FindingSet {
    signs.iter().map(|sign| sign.finding).collect()
}

/// True with this probability in per cent.
fn percent(percent: u8, rng: &mut impl Rng) -> bool {
    rng.random_range(0..100) < percent
}

/// Standard deviation of the drawing's noise.
fn noise(source: &PhantomSource) -> f32 {
    0.012 + 0.06 * f32::from(source.difficulty) / 100.0
}

fn anatomy(source: &PhantomSource, index: usize) -> draw::Anatomy {
    draw::Anatomy::sample(&mut stream(source.seed, PATIENT_STREAMS + (index / IMAGES_PER_PATIENT) as u64))
}

/// Where the random streams of each kind begin; those of what examinations show begin at 0.
const PATIENT_STREAMS: u64 = 1 << 32;
const IMAGE_STREAMS: u64 = 2 << 32;
const REPORT_STREAMS: u64 = 3 << 32;
const LABEL_STREAMS: u64 = 4 << 32;

/// What an examination shows: three in ten are normal, the others have one finding or, one in four, two.
fn signs(source: &PhantomSource, index: usize) -> Vec<Sign> {
    let mut rng = stream(source.seed, index as u64);
    let n = match rng.random_range(0..40) {
        0..12 => 0,
        12..33 => 1,
        _ => 2,
    };
    let mut chosen = sample(&mut rng, Finding::COUNT, n).into_vec();
    chosen.sort_unstable();
    chosen
        .into_iter()
        .map(|i| Sign {
            finding: Finding::ALL[i],
            side: if rng.random_range(0..2) == 0 { Side::Right } else { Side::Left },
            severity: rng.random_range(0.4..1.0),
            across: rng.random_range(-0.4..0.5),
            down: rng.random_range(0.25..0.75),
            visibility: 1.0 - 0.75 * f32::from(source.difficulty) / 100.0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: PhantomSource = PhantomSource { n: 400, ..PhantomSource::PLAIN };

    #[test]
    fn source_and_index_decide() {
        let a = examination(&SOURCE, 5, 32);
        assert_eq!(a, examination(&SOURCE, 5, 32));
        assert_ne!(a.image, examination(&SOURCE, 6, 32).image);
        assert_ne!(a.image, examination(&PhantomSource { seed: 2, ..SOURCE }, 5, 32).image);
        assert_eq!((a.image.width, a.image.height, a.image.pixels.len()), (32, 32, 32 * 32));
        assert!(a.image.pixels.iter().all(|p| (0.0..=1.0).contains(p)));
        assert_eq!(report(&SOURCE, 5), report(&SOURCE, 5));
    }

    #[test]
    fn labels_are_what_is_shown_but_for_their_noise() {
        let differ = |label_noise| {
            let source = PhantomSource { label_noise, ..SOURCE };
            let differs = |&i: &usize| labels(&source, i) != examination(&source, i, 4).shown;
            (0..300).filter(differs).count()
        };
        assert_eq!(differ(0), 0);
        // Some changes add what is there already.
        assert!((40..75).contains(&differ(20)), "{}", differ(20));
    }

    #[test]
    fn every_finding_occurs_and_normal_images_too() {
        let sets: Vec<FindingSet> = (0..400).map(|index| labels(&SOURCE, index)).collect();
        for finding in Finding::ALL {
            let n = sets.iter().filter(|set| set.contains(finding)).count();
            assert!((10..50).contains(&n), "{finding}: {n}");
        }
        let normal = sets.iter().filter(|set| set.is_empty()).count();
        assert!((90..150).contains(&normal), "{normal}");
    }

    fn sign(finding: Finding, visibility: f32) -> Sign {
        Sign { finding, side: Side::Left, severity: 0.4, across: 0.0, down: 0.5, visibility }
    }

    /// Each finding changes the picture where it should: the same anatomy and noise with and without it.
    #[test]
    fn every_finding_shows_in_the_image_and_less_where_it_is_faint() {
        let healthy = anatomy(&SOURCE, 0);
        let drawing = |signs: &[Sign]| draw::draw(&healthy, signs, 64, 0.012, &mut stream(0, 9)).pixels;
        let normal = drawing(&[]);
        let most = |sign| {
            let changed = drawing(&[sign]);
            changed.iter().zip(&normal).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        for finding in Finding::ALL {
            assert!(most(sign(finding, 1.0)) > 0.08, "{finding}: {}", most(sign(finding, 1.0)));
            assert!(most(sign(finding, 0.3)) < most(sign(finding, 1.0)), "{finding}");
            assert_eq!(most(sign(finding, 0.0)), 0.0, "{finding}");
        }
    }

    #[test]
    fn places_are_where_signs_are() {
        for index in 0..40 {
            let (shown, grid) = (examination(&SOURCE, index, 4).shown, 8);
            let map = places(&SOURCE, index, grid);
            for (cells, finding) in map.chunks(grid * grid).zip(Finding::ALL) {
                let greatest = cells.iter().copied().fold(0.0, f32::max);
                assert_eq!(greatest > 0.0, shown.contains(finding), "{index} {finding}");
                assert!(greatest == 0.0 || (0.4..=1.0).contains(&greatest), "{greatest}");
            }
        }
    }
}
