//! What is drawn of a volume: cuts through it, a window of its values, masks and their edges. Everything is written into
//! memory that is kept from frame to frame.
//!
//! Pictures are as radiologists hang them: the patient's right is on the left of axial and coronal cuts, the face is on the
//! left of sagittal ones.

/// A cut through the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// From below.
    Axial,
    /// From the front.
    Coronal,
    /// From the patient's left.
    Sagittal,
}

impl Plane {
    /// All, in the order of the screen.
    pub const ALL: [Self; 3] = [Self::Axial, Self::Coronal, Self::Sagittal];

    /// Position in [`Self::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Name in the page's marks and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Axial => "axial",
            Self::Coronal => "coronal",
            Self::Sagittal => "sagittal",
        }
    }

    /// The axes of the volume along the picture's rows, along its columns, and through it: 0 for x, 1 for y, 2 for z.
    pub fn axes(self) -> [usize; 3] {
        match self {
            Self::Axial => [0, 1, 2],
            Self::Coronal => [0, 2, 1],
            Self::Sagittal => [1, 2, 0],
        }
    }

    /// What lies at the left, right, upper and lower edge: R and L, A and P, S and I.
    pub fn letters(self) -> [&'static str; 4] {
        match self {
            Self::Axial => ["R", "L", "A", "P"],
            Self::Coronal => ["R", "L", "S", "I"],
            Self::Sagittal => ["A", "P", "S", "I"],
        }
    }

    /// Width and height in voxels.
    pub fn size(self, size: [usize; 3]) -> [usize; 2] {
        let [across, down, _] = self.axes();
        [size[across], size[down]]
    }

    /// How many cuts there are.
    pub fn n_slices(self, size: [usize; 3]) -> usize {
        size[self.axes()[2]]
    }

    /// The voxel at a pixel of a cut. All of the picture's directions run against the volume's axes.
    pub fn voxel(self, [column, row]: [usize; 2], slice: usize, size: [usize; 3]) -> [usize; 3] {
        let [across, down, through] = self.axes();
        let mut voxel = [0; 3];
        voxel[across] = size[across].saturating_sub(1 + column);
        voxel[down] = size[down].saturating_sub(1 + row);
        voxel[through] = slice.min(size[through].saturating_sub(1));
        voxel
    }

    /// The pixel at which a voxel lies.
    pub fn pixel(self, voxel: [usize; 3], size: [usize; 3]) -> [usize; 2] {
        let [across, down, _] = self.axes();
        [across, down].map(|axis| size[axis].saturating_sub(1 + voxel[axis]))
    }
}

/// The volume that is cut: its voxels along x, y and z, x the fastest in memory.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Which way.
    pub plane: Plane,
    /// Which one.
    pub slice: usize,
    /// Voxels of the volume.
    pub size: [usize; 3],
}

impl Cut {
    /// Calls with the position in memory of every pixel, row by row.
    fn visit(self, mut at: impl FnMut(usize)) {
        let [across, down, through] = self.plane.axes();
        let strides = [1, self.size[0], self.size[0] * self.size[1]];
        let first = self.slice.min(self.size[through].saturating_sub(1)) * strides[through];
        for row in (0..self.size[down]).rev() {
            let start = first + row * strides[down];
            for column in (0..self.size[across]).rev() {
                at(start + column * strides[across]);
            }
        }
    }

    /// The cut as a canvas wants it: `[H, W, 4]`, grey by the table, opaque. Nothing if the voxels do not fit.
    pub fn grey(self, voxels: &[u16], table: &GreyTable, rgba: &mut Vec<u8>) {
        let [width, height] = self.plane.size(self.size);
        rgba.resize(width * height * 4, 255);
        if voxels.len() != self.size.iter().product::<usize>() {
            return;
        }
        let mut pixels = rgba.as_chunks_mut::<4>().0.iter_mut();
        self.visit(|at| {
            if let Some(pixel) = pixels.next() {
                let grey = table.0[usize::from(voxels[at])];
                *pixel = [grey, grey, grey, 255];
            }
        });
    }

    /// The cut of a mask, `[H, W]`. Nothing if the mask does not fit.
    pub fn mask(self, mask: &[u8], out: &mut Vec<u8>) {
        out.clear();
        if mask.len() == self.size.iter().product::<usize>() {
            self.visit(|at| out.push(mask[at]));
        }
    }
}

/// A grey value for each of the 65536 values of a voxel.
#[derive(Debug, Clone)]
pub struct GreyTable(Vec<u8>);

impl GreyTable {
    /// All black.
    pub fn new() -> Self {
        Self(vec![0; 1 << 16])
    }

    /// Sets the table for a window of values; `range` are the values of 0 and of 65535.
    pub fn set(&mut self, window: Window, [lo, hi]: [f32; 2]) {
        let step = (hi - lo) / f32::from(u16::MAX);
        let [from, to] = window.ends();
        let scale = 255.0 / (to - from).max(f32::MIN_POSITIVE);
        for (grey, shown) in self.0.iter_mut().zip(0..=u16::MAX) {
            // A cast of a float keeps to 0 and 255.
            *grey = ((lo + step * f32::from(shown) - from) * scale).round() as u8;
        }
    }
}

impl Default for GreyTable {
    fn default() -> Self {
        Self::new()
    }
}

/// Which values are shown between black and white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The value of middle grey.
    pub center: f32,
    /// From black to white.
    pub width: f32,
}

impl Window {
    /// The window between two values.
    pub fn between([from, to]: [f32; 2]) -> Self {
        Self { center: f32::midpoint(from, to), width: (to - from).max(f32::MIN_POSITIVE) }
    }

    /// Values of black and white.
    pub fn ends(self) -> [f32; 2] {
        [self.center - self.width / 2.0, self.center + self.width / 2.0]
    }

    /// The window after a drag: to the right makes it wider, down makes the picture brighter. `share` are the parts of the
    /// picture's sides, `span` the values there are.
    #[must_use]
    pub fn dragged(self, share: [f64; 2], span: f32) -> Self {
        let [across, down] = share.map(|share| share as f32);
        let width = (self.width + across * span).clamp(span * 0.004, span * 2.0);
        Self { width, center: self.center - down * span }
    }
}

/// Edges of a mask, as lines between pixels: from (x, y) to (x, y), in pixels from the upper left corner.
pub type Line = [u16; 4];

/// The lines around what a mask marks, each as long as it goes straight on.
///
/// # Shapes
///
/// - `mask`: `[H, W]`, 0 where there is nothing
pub fn edges(mask: &[u8], [width, height]: [usize; 2], lines: &mut Vec<Line>) {
    lines.clear();
    if mask.len() != width * height || mask.is_empty() {
        return;
    }
    let marked = |x: usize, y: usize| x < width && y < height && mask[y * width + x] != 0;
    let above = |x: usize, y: usize| y > 0 && marked(x, y - 1);
    let left = |x: usize, y: usize| x > 0 && marked(x - 1, y);
    let mut add = |ends: [usize; 4]| lines.push(ends.map(|end| end as u16));
    for y in 0..=height {
        runs(width, |x| marked(x, y) != above(x, y), |from, to| add([from, y, to, y]));
    }
    for x in 0..=width {
        runs(height, |y| marked(x, y) != left(x, y), |from, to| add([x, from, x, to]));
    }
}

/// Calls with the beginning and the end of each run of positions, of `0..n`, of which something is true.
fn runs(n: usize, is_true: impl Fn(usize) -> bool, mut with: impl FnMut(usize, usize)) {
    let mut start = None;
    for i in 0..=n {
        match (start, i < n && is_true(i)) {
            (None, true) => start = Some(i),
            (Some(from), false) => {
                with(from, i);
                start = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 3] = [4, 3, 2];

    #[test]
    fn the_patients_right_is_on_the_left_and_the_face_is_up_or_left() {
        // The voxel furthest right, front and top.
        let corner = [3, 2, 1];
        assert_eq!(Plane::Axial.pixel(corner, SIZE), [0, 0]);
        assert_eq!(Plane::Coronal.pixel(corner, SIZE), [0, 0]);
        assert_eq!(Plane::Sagittal.pixel(corner, SIZE), [0, 0]);
        assert_eq!(Plane::Axial.letters(), ["R", "L", "A", "P"]);
        assert_eq!(Plane::Sagittal.letters()[0], "A");
        for plane in Plane::ALL {
            let [width, height] = plane.size(SIZE);
            for slice in 0..plane.n_slices(SIZE) {
                for pixel in (0..width * height).map(|i| [i % width, i / width]) {
                    let voxel = plane.voxel(pixel, slice, SIZE);
                    assert_eq!(plane.pixel(voxel, SIZE), pixel);
                    assert_eq!(voxel[plane.axes()[2]], slice);
                }
            }
        }
    }

    #[test]
    fn a_cut_shows_the_voxels_of_its_pixels() {
        let voxels: Vec<u16> = (0..24).map(|i| i * 2000).collect();
        let mut table = GreyTable::new();
        table.set(Window::between([0.0, 65535.0]), [0.0, 65535.0]);
        let (mut rgba, mut mask) = (Vec::new(), Vec::new());
        for plane in Plane::ALL {
            let [width, height] = plane.size(SIZE);
            for slice in 0..plane.n_slices(SIZE) {
                let cut = Cut { plane, slice, size: SIZE };
                cut.grey(&voxels, &table, &mut rgba);
                cut.mask(&(0..24).collect::<Vec<u8>>(), &mut mask);
                assert_eq!((rgba.len(), mask.len()), (width * height * 4, width * height));
                for i in 0..width * height {
                    let [x, y, z] = plane.voxel([i % width, i / width], slice, SIZE);
                    let at = (z * 3 + y) * 4 + x;
                    let grey = (at as f32 * 2000.0 / 65535.0 * 255.0).round() as u8;
                    assert_eq!(rgba[4 * i..4 * i + 4], [grey, grey, grey, 255]);
                    assert_eq!(usize::from(mask[i]), at);
                }
            }
        }
        // What does not fit is not drawn, and nothing breaks.
        Cut { plane: Plane::Axial, slice: 9, size: SIZE }.grey(&voxels[..5], &table, &mut rgba);
        Cut { plane: Plane::Axial, slice: 9, size: SIZE }.mask(&[1], &mut mask);
        assert!(mask.is_empty());
    }

    #[test]
    fn drawing_takes_no_memory_after_the_first_time() {
        let (voxels, mask) = (vec![7u16; 24], vec![1u8; 24]);
        let table = GreyTable::new();
        let (mut rgba, mut cut_mask, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        let mut memory = Vec::new();
        for slice in [0, 1, 0, 1] {
            let cut = Cut { plane: Plane::Axial, slice, size: SIZE };
            cut.grey(&voxels, &table, &mut rgba);
            cut.mask(&mask, &mut cut_mask);
            edges(&cut_mask, [4, 3], &mut lines);
            memory.push((rgba.as_ptr() as usize, cut_mask.as_ptr() as usize, lines.as_ptr() as usize));
        }
        assert!(memory.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_window_runs_from_black_to_white() {
        let mut table = GreyTable::new();
        table.set(Window::between([100.0, 300.0]), [0.0, 655.35]);
        let grey = |value: f32| table.0[(value * 100.0) as usize];
        assert_eq!((grey(50.0), grey(100.0), grey(300.0), grey(600.0)), (0, 0, 255, 255));
        assert!((126..=129).contains(&grey(200.0)));
        let window = Window { center: 200.0, width: 200.0 };
        assert_eq!(window.dragged([0.1, 0.0], 1000.0), Window { center: 200.0, width: 300.0 });
        assert_eq!(window.dragged([0.0, 0.1], 1000.0), Window { center: 100.0, width: 200.0 });
        assert!(window.dragged([-5.0, 0.0], 1000.0).width > 0.0);
    }

    #[test]
    fn edges_are_whole_straight_lines() {
        let mut lines = Vec::new();
        #[rustfmt::skip]
        let mask = [
            0, 1, 1, 0,
            0, 1, 1, 0,
            0, 0, 0, 1,
        ];
        edges(&mask, [4, 3], &mut lines);
        lines.sort_unstable();
        let mut expected = [[1, 0, 3, 0], [1, 2, 4, 2], [3, 3, 4, 3], [1, 0, 1, 2], [3, 0, 3, 3], [4, 2, 4, 3]];
        expected.sort_unstable();
        assert_eq!(lines, expected);
        edges(&[0; 12], [4, 3], &mut lines);
        assert!(lines.is_empty());
        edges(&[1; 12], [4, 3], &mut lines);
        assert_eq!(lines.len(), 4);
    }
}
