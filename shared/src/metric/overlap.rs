//! How well a mask agrees with the truth: Dice, sensitivity, Hausdorff distance, volume.

/// Counts of voxels of a predicted and a true mask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overlap {
    /// In both.
    pub both: usize,
    /// In the prediction.
    pub predicted: usize,
    /// In the truth.
    pub truth: usize,
}

impl Overlap {
    /// Counts voxel by voxel; what one mask has beyond the other's end is ignored.
    pub fn new(predicted: impl IntoIterator<Item = bool>, truth: impl IntoIterator<Item = bool>) -> Self {
        let mut overlap = Self::default();
        for (predicted, truth) in predicted.into_iter().zip(truth) {
            overlap.both += usize::from(predicted && truth);
            overlap.predicted += usize::from(predicted);
            overlap.truth += usize::from(truth);
        }
        overlap
    }

    /// Dice similarity coefficient, `2 |A ∩ B| / (|A| + |B|)`; 1 where both masks are empty.
    pub fn dice(self) -> f64 {
        match self.predicted + self.truth {
            0 => 1.0,
            sum => 2.0 * self.both as f64 / sum as f64,
        }
    }

    /// Share of the true voxels that were found; `None` where there are none.
    pub fn sensitivity(self) -> Option<f64> {
        (self.truth > 0).then(|| self.both as f64 / self.truth as f64)
    }

    /// Voxels predicted minus voxels there are.
    pub fn excess(self) -> i64 {
        self.predicted as i64 - self.truth as i64
    }
}

/// The greater of the two 95th percentiles of the distances of one mask's surface from the other's, in mm. `None` where
/// a mask is empty.
///
/// A surface is the voxels of a mask that have a neighbour outside of it along an axis. Distances are exact.
///
/// # Shapes
///
/// - `predicted`, `truth`: `x · y · z` voxels, x fastest
///
/// Source: the definition of the BRATS benchmark, Menze et al. 2015, doi 10.1109/TMI.2014.2377694; the distance transform
/// is that of Felzenszwalb and Huttenlocher 2012.
pub fn hausdorff95_mm(predicted: &[bool], truth: &[bool], size: [usize; 3], spacing_mm: [f64; 3]) -> Option<f64> {
    let (lo, hi) = bounds(size, |at| predicted[at] || truth[at])?;
    let size_in: [usize; 3] = std::array::from_fn(|i| hi[i] - lo[i]);
    // Within the masks' own box: their distances do not depend on what lies around it.
    let cut = |mask: &[bool]| -> Vec<bool> {
        (0..size_in.iter().product())
            .map(|at: usize| {
                let (x, y, z) = (at % size_in[0], at / size_in[0] % size_in[1], at / (size_in[0] * size_in[1]));
                mask[((z + lo[2]) * size[1] + y + lo[1]) * size[0] + x + lo[0]]
            })
            .collect()
    };
    let surfaces = [cut(predicted), cut(truth)].map(|mask| surface(&mask, size_in));
    let percentile = |from: &[bool], to: &[bool]| {
        let squared = squared_distances(to, size_in, spacing_mm);
        let mut distances: Vec<f64> =
            from.iter().zip(squared).filter(|(is_surface, _)| **is_surface).map(|(_, square)| square.sqrt()).collect();
        if distances.is_empty() {
            return None;
        }
        let at = ((distances.len() - 1) as f64 * 0.95).round() as usize;
        Some(*distances.select_nth_unstable_by(at, f64::total_cmp).1)
    };
    let found = [percentile(&surfaces[0], &surfaces[1])?, percentile(&surfaces[1], &surfaces[0])?];
    found[0].is_finite().then(|| found[0].max(found[1]))
}

/// First and last-but-one position along each axis of the voxels that are in a mask.
fn bounds(size: [usize; 3], inside: impl Fn(usize) -> bool) -> Option<([usize; 3], [usize; 3])> {
    let (mut lo, mut hi) = (size, [0; 3]);
    for at in (0..size.iter().product()).filter(|&at| inside(at)) {
        let place = [at % size[0], at / size[0] % size[1], at / (size[0] * size[1])];
        for i in 0..3 {
            lo[i] = lo[i].min(place[i]);
            hi[i] = hi[i].max(place[i] + 1);
        }
    }
    (hi[0] > 0).then_some((lo, hi))
}

fn surface(mask: &[bool], [width, height, depth]: [usize; 3]) -> Vec<bool> {
    let inside =
        |x: usize, y: usize, z: usize| x < width && y < height && z < depth && mask[(z * height + y) * width + x];
    (0..mask.len())
        .map(|at| {
            let (x, y, z) = (at % width, at / width % height, at / (width * height));
            // One below 0 wraps to a number that is outside.
            mask[at]
                && !(inside(x + 1, y, z)
                    && inside(x.wrapping_sub(1), y, z)
                    && inside(x, y + 1, z)
                    && inside(x, y.wrapping_sub(1), z)
                    && inside(x, y, z + 1)
                    && inside(x, y, z.wrapping_sub(1)))
        })
        .collect()
}

/// Square of the distance of each voxel from the nearest one of a mask.
fn squared_distances(mask: &[bool], size: [usize; 3], spacing_mm: [f64; 3]) -> Vec<f64> {
    let mut squares: Vec<f64> = mask.iter().map(|&inside| if inside { 0.0 } else { f64::INFINITY }).collect();
    let strides = [1, size[0], size[0] * size[1]];
    let longest = size.into_iter().max().unwrap_or(0);
    let (mut line, mut vertices, mut starts) = (vec![0.0; longest], vec![0; longest], vec![0.0; longest + 1]);
    for axis in 0..3 {
        let (n, stride, mm) = (size[axis], strides[axis], spacing_mm[axis]);
        for first in (0..squares.len()).filter(|at| at / stride % n == 0) {
            for (i, value) in line[..n].iter_mut().enumerate() {
                *value = squares[first + i * stride];
            }
            lower_envelope(&line[..n], mm, &mut vertices, &mut starts, |i, square| {
                squares[first + i * stride] = square;
            });
        }
    }
    squares
}

/// The least of the parabolas that stand on the values of a line, at each of its points.
fn lower_envelope(line: &[f64], mm: f64, vertices: &mut [usize], starts: &mut [f64], mut put: impl FnMut(usize, f64)) {
    let position = |i: usize| i as f64 * mm;
    let mut n = 0;
    for (i, value) in line.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let mut start = f64::NEG_INFINITY;
        while n > 0 {
            let j = vertices[n - 1];
            let (a, b) = (position(i), position(j));
            start = (value + a * a - line[j] - b * b) / (2.0 * (a - b));
            if start > starts[n - 1] {
                break;
            }
            n -= 1;
            start = f64::NEG_INFINITY;
        }
        vertices[n] = i;
        starts[n] = start;
        n += 1;
    }
    if n == 0 {
        return;
    }
    let mut k = 0;
    for i in 0..line.len() {
        while k + 1 < n && starts[k + 1] <= position(i) {
            k += 1;
        }
        let distance = position(i) - position(vertices[k]);
        put(i, distance * distance + line[vertices[k]]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dice_follows_its_definition_and_the_rule_for_empty_masks() {
        let overlap = Overlap::new([true, true, false, false], [true, false, true, true]);
        assert_eq!((overlap.both, overlap.predicted, overlap.truth), (1, 2, 3));
        assert!((overlap.dice() - 0.4).abs() < 1e-12 && overlap.excess() == -1);
        assert_eq!(overlap.sensitivity(), Some(1.0 / 3.0));
        assert_eq!(Overlap::new([false], [false]).dice(), 1.0);
        assert_eq!(Overlap::new([true], [false]).dice(), 0.0);
        assert_eq!(Overlap::new([true], [false]).sensitivity(), None);
    }

    #[test]
    fn distances_are_in_mm() {
        let at = |x: usize| -> Vec<bool> { (0..60).map(|i| i % 10 == x).collect() };
        // Planes of voxels 1.5 mm apart along x.
        assert_eq!(hausdorff95_mm(&at(2), &at(6), [10, 3, 2], [1.5, 1.0, 9.0]), Some(6.0));
        assert_eq!(hausdorff95_mm(&at(2), &at(2), [10, 3, 2], [1.5, 1.0, 9.0]), Some(0.0));
        assert_eq!(hausdorff95_mm(&at(2), &[false; 60], [10, 3, 2], [1.0; 3]), None);
        assert_eq!(hausdorff95_mm(&[false; 60], &[false; 60], [10, 3, 2], [1.0; 3]), None);
    }

    proptest! {
        #[test]
        fn the_distance_transform_is_exact(mask in prop::collection::vec(prop::bool::weighted(0.08), 120)) {
            let (size, mm) = ([6, 5, 4], [1.0, 0.7, 3.0]);
            let place = |at: usize| [at % 6, at / 6 % 5, at / 30];
            let fast = squared_distances(&mask, size, mm);
            for (at, fast) in fast.into_iter().enumerate() {
                let square = |other: usize| -> f64 {
                    (0..3).map(|i| ((place(at)[i] as f64 - place(other)[i] as f64) * mm[i]).powi(2)).sum()
                };
                let slow = (0..120).filter(|&other| mask[other]).map(square).fold(f64::INFINITY, f64::min);
                prop_assert!(fast == slow || (fast - slow).abs() < 1e-9, "{at}: {fast} {slow}");
            }
        }
    }
}
