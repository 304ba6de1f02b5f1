//! How large a batch would fit, where one did not.

/// A batch that should fit, and what that was told from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) items: usize,
    /// Items of a batch that was tried, and the memory that it took with all that was there already.
    pub(super) measured: usize,
    pub(super) bytes: u64,
    pub(super) capacity_bytes: u64,
}

/// The fewest items that are tried: batch norm and negative pairs need two.
const FEWEST: usize = 2;
/// Part of the memory that is counted on, in percent: some is lost between tensors.
const USABLE: u64 = 95;

/// Halves a batch that did not fit until it does; from what that one and half of it take, about how many would fit. `None`
/// if none does. `bytes_of` tells what a batch takes, `None` if it does not fit.
pub(super) fn largest_batch(
    failed: usize,
    capacity_bytes: u64,
    mut bytes_of: impl FnMut(usize) -> Option<u64>,
) -> Option<Fit> {
    let halves = std::iter::successors(Some(failed / 2), |items| Some(items / 2)).take_while(|items| *items >= FEWEST);
    let (measured, bytes) = halves.into_iter().find_map(|items| Some((items, bytes_of(items)?)))?;
    let half = measured / 2;
    // Without a second measurement everything counts as if it grew with the batch: fewer are promised.
    let half_bytes = (half >= FEWEST).then(|| bytes_of(half)).flatten().filter(|half| *half < bytes);
    let (fewer, fewer_bytes) = half_bytes.map_or((0, 0), |bytes| (half, bytes));
    let more = (capacity_bytes / 100 * USABLE).saturating_sub(bytes) as f64;
    let item_bytes = (bytes - fewer_bytes) as f64 / (measured - fewer) as f64;
    let items = (measured + (more / item_bytes) as usize).min(failed - 1);
    Some(Fit { items, measured, bytes, capacity_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network of 10 MB and 2 MB an item, on a GPU of so many.
    fn fit(failed: usize, capacity_mb: u64) -> Option<(usize, usize)> {
        let bytes = |items: usize| (10 + 2 * items as u64) << 20;
        let capacity = capacity_mb << 20;
        largest_batch(failed, capacity, |items| Some(bytes(items)).filter(|bytes| *bytes <= capacity))
            .map(|fit| (fit.items, fit.measured))
    }

    #[test]
    fn the_batch_that_fits_is_told_from_smaller_ones() {
        // 95 of 100 MB, 42 items of them; 32 were tried.
        assert_eq!(fit(64, 100), Some((42, 32)));
        assert_eq!(fit(1000, 100), Some((42, 31)));
        // Never as many as have failed.
        assert_eq!(fit(45, 100), Some((42, 22)));
        assert_eq!(fit(40, 100), Some((39, 20)));
        // One measurement alone: 14 MB for two, of 24.
        assert_eq!(fit(4, 25), Some((3, 2)));
        assert_eq!((fit(64, 13), fit(3, 100), fit(1, 100)), (None, None, None));
    }
}
