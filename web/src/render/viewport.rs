//! Zoom and position of an image in a view.

/// An image in a view. Lengths are pixels of the screen's style, places count from the view's upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewport {
    /// Width and height of the image, in its own pixels.
    image: [f64; 2],
    /// Width and height of the view.
    view: [f64; 2],
    /// Zoom: 1 where the whole image just fits.
    zoom: f64,
    /// Where the image's upper left corner is.
    corner: [f64; 2],
}

/// The largest zoom.
const MAX_ZOOM: f64 = 24.0;

impl Viewport {
    /// The whole image in the middle of the view; sizes below 1 count as 1.
    pub fn fit(image: [usize; 2], view: [f64; 2]) -> Self {
        let mut viewport = Self {
            image: image.map(|size| size.max(1) as f64),
            view: view.map(|size| size.max(1.0)),
            zoom: 1.0,
            corner: [0.0; 2],
        };
        viewport.settle();
        viewport
    }

    /// The same zoom around the same middle, in a view of another size.
    #[must_use]
    pub fn resized(mut self, view: [f64; 2]) -> Self {
        let middle = self.image_point(self.view.map(|size| size / 2.0));
        self.view = view.map(|size| size.max(1.0));
        let scale = self.scale();
        self.corner = std::array::from_fn(|i| self.view[i] / 2.0 - middle[i] * scale);
        self.settle();
        self
    }

    /// Screen pixels of an image pixel.
    pub fn scale(&self) -> f64 {
        self.zoom * (self.view[0] / self.image[0]).min(self.view[1] / self.image[1])
    }

    /// Zoom: 1 where the whole image just fits.
    pub fn zoom(&self) -> f64 {
        self.zoom
    }

    /// Where the image's upper left corner is.
    pub fn corner(&self) -> [f64; 2] {
        self.corner
    }

    /// Enlarges by a factor, so that what is at a place of the view stays there.
    pub fn zoom_at(&mut self, place: [f64; 2], factor: f64) {
        let held = self.image_point(place);
        self.zoom = (self.zoom * factor).clamp(1.0, MAX_ZOOM);
        let scale = self.scale();
        self.corner = std::array::from_fn(|i| place[i] - held[i] * scale);
        self.settle();
    }

    /// Enlarges by a factor around the middle of the view.
    pub fn zoom_middle(&mut self, factor: f64) {
        self.zoom_at(self.view.map(|size| size / 2.0), factor);
    }

    /// Moves the image.
    pub fn pan(&mut self, by: [f64; 2]) {
        self.corner = std::array::from_fn(|i| self.corner[i] + by[i]);
        self.settle();
    }

    /// The place of the image, in its pixels, that is at a place of the view.
    pub fn image_point(&self, place: [f64; 2]) -> [f64; 2] {
        let scale = self.scale();
        std::array::from_fn(|i| (place[i] - self.corner[i]) / scale)
    }

    /// Leaves no gap beside an image that is larger than the view, and centres one that is smaller.
    fn settle(&mut self) {
        let scale = self.scale();
        for i in 0..2 {
            let gap = self.view[i] - self.image[i] * scale;
            self.corner[i] = if gap >= 0.0 { gap / 2.0 } else { self.corner[i].clamp(gap, 0.0) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_fits_and_is_centred() {
        let viewport = Viewport::fit([200, 100], [400.0, 400.0]);
        assert_eq!((viewport.scale(), viewport.corner()), (2.0, [0.0, 100.0]));
        assert_eq!(viewport.image_point([200.0, 200.0]), [100.0, 50.0]);
        assert!(Viewport::fit([0, 0], [0.0, 0.0]).scale().is_finite());
    }

    #[test]
    fn what_is_under_the_pointer_stays() {
        let mut viewport = Viewport::fit([200, 100], [400.0, 200.0]);
        let before = viewport.image_point([300.0, 50.0]);
        viewport.zoom_at([300.0, 50.0], 3.0);
        let after = viewport.image_point([300.0, 50.0]);
        assert!((before[0] - after[0]).abs() < 1e-9 && (before[1] - after[1]).abs() < 1e-9);
        assert_eq!(viewport.zoom(), 3.0);
        viewport.zoom_middle(1e9);
        assert_eq!(viewport.zoom(), MAX_ZOOM);
        viewport.zoom_middle(1e-9);
        assert_eq!(viewport, Viewport::fit([200, 100], [400.0, 200.0]), "out of every zoom leads one way back");
    }

    #[test]
    fn an_image_is_not_lost() {
        let mut viewport = Viewport::fit([100, 100], [100.0, 100.0]);
        viewport.pan([30.0, -20.0]);
        assert_eq!(viewport.corner(), [0.0, 0.0], "what fits stays in the middle");
        viewport.zoom_middle(2.0);
        viewport.pan([1e6, -1e6]);
        assert_eq!(viewport.corner(), [0.0, -100.0]);
    }

    #[test]
    fn a_view_of_another_size_shows_the_same_middle() {
        let mut viewport = Viewport::fit([100, 100], [100.0, 100.0]);
        viewport.zoom_at([0.0, 0.0], 4.0);
        let wide = viewport.resized([200.0, 200.0]);
        assert_eq!(wide.zoom(), 4.0);
        let (before, after) = (viewport.image_point([50.0, 50.0]), wide.image_point([100.0, 100.0]));
        assert!((before[0] - after[0]).abs() < 1e-9 && (before[1] - after[1]).abs() < 1e-9);
    }
}
