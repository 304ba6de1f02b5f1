//! Matrix product of strided slices in 32 and 64 bits, for training; 64 bits serve the gradient checks.
#![allow(unsafe_code, reason = "the gemm crate takes raw pointers; the bounds are checked here")]

use super::real::Real;

/// How a matrix lies in a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Rows one after the other.
    RowMajor,
    /// The transposed matrix's rows one after the other.
    ColMajor,
}

/// What happens to the values already in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// They are replaced.
    Assign,
    /// The product is added to them.
    Add,
}

/// `c (+)= a · b` with `a: [m, k]`, `b: [k, n]` in the given orders and `c: [m, n]` row-major.
///
/// # Panics
///
/// If a slice is shorter than its matrix.
pub(crate) fn matmul<T: Real>(
    (m, n, k): (usize, usize, usize),
    (a, a_order): (&[T], Order),
    (b, b_order): (&[T], Order),
    c: &mut [T],
    store: Store,
) {
    assert!(a.len() >= m * k && b.len() >= k * n && c.len() >= m * n, "matrices of {m} x {k} and {k} x {n}");
    let strides = |order, rows: usize, cols: usize| match order {
        Order::RowMajor => (1isize, cols as isize),
        Order::ColMajor => (rows as isize, 1isize),
    };
    let (a_cs, a_rs) = strides(a_order, m, k);
    let (b_cs, b_rs) = strides(b_order, k, n);
    let one = T::of(1.0);
    // SAFETY: the strides address exactly the m·k, k·n and m·n elements asserted above; `c` does not alias `a` or `b`
    // because it is borrowed mutably; f32 and f64, the only implementors of `Real`, are types gemm computes in.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            store == Store::Add,
            a.as_ptr(),
            a_cs,
            a_rs,
            b.as_ptr(),
            b_cs,
            b_rs,
            one,
            one,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_gives_the_same_product() {
        let (m, n, k) = (3, 5, 4);
        let a: Vec<f64> = (0..m * k).map(|i| (i as f64).sin()).collect();
        let b: Vec<f64> = (0..k * n).map(|i| (i as f64).cos()).collect();
        let transpose = |x: &[f64], rows: usize, cols: usize| -> Vec<f64> {
            (0..rows * cols).map(|i| x[(i % rows) * cols + i / rows]).collect()
        };
        let (at, bt) = (transpose(&a, m, k), transpose(&b, k, n));
        for (a, a_order) in [(&a, Order::RowMajor), (&at, Order::ColMajor)] {
            for (b, b_order) in [(&b, Order::RowMajor), (&bt, Order::ColMajor)] {
                let mut c = vec![1.0; m * n];
                matmul((m, n, k), (a, a_order), (b, b_order), &mut c, Store::Add);
                for i in 0..m {
                    for j in 0..n {
                        let get = |x: &[f64], order, r: usize, q: usize, rows, cols| match order {
                            Order::RowMajor => x[r * cols + q],
                            Order::ColMajor => x[q * rows + r],
                        };
                        let expected: f64 =
                            (0..k).map(|p| get(a, a_order, i, p, m, k) * get(b, b_order, p, j, k, n)).sum();
                        assert!((c[i * n + j] - 1.0 - expected).abs() < 1e-12);
                    }
                }
            }
        }
    }
}
