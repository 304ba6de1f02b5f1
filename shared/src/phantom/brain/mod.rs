//! Generated brain MRI: heads with tumours, seen by four sequences. Enhancing tumour is plain in T1c, faint elsewhere.
//!
//! Tissue maps and relaxation times are turned into signals by the sequences' equations, then disturbed by an uneven
//! receive field, noise, and a slight movement of the head between sequences. Everything follows from seed and index, so
//! nothing is stored. What a network learns here says nothing of patients.

mod anatomy;
mod signal;
mod texture;

use crate::io::{Geometry, Volume};
use crate::{Modality, ModalitySet};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use self::anatomy::Brain;
use self::signal::{Signals, Tissue};
use self::texture::Point;
use super::{BrainSource, stream};

/// Side of the field of view, in mm.
const FIELD_MM: f32 = 192.0;
/// Greatest distance of slices, in mm, and height of what they may cover.
const SLICE_MM: f32 = 6.0;
const HEIGHT_MM: f32 = 108.0;

/// Labels of the truth, as in BRATS.
pub const NECROSIS: u8 = 1;
/// Swollen tissue.
pub const EDEMA: u8 = 2;
/// Tumour that does not enhance.
pub const SOLID: u8 = 3;
/// Enhancing tumour.
pub const ENHANCING: u8 = 4;

/// A generated patient.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomBrain {
    /// The four sequences, in the order of [`Modality::ALL`]; 0 outside the brain.
    pub sequences: [Volume; Modality::COUNT],
    /// What each voxel is: 0 or one of the labels above.
    pub truth: Vec<u8>,
}

/// How one sequence sees the head.
struct View {
    /// Movement in mm and turn in radians.
    shift: Point,
    turn: f32,
    /// Uneven reception: strength and number of the field.
    unevenness: f32,
    field: u32,
    noise: f32,
}

impl View {
    fn sample(source: &BrainSource, rng: &mut impl Rng) -> Self {
        let mut normal = || -> f32 { StandardNormal.sample(rng) };
        let shift = [0.5 * normal(), 0.5 * normal(), 0.5 * normal()];
        let turn = 0.008 * normal();
        let hard = f32::from(source.difficulty) / 100.0;
        Self { shift, turn, unevenness: 0.25, field: rng.random(), noise: 0.02 + 0.10 * hard }
    }

    /// Where in the head this sequence looks when it should look at `p`.
    fn moved(&self, [x, y, z]: Point) -> Point {
        let (sin, cos) = self.turn.sin_cos();
        [cos * x - sin * y + self.shift[0], sin * x + cos * y + self.shift[1], z + self.shift[2]]
    }
}

/// Patient `index` of a source.
pub fn patient(source: &BrainSource, index: usize) -> PhantomBrain {
    let mut rng = stream(source.seed, index as u64);
    let brain = Brain::sample(&mut rng);
    let signals = Signals::sample(&mut rng);
    let views = Modality::ALL.map(|_| View::sample(source, &mut rng));
    let pixel = FIELD_MM / source.size as f32;
    let slice_mm = SLICE_MM.min(HEIGHT_MM / source.slices as f32);
    let middle = if slice_mm < SLICE_MM { 0.0 } else { brain.focus()[2] + rng.random_range(-SLICE_MM..SLICE_MM) };
    let origin =
        [-0.5 * (FIELD_MM - pixel), -0.5 * (FIELD_MM - pixel), middle - 0.5 * slice_mm * (source.slices - 1) as f32];
    let geometry = Geometry {
        size: [source.size, source.size, source.slices],
        world_from_voxel: std::array::from_fn(|i| {
            let mut row = [0.0; 4];
            row[i] = f64::from(if i == 2 { slice_mm } else { pixel });
            row[3] = f64::from(origin[i]);
            row
        }),
    };
    let point = |at: usize| -> Point {
        let (x, y, z) = (at % source.size, at / source.size % source.size, at / (source.size * source.size));
        [origin[0] + pixel * x as f32, origin[1] + pixel * y as f32, origin[2] + slice_mm * z as f32]
    };
    let blur = 0.6 * pixel;
    let truth = (0..geometry.n_voxels()).map(|at| brain.at(point(at), blur).map_or(0, |mixture| label(&mixture)));
    let truth: Vec<u8> = truth.collect();
    let sequences = Modality::ALL.map(|modality| {
        let view = &views[modality.index()];
        let voxel = |at: usize| {
            let p = point(at);
            let Some(mixture) = brain.at(view.moved(p), blur) else { return 0.0 };
            let field = (view.unevenness * texture::noise(p, 110.0, view.field)).exp();
            let mut grain = || -> f32 { StandardNormal.sample(&mut rng) };
            let grain = [view.noise * grain(), view.noise * grain()];
            // The magnitude of a signal with noise in both of its parts, away from the background's 0.
            (signals.of(modality, &mixture) * field + grain[0]).hypot(grain[1]).max(1e-3)
        };
        let voxels = (0..geometry.n_voxels()).map(voxel).collect();
        Volume { geometry, voxels }
    });
    PhantomBrain { sequences, truth }
}

/// The sequences that were made of patient `index`: all, or as many as the source's `lacking` leaves; never none.
pub fn present(source: &BrainSource, index: usize) -> ModalitySet {
    let mut rng = stream(source.seed, PRESENT_STREAMS + index as u64);
    let kept = Modality::ALL[rng.random_range(0..Modality::COUNT)];
    let made = |modality: &Modality| rng.random_range(0..100) >= source.lacking || *modality == kept;
    let made: Vec<Modality> = Modality::ALL.into_iter().filter(made).collect();
    ModalitySet::new(made).unwrap_or(ModalitySet::one(kept))
}

/// Where the streams begin that say which sequences were made; those of the heads begin at 0.
const PRESENT_STREAMS: u64 = 1 << 32;

/// The label of a mixture: of what makes up most of it.
fn label(mixture: &[f32; signal::TISSUES]) -> u8 {
    let share = |tissue: Tissue| mixture[tissue as usize];
    let abnormal =
        [(Tissue::Necrosis, NECROSIS), (Tissue::Edema, EDEMA), (Tissue::Solid, SOLID), (Tissue::Enhancing, ENHANCING)];
    let most = abnormal.into_iter().max_by(|a, b| share(a.0).total_cmp(&share(b.0)));
    let sum: f32 = abnormal.iter().map(|(tissue, _)| share(*tissue)).sum();
    most.filter(|_| sum >= 0.5).map_or(0, |(_, label)| label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: BrainSource = BrainSource { n: 40, seed: 1, size: 48, slices: 5, difficulty: 50, lacking: 0 };

    #[test]
    fn source_and_index_decide() {
        let a = patient(&SOURCE, 3);
        assert_eq!(a, patient(&SOURCE, 3));
        assert_ne!(a, patient(&SOURCE, 4));
        assert_ne!(a.sequences, patient(&BrainSource { seed: 2, ..SOURCE }, 3).sequences);
        assert!(a.sequences.iter().all(|volume| Volume::new(volume.geometry, volume.voxels.clone()).is_ok()));
    }

    /// Most patients have enhancing tumour, some have none, and none fills the head.
    #[test]
    fn tumours_are_neither_rare_nor_large() {
        let shares: Vec<f64> = (0..SOURCE.n)
            .map(|index| {
                let brain = patient(&SOURCE, index);
                let count = |f: &dyn Fn(usize) -> bool| (0..brain.truth.len()).filter(|&at| f(at)).count() as f64;
                count(&|at| brain.truth[at] == ENHANCING) / count(&|at| brain.sequences[0].voxels[at] > 0.0)
            })
            .collect();
        let without = shares.iter().filter(|share| **share == 0.0).count();
        assert!((2..16).contains(&without), "{without}");
        assert!(shares.iter().all(|share| *share < 0.25), "{shares:?}");
        assert!(shares.iter().sum::<f64>() / shares.len() as f64 > 0.01);
    }

    /// Enhancing tumour stands out from the rest of the lesion in T1c, and much less elsewhere.
    #[test]
    fn enhancement_is_plain_in_t1c_alone() {
        let mut contrast = [0.0; Modality::COUNT];
        let mut n = 0;
        for index in 0..SOURCE.n {
            let brain = patient(&SOURCE, index);
            let mean = |modality: usize, wanted: &dyn Fn(u8) -> bool| {
                let of: Vec<f32> = (0..brain.truth.len())
                    .filter(|&at| wanted(brain.truth[at]))
                    .map(|at| brain.sequences[modality].voxels[at])
                    .collect();
                (of.len() >= 10).then(|| of.iter().sum::<f32>() / of.len() as f32)
            };
            let both = |m: usize| Some((mean(m, &|l| l == ENHANCING)?, mean(m, &|l| l == EDEMA || l == SOLID)?));
            if let Some(values) = (0..Modality::COUNT).map(both).collect::<Option<Vec<_>>>() {
                n += 1;
                for (sum, (a, b)) in contrast.iter_mut().zip(values) {
                    *sum += a / b;
                }
            }
        }
        let [flair, t1, t1c, t2] = contrast.map(|sum| sum / n as f32);
        assert!(n > 10 && t1c > 1.4, "{n} {contrast:?}");
        for faint in [flair, t1, t2] {
            assert!((0.75..1.2).contains(&faint), "{flair} {t1} {t2}");
        }
    }
}
