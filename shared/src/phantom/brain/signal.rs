//! From tissue to signal: relaxation times, contrast agent, and the equations of the four sequences.
//!
//! Times are those of 1.5 T. Source of the equations: Bernstein, King and Zhou, "Handbook of MRI Pulse Sequences", 2004,
//! spin echo and inversion recovery. Source of the times of healthy tissue: Stanisz et al. 2005, Magn Reson Med 54:507, and
//! of the contrast agent's relaxivity: Rohrer et al. 2005, Invest Radiol 40:715. The times of diseased tissue are choices
//! within what is reported for gliomas.

use crate::Modality;
use rand::Rng;

/// What a voxel may be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tissue {
    White,
    Grey,
    Fluid,
    /// Blood vessels and what else takes up contrast agent in health.
    Vessel,
    Edema,
    Necrosis,
    /// Tumour whose vessels do not leak.
    Solid,
    /// Tumour whose vessels leak.
    Enhancing,
}

/// How many tissues there are.
pub(super) const TISSUES: usize = 8;

/// A tissue's magnetic properties.
#[derive(Debug, Clone, Copy)]
struct Properties {
    /// In ms, without contrast agent.
    t1: f32,
    /// In ms.
    t2: f32,
    /// Proton density, water is 1.
    density: f32,
    /// Contrast agent taken up, in mmol/l.
    uptake: f32,
}

/// Properties in the order of [`Tissue`], before they vary from patient to patient.
const PROPERTIES: [Properties; TISSUES] = [
    Properties { t1: 650.0, t2: 75.0, density: 0.70, uptake: 0.01 },
    Properties { t1: 1050.0, t2: 95.0, density: 0.82, uptake: 0.02 },
    Properties { t1: 4000.0, t2: 1500.0, density: 1.0, uptake: 0.0 },
    Properties { t1: 1300.0, t2: 110.0, density: 0.85, uptake: 0.7 },
    Properties { t1: 1250.0, t2: 165.0, density: 0.88, uptake: 0.01 },
    Properties { t1: 2300.0, t2: 420.0, density: 0.95, uptake: 0.02 },
    Properties { t1: 1350.0, t2: 140.0, density: 0.87, uptake: 0.04 },
    Properties { t1: 1250.0, t2: 122.0, density: 0.86, uptake: 0.55 },
];

/// Relaxivity of the contrast agent, in l/(mmol s).
const RELAXIVITY: f32 = 4.3;

/// Signal of every tissue in every sequence, for one patient; white matter's is near 1 in each.
pub(super) struct Signals([[f32; TISSUES]; Modality::COUNT]);

impl Signals {
    /// Healthy tissue varies little from patient to patient, diseased tissue more.
    pub(super) fn sample(rng: &mut impl Rng) -> Self {
        let mut properties = PROPERTIES;
        for (i, tissue) in properties.iter_mut().enumerate() {
            let spread = if i <= Tissue::Vessel as usize { 0.04 } else { 0.12 };
            tissue.t1 *= 1.0 + rng.random_range(-spread..spread);
            tissue.t2 *= 1.0 + rng.random_range(-spread..spread);
            tissue.uptake *= 1.0 + rng.random_range(-5.0 * spread..5.0 * spread);
        }
        let signals = Modality::ALL.map(|modality| {
            let all = properties.map(|tissue| signal(modality, tissue));
            all.map(|value| value / all[Tissue::White as usize])
        });
        Self(signals)
    }

    /// Signal of a mixture of tissues.
    pub(super) fn of(&self, modality: Modality, mixture: &[f32; TISSUES]) -> f32 {
        self.0[modality.index()].iter().zip(mixture).map(|(signal, share)| signal * share).sum()
    }
}

/// The sequence's equation, with usual times in ms.
fn signal(modality: Modality, tissue: Properties) -> f32 {
    let Properties { mut t1, t2, density, uptake } = tissue;
    if modality == Modality::T1c {
        t1 = 1.0 / (1.0 / t1 + RELAXIVITY * uptake / 1000.0);
    }
    let spin_echo = |repetition: f32, echo: f32| density * (1.0 - (-repetition / t1).exp()) * (-echo / t2).exp();
    match modality {
        Modality::T1 | Modality::T1c => spin_echo(600.0, 12.0),
        Modality::T2 => spin_echo(4500.0, 95.0),
        Modality::Flair => {
            let (repetition, inversion, echo) = (9000.0, 2450.0, 110.0);
            let magnetization = 1.0 - 2.0 * (-inversion / t1).exp() + (-repetition / t1).exp();
            density * magnetization.abs() * (-echo / t2).exp()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every textbook shows.
    #[test]
    fn contrasts_are_those_of_the_sequences() {
        use Modality::{Flair, T1, T1c, T2};
        let of = |modality, tissue: Tissue| signal(modality, PROPERTIES[tissue as usize]);
        assert!(of(T1, Tissue::White) > of(T1, Tissue::Grey) && of(T1, Tissue::Grey) > of(T1, Tissue::Fluid));
        assert!(of(T2, Tissue::Fluid) > of(T2, Tissue::Edema) && of(T2, Tissue::Edema) > of(T2, Tissue::White));
        assert!(
            of(Flair, Tissue::Edema) > of(Flair, Tissue::Grey)
                && of(Flair, Tissue::Fluid) < 0.3 * of(Flair, Tissue::White)
        );
        // Enhancement is plain in T1c alone.
        let stands_out = |modality| of(modality, Tissue::Enhancing) / of(modality, Tissue::Solid);
        assert!(stands_out(T1c) > 1.6, "{}", stands_out(T1c));
        for modality in [Flair, T1, T2] {
            assert!((0.85..1.15).contains(&stands_out(modality)), "{modality}: {}", stands_out(modality));
        }
    }
}
