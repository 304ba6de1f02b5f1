//! In which order the slices of a volume are outlined, and how long the rest will take.

/// Slices that wait for a worker.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Queue {
    waiting: Vec<usize>,
    /// The slice that a person looks at.
    shown: usize,
}

impl Queue {
    /// All of some slices, beginning with the shown one and going outward from it.
    pub fn new(slices: Vec<usize>, shown: usize) -> Self {
        Self { waiting: slices, shown }
    }

    /// From now on the slices around another one come first.
    pub fn prefer(&mut self, shown: usize) {
        self.shown = shown;
    }

    /// The waiting slice nearest to the shown one; of two the lower.
    pub fn take(&mut self) -> Option<usize> {
        let nearest = self.waiting.iter().enumerate().min_by_key(|(_, slice)| (slice.abs_diff(self.shown), **slice));
        let at = nearest.map(|(at, _)| at)?;
        Some(self.waiting.swap_remove(at))
    }

    /// Takes a slice again whose worker died.
    pub fn give_back(&mut self, slice: usize) {
        self.waiting.push(slice);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// How far an outline is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Slices that are outlined.
    pub done: usize,
    /// Slices there are to outline.
    pub of: usize,
    /// Milliseconds since the first slice was asked for.
    pub elapsed_ms: f64,
}

impl Progress {
    /// Milliseconds that the rest will take, if it goes on as it went; `None` before anything is known.
    pub fn left_ms(&self) -> Option<f64> {
        (self.done > 0).then(|| self.elapsed_ms / self.done as f64 * self.of.saturating_sub(self.done) as f64)
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.done >= self.of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_slice_comes_first_and_its_neighbours_next() {
        let mut queue = Queue::new(vec![1, 2, 3, 4, 5, 9], 4);
        let order: Vec<usize> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(order, [4, 3, 5, 2, 1, 9]);
    }

    #[test]
    fn scrolling_moves_the_order_along() {
        let mut queue = Queue::new((0..100).collect(), 10);
        assert_eq!(queue.take(), Some(10));
        queue.prefer(80);
        assert_eq!((queue.take(), queue.take()), (Some(80), Some(79)));
        queue.give_back(80);
        assert_eq!((queue.take(), queue.len()), (Some(80), 97));
    }

    #[test]
    fn the_rest_takes_as_long_as_what_was() {
        let progress = Progress { done: 10, of: 30, elapsed_ms: 500.0 };
        assert_eq!(progress.left_ms(), Some(1000.0));
        assert_eq!(Progress { done: 0, of: 30, elapsed_ms: 5.0 }.left_ms(), None);
        assert!(!progress.is_done() && Progress { done: 30, ..progress }.is_done());
    }
}
