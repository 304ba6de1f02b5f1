//! From an MRI volume to slices that a network sees, and from what it says back to the volume.
//!
//! Volumes are in canonical order here: x to the right, y to the front, z upwards, x fastest.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::io::Geometry;

/// Shares of the brain's voxels that are cut off at both ends of their values.
const CUT: f64 = 0.001;

/// The pixels of a network's input: a square about the middle of the volume's axial slices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Pixels along each side.
    pub size: usize,
    /// Distance of neighbouring pixels, in mm.
    pub pixel_mm: f64,
}

impl Grid {
    /// Checks that the values make sense.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a size that is not 8 to 1024 or a distance that is not 0.1 to 20 mm.
    pub fn check(&self) -> Result<()> {
        if !(8..=1024).contains(&self.size) || !(0.1..=20.0).contains(&self.pixel_mm) {
            return Err(Error::Shape {
                what: "grid of a network",
                expected: "8 to 1024 pixels of 0.1 to 20 mm".to_owned(),
                found: format!("{} pixels of {} mm", self.size, self.pixel_mm),
            });
        }
        Ok(())
    }

    /// Pixels of a slice.
    pub fn area(&self) -> usize {
        self.size * self.size
    }

    /// From the slices of a volume to this grid.
    pub fn from_volume(&self, canonical: &Geometry) -> Resampler {
        let [mm_x, mm_y, _] = canonical.spacing_mm();
        let [width, height, _] = canonical.size;
        Resampler::new([(width, mm_x), (height, mm_y)], [(self.size, self.pixel_mm); 2])
    }

    /// From this grid to the slices of a volume.
    pub fn to_volume(&self, canonical: &Geometry) -> Resampler {
        let [mm_x, mm_y, _] = canonical.spacing_mm();
        let [width, height, _] = canonical.size;
        Resampler::new([(self.size, self.pixel_mm); 2], [(width, mm_x), (height, mm_y)])
    }
}

/// Values on one raster to values on another one about the same middle: means over a pixel where the other raster is
/// coarser, linear interpolation where it is finer, 0 beyond the edge.
pub struct Resampler {
    width: usize,
    columns: Vec<Taps>,
    rows: Vec<Taps>,
}

/// The inputs of one output along an axis: the first one, and the weights from there on.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Resampler {
    /// Numbers of pixels along x and y with their distances in mm, before and after.
    fn new(from: [(usize, f64); 2], to: [(usize, f64); 2]) -> Self {
        Self { width: from[0].0, columns: taps(from[0], to[0]), rows: taps(from[1], to[1]) }
    }

    /// `[H, W]` to `[H', W']`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the slice has not the size that this was made for.
    pub fn apply(&self, slice: &[f32]) -> Result<Vec<f32>> {
        let needed = self.rows.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(0) * self.width;
        if self.width == 0 || slice.len() < needed || !slice.len().is_multiple_of(self.width) {
            return Err(Error::Shape {
                what: "slice of a volume",
                expected: format!("rows of {} pixels, {needed} or more in all", self.width),
                found: format!("{} pixels", slice.len()),
            });
        }
        let mut out = Vec::with_capacity(self.rows.len() * self.columns.len());
        let mut line = vec![0f32; self.width];
        for row in &self.rows {
            line.fill(0.0);
            for (weight, input) in row.weights.iter().zip(slice[row.first * self.width..].chunks_exact(self.width)) {
                for (sum, value) in line.iter_mut().zip(input) {
                    *sum += weight * value;
                }
            }
            out.extend(self.columns.iter().map(|column| -> f32 {
                column.weights.iter().zip(&line[column.first..]).map(|(weight, value)| weight * value).sum()
            }));
        }
        Ok(out)
    }
}

/// For each output along an axis: what it is made of.
fn taps((n_from, mm_from): (usize, f64), (n_to, mm_to): (usize, f64)) -> Vec<Taps> {
    let ratio = mm_to / mm_from;
    (0..n_to)
        .map(|i| {
            // The output's middle, in inputs from the first one's left edge.
            let middle = (i as f64 + 0.5 - 0.5 * n_to as f64) * ratio + 0.5 * n_from as f64;
            // Half the width of what an output gathers: a pixel of its own, or the way to the next input.
            let half = 0.5 * ratio.max(1.0);
            let weight = |j: i64| -> f64 {
                let (left, right) = (j as f64, j as f64 + 1.0);
                if ratio >= 1.0 {
                    ((middle + half).min(right) - (middle - half).max(left)).max(0.0) / ratio
                } else {
                    (1.0 - (middle - left - 0.5).abs()).max(0.0)
                }
            };
            let reach = half.max(1.0).ceil() as i64 + 1;
            let around = (middle.floor() as i64 - reach).max(0)..(middle.floor() as i64 + reach + 1).min(n_from as i64);
            let inputs: Vec<(usize, f32)> = around
                .map(|j| (j as usize, weight(j) as f32))
                .skip_while(|(_, weight)| *weight <= 1e-6)
                .take_while(|(_, weight)| *weight > 1e-6)
                .collect();
            let first = inputs.first().map_or(0, |(j, _)| *j);
            Taps { first, weights: inputs.into_iter().map(|(_, weight)| weight).collect() }
        })
        .collect()
}

/// Clips a volume to the 0.1 and 99.9 percentiles of the brain, then gives the brain zero mean and unit variance; what is
/// not brain becomes 0. The brain is what differs from the background, the value that most corners have.
///
/// # Errors
///
/// [`Error::NoBrain`] if all voxels have one value, which names the `file`.
pub fn normalize(file: &str, geometry: &Geometry, voxels: &mut [f32]) -> Result<()> {
    let [width, height, depth] = geometry.size;
    let background = background([width, height, depth], voxels);
    let is_brain = |value: &f32| background.is_none_or(|background| *value != background);
    let mut brain: Vec<f32> = voxels.iter().copied().filter(is_brain).collect();
    let no_brain = || Error::NoBrain { file: file.to_owned() };
    if brain.len() < 2 {
        return Err(no_brain());
    }
    let last = brain.len() - 1;
    let mut percentile = |share: f64| {
        let at = (last as f64 * share).round() as usize;
        *brain.select_nth_unstable_by(at, f32::total_cmp).1
    };
    let (lo, hi) = (percentile(CUT), percentile(1.0 - CUT));
    let n = brain.len() as f64;
    let clipped = || brain.iter().map(|value| f64::from(value.clamp(lo, hi)));
    let mean = clipped().sum::<f64>() / n;
    let variance = clipped().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
    if variance.sqrt() <= 1e-6 * mean.abs().max(1e-30) {
        return Err(no_brain());
    }
    let (mean, scale) = (mean as f32, (1.0 / variance.sqrt()) as f32);
    for value in voxels {
        *value = if is_brain(value) { (value.clamp(lo, hi) - mean) * scale } else { 0.0 };
    }
    Ok(())
}

/// The value of most corners; `None` where no two of them agree, as in a picture without a blank margin.
fn background([width, height, depth]: [usize; 3], voxels: &[f32]) -> Option<f32> {
    let ends = |n: usize| [0, n.saturating_sub(1)];
    let mut corners = Vec::with_capacity(8);
    for z in ends(depth) {
        for y in ends(height) {
            corners.extend(ends(width).iter().filter_map(|x| voxels.get((z * height + y) * width + x)));
        }
    }
    let count = |value: f32| corners.iter().filter(|other| **other == value).count();
    corners.iter().copied().max_by_key(|&value| count(value)).filter(|&value| count(value) > 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn geometry(size: [usize; 3], mm: [f64; 3]) -> Geometry {
        let row = |i: usize| std::array::from_fn(|j| if i == j { mm[i] } else { 0.0 });
        Geometry { size, world_from_voxel: std::array::from_fn(row) }
    }

    #[test]
    fn the_brain_is_standardized_and_the_rest_zero() -> Result<()> {
        for background in [0.0, -3.16] {
            let geometry = geometry([20, 20, 3], [1.0; 3]);
            let mut voxels: Vec<f32> = (0..1200)
                .map(|i| {
                    if (4..16).contains(&(i % 20)) && (4..16).contains(&(i / 20 % 20)) {
                        (i % 97) as f32
                    } else {
                        background
                    }
                })
                .collect();
            let outside: Vec<usize> = (0..1200).filter(|&i| voxels[i] == background).collect();
            normalize("f", &geometry, &mut voxels)?;
            assert!(outside.iter().all(|&i| voxels[i] == 0.0));
            let n = (1200 - outside.len()) as f32;
            assert!(voxels.iter().sum::<f32>().abs() / n < 1e-4);
            assert!((voxels.iter().map(|v| v * v).sum::<f32>() / n - 1.0).abs() < 1e-3);
        }
        Ok(())
    }

    #[test]
    fn a_volume_of_one_value_has_no_brain() {
        for value in [0.0, 7.0] {
            let error = normalize("empty.nii", &geometry([4, 4, 4], [1.0; 3]), &mut [value; 64]).expect_err("no brain");
            assert!(error.to_string().contains("empty.nii"), "{error}");
        }
    }

    #[test]
    fn halving_takes_means_of_four() -> Result<()> {
        let grid = Grid { size: 2, pixel_mm: 2.0 };
        let small =
            grid.from_volume(&geometry([4, 4, 1], [1.0; 3])).apply(&(0..16).map(|i| i as f32).collect::<Vec<_>>())?;
        assert_eq!(small, [2.5, 4.5, 10.5, 12.5]);
        // Beyond the edge there is nothing.
        let padded = Grid { size: 6, pixel_mm: 1.0 }.from_volume(&geometry([4, 4, 1], [1.0; 3])).apply(&[1.0; 16])?;
        assert_eq!(padded.iter().sum::<f32>(), 16.0);
        assert_eq!((padded[0], padded[7]), (0.0, 1.0));
        Ok(())
    }

    proptest! {
        /// A shape survives the way to the grid and back, whatever the spacings, and stays where it was.
        #[test]
        fn there_and_back_keeps_the_place(width in 20usize..60, height in 20usize..60, mm in 0.5f64..2.0, pixel in 0.5f64..2.0) {
            let geometry = geometry([width, height, 1], [mm, 1.3 * mm, 5.0]);
            let grid = Grid { size: 160, pixel_mm: pixel };
            // A soft blob around a point off the middle.
            let blob: Vec<f32> = (0..width * height)
                .map(|at| {
                    let dx = (at % width) as f64 - 0.4 * width as f64;
                    let dy = (at / width) as f64 - 0.55 * height as f64;
                    (-(dx * dx + dy * dy) * mm * mm / (20.0 * mm.max(pixel).powi(2) * 4.0)).exp() as f32
                })
                .collect();
            let inside = grid.from_volume(&geometry).apply(&blob).expect("a slice");
            let back = grid.to_volume(&geometry).apply(&inside).expect("a slice");
            let reach = 0.5 * 158.0 * pixel;
            for (at, (a, b)) in blob.iter().zip(&back).enumerate() {
                let x = ((at % width) as f64 + 0.5 - 0.5 * width as f64) * mm;
                let y = ((at / width) as f64 + 0.5 - 0.5 * height as f64) * 1.3 * mm;
                // The outermost pixels mix with what lies beyond the edge.
                let edge = (2.0 * (pixel / mm).max(1.0)).ceil() as usize;
                let is_inner = |i: usize, n: usize| i >= edge && i + edge < n;
                let rim = !(is_inner(at % width, width) && is_inner(at / width, height));
                if x.abs() < reach && y.abs() < reach && !rim {
                    prop_assert!((a - b).abs() < 0.16, "{at}: {a} {b}");
                }
            }
        }
    }
}
