//! The geometry of convolution and pooling over a batch.

/// Sizes of a two-dimensional convolution or pooling; one-dimensional ones have a height of 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    /// Height and width of the input.
    pub(crate) input: [usize; 2],
    /// Height and width of the kernel.
    pub(crate) kernel: [usize; 2],
    /// Step down and across.
    pub(crate) stride: [usize; 2],
    /// Zeros above and below, left and right.
    pub(crate) padding: [usize; 2],
}

impl Window {
    /// Height and width of the output; `None` if the kernel does not fit the padded input or a size overflows.
    pub(crate) fn output(&self) -> Option<[usize; 2]> {
        let side = |i: usize| {
            let padded = self.input[i].checked_add(self.padding[i].checked_mul(2)?)?;
            let room = padded.checked_sub(self.kernel[i])?;
            Some(room.checked_div(self.stride[i])? + 1)
        };
        if self.input.contains(&0) || self.kernel.contains(&0) {
            return None;
        }
        Some([side(0)?, side(1)?])
    }

    /// Whether each output sees its own pixel alone.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// Taps of the kernel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The kernel's taps along axis `i` that lie inside the image, for output position `out`, and the image's position
    /// under the first of them.
    #[inline(always)]
    pub(crate) fn inside(&self, i: usize, out: usize) -> (std::ops::Range<usize>, usize) {
        let begin = out * self.stride[i];
        let first = self.padding[i].saturating_sub(begin);
        let last = (self.input[i] + self.padding[i]).saturating_sub(begin).min(self.kernel[i]);
        (first.min(last)..last, (begin + first).saturating_sub(self.padding[i]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_inside_are_those_whose_pixel_exists() {
        let w = Window { input: [5, 4], kernel: [3, 2], stride: [2, 1], padding: [2, 1] };
        let out = w.output().expect("fits");
        assert_eq!(out, [4, 5]);
        for axis in 0..2 {
            for position in 0..out[axis] {
                let pixel = |tap: usize| (position * w.stride[axis] + tap).checked_sub(w.padding[axis]);
                let expected: Vec<usize> =
                    (0..w.kernel[axis]).filter(|&tap| pixel(tap).is_some_and(|p| p < w.input[axis])).collect();
                let (taps, first) = w.inside(axis, position);
                assert_eq!(taps.clone().collect::<Vec<_>>(), expected);
                if let Some(&tap) = expected.first() {
                    assert_eq!(Some(first), pixel(tap));
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_has_no_output() {
        let fits = Window { input: [2, 2], kernel: [2, 2], stride: [1, 1], padding: [0, 0] };
        assert_eq!(fits.output(), Some([1, 1]));
        for w in [
            Window { kernel: [3, 3], ..fits },
            Window { stride: [0, 1], ..fits },
            Window { input: [0, 2], padding: [1, 1], ..fits },
            Window { kernel: [0, 1], ..fits },
            Window { padding: [usize::MAX, 0], ..fits },
        ] {
            assert_eq!(w.output(), None, "{w:?}");
        }
    }
}
