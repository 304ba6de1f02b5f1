//! Principal components: the directions in which a set of vectors varies most.

use crate::error::{Error, Result};
use crate::infer::tensors::tensor;
use crate::io::Weights;
use crate::io::weights::NamedTensor;

/// The mean of some vectors of `D` values and their first `K` principal components.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Subspace {
    /// `[D]`.
    mean: Vec<f32>,
    /// `[K, D]`, orthonormal, by falling variance.
    components: Vec<f32>,
    /// `[K]`, of the vectors along each component.
    variances: Vec<f32>,
}

/// Rounds of the iteration: what one component is mixed with shrinks each time by the ratio of their variances.
const ROUNDS: usize = 40;

impl Subspace {
    /// Of at least one vector of `d` values; fewer components than `k` where the vectors span fewer directions.
    ///
    /// Simultaneous iteration (Rutishauser 1969) on the covariance.
    pub(super) fn fit(vectors: &[Vec<f32>], d: usize, k: usize) -> Self {
        let n = vectors.len().max(1) as f64;
        let mut mean = vec![0.0_f64; d];
        for vector in vectors {
            mean.iter_mut().zip(vector).for_each(|(m, &v)| *m += f64::from(v) / n);
        }
        let mut covariance = vec![0.0_f64; d * d];
        for vector in vectors {
            let centred: Vec<f64> = vector.iter().zip(&mean).map(|(&v, m)| f64::from(v) - m).collect();
            for (row, &a) in covariance.chunks_exact_mut(d).zip(&centred) {
                row.iter_mut().zip(&centred).for_each(|(c, b)| *c += a * b / n);
            }
        }
        let multiply = |x: &[f64]| -> Vec<f64> { covariance.chunks_exact(d).map(|row| dot(row, x)).collect() };
        let k = k.min(d).min(vectors.len().saturating_sub(1));
        // Any start that is orthogonal to no component will do: pseudo-random values, the same each time.
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        let mut basis: Vec<Vec<f64>> = (0..k).map(|_| (0..d).map(|_| random()).collect()).collect();
        for _ in 0..ROUNDS {
            orthonormalise(&mut basis);
            for vector in &mut basis {
                *vector = multiply(vector);
            }
        }
        orthonormalise(&mut basis);
        let mut pairs: Vec<(f64, Vec<f64>)> = basis.into_iter().map(|v| (dot(&v, &multiply(&v)), v)).collect();
        let largest = pairs.iter().map(|(variance, _)| *variance).fold(0.0, f64::max);
        pairs.retain(|(variance, _)| *variance > 1e-9 * largest);
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        Self {
            mean: mean.iter().map(|&m| m as f32).collect(),
            components: pairs.iter().flat_map(|(_, v)| v.iter().map(|&x| x as f32)).collect(),
            variances: pairs.iter().map(|(variance, _)| *variance as f32).collect(),
        }
    }

    /// How a vector lies to the vectors fitted: the mean square of what the components cannot express, and the mean over
    /// the components of the squared coordinate over its variance plus `floor`.
    pub(super) fn place(&self, vector: &[f32], floor: f32) -> (f32, f32) {
        let d = self.mean.len();
        let mut rest: Vec<f64> = vector.iter().zip(&self.mean).map(|(&v, &m)| f64::from(v) - f64::from(m)).collect();
        let mut distance = 0.0;
        for (component, &variance) in self.components.chunks_exact(d).zip(&self.variances) {
            let coordinate = component.iter().zip(&rest).map(|(&c, r)| f64::from(c) * r).sum::<f64>();
            distance += coordinate * coordinate / f64::from(variance + floor);
            rest.iter_mut().zip(component).for_each(|(r, &c)| *r -= coordinate * f64::from(c));
        }
        let residual = rest.iter().map(|r| r * r).sum::<f64>() / d as f64;
        (residual as f32, (distance / self.variances.len().max(1) as f64) as f32)
    }

    /// The tensors `{name}.mean`, `{name}.components` and `{name}.variances`.
    pub(super) fn tensors(&self, name: &str) -> Vec<(String, NamedTensor)> {
        let (d, k) = (self.mean.len(), self.variances.len());
        let named = |part: &str, shape: Vec<usize>, data: &[f32]| {
            (format!("{name}.{part}"), NamedTensor { shape, data: data.to_vec() })
        };
        vec![
            named("mean", vec![d], &self.mean),
            named("components", vec![k, d], &self.components),
            named("variances", vec![k], &self.variances),
        ]
    }

    /// Takes what [`Self::tensors`] gave from the weights.
    ///
    /// # Errors
    ///
    /// Those of [`tensor`]; [`Error::WrongTensor`] for a variance that is not above 0.
    pub(super) fn from_weights(weights: &Weights, name: &str, d: usize, k: usize) -> Result<Self> {
        let part = |part: &str, shape: &[usize]| tensor(weights, &format!("{name}.{part}"), shape).map(<[f32]>::to_vec);
        let subspace = Self {
            mean: part("mean", &[d])?,
            components: part("components", &[k, d])?,
            variances: part("variances", &[k])?,
        };
        match subspace.variances.iter().find(|variance| **variance < 0.0) {
            Some(variance) => Err(Error::WrongTensor {
                file: weights.file().to_owned(),
                tensor: format!("{name}.variances"),
                expected: "no negative variance".to_owned(),
                found: variance.to_string(),
            }),
            None => Ok(subspace),
        }
    }

    /// How many components there are.
    pub(super) fn n_components(&self) -> usize {
        self.variances.len()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gram and Schmidt, each vector twice against the ones before; a vector that depends on them becomes zero.
fn orthonormalise(basis: &mut [Vec<f64>]) {
    for i in 0..basis.len() {
        let (before, rest) = basis.split_at_mut(i);
        let vector = &mut rest[0];
        let start = dot(vector, vector).sqrt();
        for _ in 0..2 {
            for other in before.iter() {
                let along = dot(vector, other);
                vector.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
            }
        }
        let length = dot(vector, vector).sqrt();
        let scale = if length > 1e-10 * start { 1.0 / length } else { 0.0 };
        for value in vector.iter_mut() {
            *value *= scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::naive::uniform;

    #[test]
    fn the_directions_of_a_known_cloud_are_found() {
        // Spread 9, 4 and 1 along three orthogonal directions in six dimensions, around a mean of 2.
        let directions =
            [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [1.0, -1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]];
        let amounts = uniform(5, 3 * 500);
        let vectors: Vec<Vec<f32>> = amounts
            .chunks_exact(3)
            .map(|a| {
                (0..6)
                    .map(|i| {
                        2.0 + 9.0 * a[0] * directions[0][i] + 4.0 * a[1] * directions[1][i] + a[2] * directions[2][i]
                    })
                    .collect()
            })
            .collect();
        let subspace = Subspace::fit(&vectors, 6, 5);
        assert_eq!(subspace.n_components(), 3, "{subspace:?}");
        assert!(subspace.variances.is_sorted_by(|a, b| a > b));
        let first = subspace.components[0] / subspace.components[1];
        assert!((first - 1.0).abs() < 0.05, "{first}");
        let (residual, distance) = subspace.place(&vectors[7], 0.0);
        assert!(residual < 1e-6 && distance < 4.0, "{residual} {distance}");
        let mut strange = vectors[7].clone();
        strange[5] += 6.0;
        assert!((subspace.place(&strange, 0.0).0 - 6.0).abs() < 1e-3);
        let far: Vec<f32> = [2.0, 2.0, 20.0, 2.0, 2.0, 2.0].to_vec();
        assert!(subspace.place(&far, 0.0).1 > 50.0);
    }

    #[test]
    fn one_vector_has_no_direction() {
        let subspace = Subspace::fit(&[vec![1.0, 2.0]], 2, 2);
        assert_eq!((subspace.n_components(), subspace.place(&[1.0, 4.0], 0.0)), (0, (2.0, 0.0)));
    }
}
