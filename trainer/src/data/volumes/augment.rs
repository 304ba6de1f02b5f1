//! Random changes of a training slice, the same for all sequences and for the outline where they move it.

use rand::Rng;
use serde::{Deserialize, Serialize};

/// How strongly training slices are varied. Zero switches a change off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SliceAugment {
    /// Probability of mirroring left and right: 0 to 1.
    pub flip: f32,
    /// Largest shift along each axis, as a fraction of the side: 0 to 0.5.
    pub shift: f32,
    /// Largest enlargement or reduction, as a fraction: 0 to 0.9.
    pub zoom: f32,
    /// Largest rotation in degrees: 0 to 180.
    pub rotation_deg: f32,
    /// Largest relative change of a sequence's contrast: 0 to 0.9.
    pub contrast: f32,
    /// Largest value added to a sequence's brain, in standard deviations: 0 to 2.
    pub brightness: f32,
}

impl Default for SliceAugment {
    fn default() -> Self {
        Self { flip: 0.5, shift: 0.05, zoom: 0.1, rotation_deg: 10.0, contrast: 0.15, brightness: 0.15 }
    }
}

impl SliceAugment {
    /// Checks that every value is in its range.
    ///
    /// # Errors
    ///
    /// A sentence about the first one that is not.
    pub fn check(&self) -> Result<(), String> {
        for (name, value, max) in [
            ("flip", self.flip, 1.0),
            ("shift", self.shift, 0.5),
            ("zoom", self.zoom, 0.9),
            ("rotation_deg", self.rotation_deg, 180.0),
            ("contrast", self.contrast, 0.9),
            ("brightness", self.brightness, 2.0),
        ] {
            if !(0.0..=max).contains(&value) {
                return Err(format!("augment.{name} is {value}, expected 0 to {max}"));
            }
        }
        Ok(())
    }

    /// Varies the sequences of a slice and its outline in place. What is 0 in a sequence is not brain and stays 0.
    ///
    /// # Shapes
    ///
    /// - `pixels`: `[C, size, size]`
    /// - `outline`: `[size, size]`
    pub fn apply(&self, pixels: &mut [f32], outline: &mut [u8], size: usize, rng: &mut impl Rng) {
        let mut symmetric = |limit: f32| rng.random_range(-1.0..=1.0f32) * limit;
        let (dx, dy) = (symmetric(self.shift) * size as f32, symmetric(self.shift) * size as f32);
        let zoom = 1.0 + symmetric(self.zoom);
        let (sin, cos) = symmetric(self.rotation_deg).to_radians().sin_cos();
        let shades: Vec<(f32, f32)> =
            pixels.chunks(size * size).map(|_| (1.0 + symmetric(self.contrast), symmetric(self.brightness))).collect();
        let mirror = if rng.random_range(0.0..1.0f32) < self.flip { -1.0 } else { 1.0 };
        let centre = 0.5 * (size as f32 - 1.0);
        // The input position that each output position shows.
        let sources: Vec<(f32, f32)> = (0..size * size)
            .map(|at| {
                let (x, y) = ((at % size) as f32 - centre - dx, (at / size) as f32 - centre - dy);
                let (x, y) = ((cos * x + sin * y) / zoom * mirror, (cos * y - sin * x) / zoom);
                (x + centre, y + centre)
            })
            .collect();
        for (plane, (contrast, brightness)) in pixels.chunks_mut(size * size).zip(shades) {
            let input = plane.to_vec();
            for (value, &(x, y)) in plane.iter_mut().zip(&sources) {
                *value = match bilinear(&input, size, x, y) {
                    0.0 => 0.0,
                    value => value * contrast + brightness,
                };
            }
        }
        let input = outline.to_vec();
        for (label, &(x, y)) in outline.iter_mut().zip(&sources) {
            let (x, y) = (x.round(), y.round());
            let inside = x >= 0.0 && y >= 0.0 && x < size as f32 && y < size as f32;
            *label = if inside { input[y as usize * size + x as usize] } else { 0 };
        }
    }
}

/// The plane between its pixels, 0 outside. Where the nearest pixel is not brain, neither is the result.
fn bilinear(plane: &[f32], size: usize, x: f32, y: f32) -> f32 {
    let (x0, y0) = (x.floor(), y.floor());
    let (tx, ty) = (x - x0, y - y0);
    let at = |x: f32, y: f32| -> f32 {
        let inside = x >= 0.0 && y >= 0.0 && x < size as f32 && y < size as f32;
        if inside { plane[y as usize * size + x as usize] } else { 0.0 }
    };
    if at(x.round(), y.round()) == 0.0 {
        return 0.0;
    }
    let row = |y: f32| at(x0, y) * (1.0 - tx) + at(x0 + 1.0, y) * tx;
    row(y0) * (1.0 - ty) + row(y0 + 1.0) * ty
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const SIZE: usize = 24;

    /// A bright square with its outline, twice.
    fn slice() -> (Vec<f32>, Vec<u8>) {
        let inside = |at: usize| (6..12).contains(&(at % SIZE)) && (9..16).contains(&(at / SIZE));
        let outline: Vec<u8> = (0..SIZE * SIZE).map(|at| u8::from(inside(at))).collect();
        let plane: Vec<f32> = outline.iter().map(|label| 2.0 * f32::from(*label)).collect();
        ([plane.clone(), plane].concat(), outline)
    }

    #[test]
    fn sequences_and_outline_move_together() {
        let strong = SliceAugment { rotation_deg: 90.0, shift: 0.1, zoom: 0.2, ..SliceAugment::default() };
        for seed in 0..20 {
            let (mut pixels, mut outline) = slice();
            strong.apply(&mut pixels, &mut outline, SIZE, &mut ChaCha8Rng::seed_from_u64(seed));
            for plane in pixels.chunks(SIZE * SIZE) {
                let agree =
                    plane.iter().zip(&outline).filter(|(value, label)| (**value != 0.0) == (**label == 1)).count();
                assert!(agree == SIZE * SIZE, "seed {seed}: {agree}");
            }
            assert!(outline.contains(&1));
        }
    }

    #[test]
    fn nothing_changes_where_all_is_off() {
        let none = SliceAugment { flip: 0.0, shift: 0.0, zoom: 0.0, rotation_deg: 0.0, contrast: 0.0, brightness: 0.0 };
        let (mut pixels, mut outline) = slice();
        none.apply(&mut pixels, &mut outline, SIZE, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!((pixels, outline), slice());
        assert!(SliceAugment { zoom: 2.0, ..none }.check().unwrap_err().contains("augment.zoom is 2"));
    }
}
