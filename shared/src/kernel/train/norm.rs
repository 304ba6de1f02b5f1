//! Normalization per channel with what follows it: the sum with a skip connection, the ReLU; forward and backward.

use super::batch;
use crate::kernel::lanes::{Kernel, Lanes, Simd};
use crate::kernel::real::Real;

/// Rows of one task, and of one partial sum: fixed, so that sums do not depend on the number of threads.
const CHUNK_ROWS: usize = 512;
/// Vectors of channels that are summed in registers at a time.
const GROUP: usize = 4;
/// No vector is longer.
const MAX_LEN: usize = 16;

/// `y = (x - mean) · scale + bias` per channel.
#[derive(Debug, Clone)]
pub(crate) struct Affine<T> {
    pub(crate) mean: Vec<T>,
    pub(crate) scale: Vec<T>,
    pub(crate) bias: Vec<T>,
}

/// What follows the affine function.
#[derive(Debug, Clone, Copy)]
pub(crate) enum After<'a, T> {
    Nothing,
    /// `max(0, y)`.
    Relu,
    /// `max(0, y + skip)`.
    AddRelu(&'a [T]),
}

/// Where a gradient passes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Gate<'a, T> {
    Everywhere,
    /// Where the affine function is positive.
    Positive,
    /// Where these outputs are positive.
    Output(&'a [T]),
}

/// Mean and biased variance of each channel of `[.., C]`.
pub(crate) fn statistics<T: Real>(x: &[T], channels: usize) -> (Vec<f64>, Vec<f64>) {
    // Around a value of the channel: large means do not eat the variance's digits.
    let centre = &x[..channels];
    let count = (x.len() / channels) as f64;
    let sums = sum_chunks(x, channels, |x, _, sums| {
        T::run(Simd::best(), RowSums { x, mean: centre, sums, of: Summed::<T>::Squares });
    });
    let moments = sums.iter().zip(centre).map(|([sum, squares], centre)| {
        let offset = sum / count;
        (centre.to_f64() + offset, (squares / count - offset * offset).max(0.0))
    });
    moments.unzip()
}

/// `Σ g (x - mean)` and `Σ g` of each channel, where `g` is the gated gradient.
pub(crate) fn gradient_sums<T: Real>(x: &[T], dy: &[T], affine: &Affine<T>, gate: Gate<'_, T>) -> Vec<[f64; 2]> {
    sum_chunks(x, affine.mean.len(), |x, first, sums| {
        let dy = &dy[first..first + x.len()];
        let of = Summed::Gradient { dy, affine, gate: gate.part(first, x.len()) };
        T::run(Simd::best(), RowSums { x, mean: &affine.mean, sums, of });
    })
}

/// Adds up, in order, what `f(rows, offset of the first, sums)` finds for each part of the rows.
fn sum_chunks<T: Real>(
    x: &[T],
    channels: usize,
    f: impl Fn(&[T], usize, &mut [Vec<T>; 2]) + Sync + Send,
) -> Vec<[f64; 2]> {
    let chunk = CHUNK_ROWS * channels;
    let parts = batch::map(x.len().div_ceil(chunk), |i| {
        let mut sums = [0; 2].map(|_| vec![T::default(); channels]);
        f(&x[i * chunk..x.len().min((i + 1) * chunk)], i * chunk, &mut sums);
        sums
    });
    let mut total = vec![[0f64; 2]; channels];
    for part in &parts {
        for (c, total) in total.iter_mut().enumerate() {
            total[0] += part[0][c].to_f64();
            total[1] += part[1][c].to_f64();
        }
    }
    total
}

impl<T> Gate<'_, T> {
    fn part(self, first: usize, len: usize) -> Self {
        match self {
            Self::Output(y) => Self::Output(&y[first..first + len]),
            other => other,
        }
    }
}

#[derive(Clone, Copy)]
enum Summed<'a, T> {
    /// `x - mean` and its square.
    Squares,
    /// `g (x - mean)` and `g`.
    Gradient { dy: &'a [T], affine: &'a Affine<T>, gate: Gate<'a, T> },
}

struct RowSums<'a, T> {
    x: &'a [T],
    mean: &'a [T],
    sums: &'a mut [Vec<T>; 2],
    of: Summed<'a, T>,
}

impl<T: Real> Kernel<T> for RowSums<'_, T> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(mut self, lanes: L) {
        let channels = self.mean.len();
        let mut c = 0;
        while c + GROUP * L::LEN <= channels {
            self.group::<L, GROUP>(lanes, c);
            c += GROUP * L::LEN;
        }
        while c < channels {
            self.group::<L, 1>(lanes, c);
            c += L::LEN;
        }
    }
}

impl<T: Real> RowSums<'_, T> {
    #[inline(always)]
    fn group<L: Lanes<Scalar = T>, const G: usize>(&mut self, lanes: L, first: usize) {
        let channels = self.mean.len();
        let zero = lanes.splat(T::default());
        let mut sums = [[zero; 2]; G];
        let mut mean = [zero; G];
        for g in 0..G {
            mean[g] = load(lanes, &self.mean[first + g * L::LEN..]);
        }
        for begin in (0..self.x.len()).step_by(channels) {
            for g in 0..G {
                let c = first + g * L::LEN;
                let row = begin + c..begin + channels;
                let centred = lanes.sub(load(lanes, &self.x[row.clone()]), mean[g]);
                match self.of {
                    Summed::Squares => {
                        sums[g][0] = lanes.add(sums[g][0], centred);
                        sums[g][1] = lanes.mul_add(centred, centred, sums[g][1]);
                    }
                    Summed::Gradient { dy, affine, gate } => {
                        let passed = gated(lanes, gate, affine, c, row.clone(), centred, load(lanes, &dy[row]));
                        sums[g][0] = lanes.mul_add(passed, centred, sums[g][0]);
                        sums[g][1] = lanes.add(sums[g][1], passed);
                    }
                }
            }
        }
        for g in 0..G {
            for which in 0..2 {
                store(lanes, &mut self.sums[which][first + g * L::LEN..], sums[g][which]);
            }
        }
    }
}

/// The gradient where the gate lets it pass, else 0.
#[inline(always)]
fn gated<L: Lanes>(
    lanes: L,
    gate: Gate<'_, L::Scalar>,
    affine: &Affine<L::Scalar>,
    c: usize,
    row: std::ops::Range<usize>,
    centred: L::Vector,
    dy: L::Vector,
) -> L::Vector {
    match gate {
        Gate::Everywhere => dy,
        Gate::Positive => {
            let y = lanes.mul_add(centred, load(lanes, &affine.scale[c..]), load(lanes, &affine.bias[c..]));
            lanes.where_positive(y, dy)
        }
        Gate::Output(y) => lanes.where_positive(load(lanes, &y[row]), dy),
    }
}

/// Loads a vector, with zeros where the slice is shorter.
#[inline(always)]
fn load<L: Lanes>(lanes: L, from: &[L::Scalar]) -> L::Vector {
    if from.len() >= L::LEN {
        return lanes.load(from);
    }
    let mut whole = [L::Scalar::default(); MAX_LEN];
    whole[..from.len()].copy_from_slice(from);
    lanes.load(&whole)
}

/// Stores a vector, or as much of it as the slice has room for.
#[inline(always)]
fn store<L: Lanes>(lanes: L, to: &mut [L::Scalar], vector: L::Vector) {
    if to.len() >= L::LEN {
        return lanes.store(to, vector);
    }
    let mut whole = [L::Scalar::default(); MAX_LEN];
    lanes.store(&mut whole, vector);
    to.copy_from_slice(&whole[..to.len()]);
}

/// The affine function and what follows it.
pub(crate) fn apply<T: Real>(x: &[T], affine: &Affine<T>, after: After<'_, T>) -> Vec<T> {
    let mut y = batch::zeros(x.len());
    let chunk = CHUNK_ROWS * affine.mean.len();
    batch::for_each_chunk(&mut y, chunk, |i, y| {
        let part = i * chunk..i * chunk + y.len();
        let after = match after {
            After::AddRelu(skip) => After::AddRelu(&skip[part.clone()]),
            other => other,
        };
        T::run(Simd::best(), Apply { x: &x[part], affine, after, y });
    });
    y
}

struct Apply<'a, T> {
    x: &'a [T],
    affine: &'a Affine<T>,
    after: After<'a, T>,
    y: &'a mut [T],
}

impl<T: Real> Kernel<T> for Apply<'_, T> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(self, lanes: L) {
        let Affine { mean, scale, bias } = self.affine;
        let channels = mean.len();
        let zero = lanes.splat(T::default());
        for begin in (0..self.x.len()).step_by(channels) {
            for c in (0..channels).step_by(L::LEN) {
                let row = begin + c..begin + channels;
                let centred = lanes.sub(load(lanes, &self.x[row.clone()]), load(lanes, &mean[c..]));
                let mut value = lanes.mul_add(centred, load(lanes, &scale[c..]), load(lanes, &bias[c..]));
                match self.after {
                    After::Nothing => {}
                    After::Relu => value = lanes.max(zero, value),
                    After::AddRelu(skip) => {
                        value = lanes.max(zero, lanes.add(value, load(lanes, &skip[row.clone()])));
                    }
                }
                store(lanes, &mut self.y[row], value);
            }
        }
    }
}

/// `dx = scale · (g - constant - (x - mean) · slope)` per channel.
#[derive(Debug, Clone)]
pub(crate) struct Backward<T> {
    pub(crate) constant: Vec<T>,
    pub(crate) slope: Vec<T>,
}

/// Gradient of `x` from that of `y`, and, behind a [`Gate::Output`], the gated gradient itself: it is
/// that of the skip connection.
pub(crate) fn input_gradient<T: Real>(
    x: &[T],
    dy: &[T],
    affine: &Affine<T>,
    gate: Gate<'_, T>,
    backward: &Backward<T>,
) -> (Vec<T>, Option<Vec<T>>) {
    let chunk = CHUNK_ROWS * affine.mean.len();
    let mut dx = batch::zeros(x.len());
    let Gate::Output(_) = gate else {
        batch::for_each_chunk(&mut dx, chunk, |i, dx| {
            let part = i * chunk..i * chunk + dx.len();
            T::run(
                Simd::best(),
                InputGradient { x: &x[part.clone()], dy: &dy[part], affine, gate, backward, dx, passed: None },
            );
        });
        return (dx, None);
    };
    let mut passed = batch::zeros(x.len());
    let pieces: Vec<_> = dx.chunks_mut(chunk).zip(passed.chunks_mut(chunk)).enumerate().collect();
    batch::for_each_with(
        pieces,
        || (),
        |(), (i, (dx, passed))| {
            let part = i * chunk..i * chunk + dx.len();
            let gate = gate.part(part.start, part.len());
            let passed = Some(passed);
            T::run(
                Simd::best(),
                InputGradient { x: &x[part.clone()], dy: &dy[part], affine, gate, backward, dx, passed },
            );
        },
    );
    (dx, Some(passed))
}

struct InputGradient<'a, T> {
    x: &'a [T],
    dy: &'a [T],
    affine: &'a Affine<T>,
    gate: Gate<'a, T>,
    backward: &'a Backward<T>,
    dx: &'a mut [T],
    passed: Option<&'a mut [T]>,
}

impl<T: Real> Kernel<T> for InputGradient<'_, T> {
    #[inline(always)]
    fn compute<L: Lanes<Scalar = T>>(mut self, lanes: L) {
        let affine = self.affine;
        let channels = affine.mean.len();
        for begin in (0..self.x.len()).step_by(channels) {
            for c in (0..channels).step_by(L::LEN) {
                let row = begin + c..begin + channels;
                let centred = lanes.sub(load(lanes, &self.x[row.clone()]), load(lanes, &affine.mean[c..]));
                let dy = load(lanes, &self.dy[row.clone()]);
                let passed = gated(lanes, self.gate, affine, c, row.clone(), centred, dy);
                if let Some(kept) = &mut self.passed {
                    store(lanes, &mut kept[row.clone()], passed);
                }
                let bent = lanes.mul(centred, load(lanes, &self.backward.slope[c..]));
                let value = lanes.sub(lanes.sub(passed, load(lanes, &self.backward.constant[c..])), bent);
                store(lanes, &mut self.dx[row], lanes.mul(value, load(lanes, &affine.scale[c..])));
            }
        }
    }
}
