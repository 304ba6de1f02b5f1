//! Work on independent pieces: spread over threads with the feature `parallel`, one after the other without.

/// Fewer zeros than this are written faster than they are shared out.
#[cfg(feature = "parallel")]
const PARALLEL_ZEROS: usize = 1 << 18;

/// Calls `f(i, chunk)` for each chunk of `size` elements of `data`.
pub(crate) fn for_each_chunk<T: Send>(data: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    if size == 0 {
        return;
    }
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        data.par_chunks_mut(size).enumerate().for_each(|(i, chunk)| f(i, chunk));
    }
    #[cfg(not(feature = "parallel"))]
    data.chunks_mut(size).enumerate().for_each(|(i, chunk)| f(i, chunk));
}

/// `len` zeros. Memory that has been used before is cleared by all threads: tensors are large.
pub(crate) fn zeros<T: Clone + Default + Send + Sync>(len: usize) -> Vec<T> {
    #[cfg(feature = "parallel")]
    if len > PARALLEL_ZEROS && rayon::current_num_threads() > 1 {
        use rayon::prelude::*;
        return rayon::iter::repeat_n(T::default(), len).collect();
    }
    vec![T::default(); len]
}

/// `f(i)` for `i` in `0..n`, in order.
pub(crate) fn map<R: Send>(n: usize, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        (0..n).into_par_iter().map(f).collect()
    }
    #[cfg(not(feature = "parallel"))]
    (0..n).map(f).collect()
}

/// Calls `f(scratch, piece)` for each piece, with memory that is made once for many pieces.
pub(crate) fn for_each_with<P: Send, S>(
    pieces: Vec<P>,
    scratch: impl Fn() -> S + Sync + Send,
    f: impl Fn(&mut S, P) + Sync + Send,
) {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        pieces.into_par_iter().for_each_init(scratch, f);
    }
    #[cfg(not(feature = "parallel"))]
    {
        let mut scratch = scratch();
        for piece in pieces {
            f(&mut scratch, piece);
        }
    }
}

/// Threads that work is spread over. Results must not depend on it.
pub(crate) fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    1
}
