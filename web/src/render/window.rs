//! From stored grey to the grey of the screen: window and level.

use super::Grey16;

/// Which values are shown: below is black, above is white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The value in the middle of the greys, in `0..=1` of the stored range.
    pub center: f32,
    /// From black to white, as a share of the stored range; above 0.
    pub width: f32,
}

/// Whether high values are bright or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Polarity {
    /// Bone is white.
    #[default]
    Positive,
    /// Bone is black.
    Negative,
}

impl Polarity {
    /// The other one.
    #[must_use]
    pub fn inverted(self) -> Self {
        match self {
            Self::Positive => Self::Negative,
            Self::Negative => Self::Positive,
        }
    }
}

/// Values that two bytes can have.
const N_VALUES: usize = 1 << 16;
/// The narrowest window.
const MIN_WIDTH: f32 = 0.01;
/// The widest.
const MAX_WIDTH: f32 = 2.0;

impl Window {
    /// All that is stored.
    pub const FULL: Self = Self { center: 0.5, width: 1.0 };
    /// For what is dark: the lungs.
    pub const LUNG: Self = Self { center: 0.32, width: 0.55 };
    /// For what is bright: bone, the heart and what lies behind it.
    pub const BONE: Self = Self { center: 0.7, width: 0.6 };

    /// The window of an image between whose ends all but its darkest and its brightest twentieth lie.
    pub fn of_contrast(image: &Grey16) -> Self {
        let mut counts = vec![0_usize; N_VALUES];
        for &value in &image.pixels {
            counts[usize::from(value)] += 1;
        }
        let at = |share: f64| {
            let mut left = (share * image.pixels.len() as f64) as usize;
            let reached = counts.iter().position(|&n| {
                let is_there = n > left;
                left = left.saturating_sub(n);
                is_there
            });
            reached.unwrap_or(0) as f32 / (N_VALUES - 1) as f32
        };
        let (low, high) = (at(0.05), at(0.95));
        Self { center: f32::midpoint(low, high), width: (high - low).max(MIN_WIDTH) }
    }

    /// After a drag of so many shares of the view: to the right widens, upwards brightens.
    #[must_use]
    pub fn dragged(self, right: f32, down: f32) -> Self {
        Self {
            center: (self.center + 0.8 * down * self.width.max(0.2)).clamp(0.0, 1.0),
            width: (self.width * (2.0 * right).exp()).clamp(MIN_WIDTH, MAX_WIDTH),
        }
    }

    /// Fills a table with the screen's grey of every stored value.
    pub fn fill(self, polarity: Polarity, table: &mut Vec<u8>) {
        table.clear();
        let black = self.center - self.width / 2.0;
        let step = 1.0 / ((N_VALUES - 1) as f32 * self.width);
        let offset = -black / self.width;
        table.extend((0..N_VALUES).map(|value| {
            let grey = ((value as f32 * step + offset) * 255.0).clamp(0.0, 255.0) as u8;
            match polarity {
                Polarity::Positive => grey,
                Polarity::Negative => 255 - grey,
            }
        }));
    }
}

/// Puts an image through a table into red, green, blue and opacity; `rgba` has four bytes for each pixel.
pub fn paint(image: &Grey16, table: &[u8], rgba: &mut [u8]) {
    for (pixel, &value) in rgba.as_chunks_mut::<4>().0.iter_mut().zip(&image.pixels) {
        let grey = table.get(usize::from(value)).copied().unwrap_or(0);
        *pixel = [grey, grey, grey, 255];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(window: Window, polarity: Polarity, value: f32) -> u8 {
        let mut table = Vec::new();
        window.fill(polarity, &mut table);
        assert_eq!(table.len(), N_VALUES);
        table[(value * 65535.0) as usize]
    }

    #[test]
    fn a_window_spreads_what_lies_in_it() {
        assert_eq!(
            (grey(Window::FULL, Polarity::Positive, 0.0), grey(Window::FULL, Polarity::Positive, 1.0)),
            (0, 255)
        );
        let narrow = Window { center: 0.5, width: 0.2 };
        assert_eq!(grey(narrow, Polarity::Positive, 0.39), 0);
        assert_eq!(grey(narrow, Polarity::Positive, 0.61), 255);
        assert!((120..135).contains(&grey(narrow, Polarity::Positive, 0.5)));
        assert_eq!(grey(narrow, Polarity::Negative, 0.61), 0);
        assert_eq!(Polarity::Positive.inverted().inverted(), Polarity::Positive);
    }

    #[test]
    fn a_drag_cannot_leave_the_range() {
        let mut window = Window::FULL;
        for _ in 0..100 {
            window = window.dragged(0.9, 0.9);
        }
        assert_eq!((window.center, window.width), (1.0, MAX_WIDTH));
        for _ in 0..100 {
            window = window.dragged(-0.9, -0.9);
        }
        assert_eq!((window.center, window.width), (0.0, MIN_WIDTH));
        assert!(Window::FULL.dragged(0.0, -0.1).center < 0.5, "upwards shows darker values brighter");
    }

    #[test]
    fn contrast_leaves_a_twentieth_at_each_end() {
        let pixels: Vec<u16> = (0..1000).map(|i| i * 65).collect();
        let window = Window::of_contrast(&Grey16 { width: 1000, height: 1, pixels });
        assert!((window.center - 0.496).abs() < 0.01 && (window.width - 0.893).abs() < 0.01, "{window:?}");
        let flat = Window::of_contrast(&Grey16 { width: 2, height: 1, pixels: vec![7, 7] });
        assert_eq!(flat.width, MIN_WIDTH);
    }

    #[test]
    fn pixels_are_painted_by_the_table() {
        let mut rgba = [9; 8];
        let mut table = Vec::new();
        Window::FULL.fill(Polarity::Positive, &mut table);
        paint(&Grey16 { width: 2, height: 1, pixels: vec![0, 65535] }, &table, &mut rgba);
        assert_eq!(rgba, [0, 0, 0, 255, 255, 255, 255, 255]);
    }
}
