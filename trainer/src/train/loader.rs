//! Batches made ahead of their use, on threads of their own.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::task::Task;
use crate::error::Result;

/// The batches of an epoch in their order.
pub(super) struct Loader<B> {
    /// Thread `w` of `W` makes the batches `w`, `w + W`, … of those to come.
    lanes: Vec<Receiver<Result<B>>>,
    next: usize,
    n: usize,
    waited: Duration,
}

/// Batches that each thread may be ahead.
const AHEAD: usize = 2;

impl<B: Send> Loader<B> {
    /// Starts making the batches of `steps`, beginning with step `first`. Dropping the loader ends its threads.
    pub(super) fn start<'scope, 'env: 'scope, T: Task<Batch = B>>(
        scope: &'scope Scope<'scope, 'env>,
        task: &'env T,
        steps: &'env [Vec<usize>],
        epoch: usize,
        first: usize,
    ) -> Self
    where
        B: 'scope,
    {
        // A quarter of the threads compute for the loader at most; one is enough for small machines.
        let n_lanes = rayon::current_num_threads().div_ceil(4);
        let lanes = (0..n_lanes)
            .map(|lane| {
                let (sender, receiver) = sync_channel(AHEAD);
                scope.spawn(move || {
                    for (step, indices) in steps.iter().enumerate().skip(first + lane).step_by(n_lanes) {
                        if sender.send(task.batch(indices.clone(), epoch, step)).is_err() {
                            break;
                        }
                    }
                });
                receiver
            })
            .collect();
        Self { lanes, next: 0, n: steps.len().saturating_sub(first), waited: Duration::ZERO }
    }

    /// The next batch; `None` after the last.
    pub(super) fn next(&mut self) -> Option<Result<B>> {
        if self.next == self.n {
            return None;
        }
        let start = Instant::now();
        let batch = self.lanes[self.next % self.lanes.len()].recv().ok();
        self.waited += start.elapsed();
        self.next += 1;
        batch
    }

    /// How long the steps have waited for their batches since this was asked last.
    pub(super) fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }
}
