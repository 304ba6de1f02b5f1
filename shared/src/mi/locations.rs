//! Sampling of locations: all pairs of a batch are too many to score.

use candle_core::Tensor;
use rand::Rng;

use crate::error::Result;

/// Features at drawn locations of each map: `[N, L, C]` to `[N, S, C]`.
///
/// Draws `n_locations` of the first `lens[i]` positions of map `i`, without replacement where there are enough, so that
/// every valid position is as likely as another.
///
/// # Errors
///
/// Those of the tensor library.
pub fn select_locations(local: &Tensor, lens: &[usize], n_locations: usize, rng: &mut impl Rng) -> Result<Tensor> {
    let (n, l, c) = local.dims3()?;
    let mut rows = Vec::with_capacity(n * n_locations);
    for (i, &len) in lens.iter().enumerate() {
        let mut order: Vec<u32> = (0..len as u32).collect();
        for k in 0..n_locations {
            // Each round through the positions is a fresh shuffle, drawn as far as it is needed.
            let at = k % len;
            let pick = rng.random_range(at..len);
            order.swap(at, pick);
            rows.push((i * l) as u32 + order[at]);
        }
    }
    let rows = Tensor::from_vec(rows, n * n_locations, local.device())?;
    Ok(local.reshape((n * l, c))?.index_select(&rows, 0)?.reshape((n, n_locations, c))?)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::nn::gradcheck::{check, random};

    #[test]
    fn only_valid_locations_and_each_once_while_they_last() -> Result<()> {
        let local =
            Tensor::arange(0f64, 2.0 * 3.0 * 5.0, &candle_core::Device::Cpu)?.reshape((2, 3, 5))?.transpose(1, 2)?;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let picked = select_locations(&local, &[5, 2], 4, &mut rng)?.to_vec3::<f64>()?;
        let mut first: Vec<f64> = picked[0].iter().map(|f| f[0]).collect();
        first.sort_by(f64::total_cmp);
        first.dedup();
        assert_eq!(first.len(), 4);
        // The second map starts at 15; only its first two positions are valid, each drawn twice.
        let mut second: Vec<f64> = picked[1].iter().map(|f| f[0]).collect();
        second.sort_by(f64::total_cmp);
        assert_eq!(second, [15.0, 15.0, 16.0, 16.0]);
        assert!(picked[1].iter().all(|f| f[1] == f[0] + 5.0 && f[2] == f[0] + 10.0));
        Ok(())
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        check(&[random((2, 4, 3), 1)?], |v| {
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            select_locations(&v[0], &[4, 3], 6, &mut rng).map_err(candle_core::Error::wrap)
        })?;
        Ok(())
    }
}
