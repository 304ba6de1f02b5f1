//! Draws the three cuts on their canvases. Its memory is kept from frame to frame.

use js_sys::{Array, Reflect, Uint8ClampedArray};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

use super::mask::GrowingMask;
use super::scan::{Image, Scan};
use super::screen::{Colour, Overlay};
use super::view::{Cut, GreyTable, Line, Plane, Window, edges};

/// Colour of the crosshair.
const CROSS: &str = "rgb(230 240 255 / 0.45)";

/// Half of the gap in the crosshair, in screen pixels, so that it hides nothing at its middle.
const GAP: f64 = 9.0;

/// What there is to draw.
#[derive(Clone, Copy)]
pub struct Picture<'a> {
    /// The examination.
    pub scan: &'a Scan,
    /// The sequence that is shown.
    pub image: &'a Image,
    /// The window of its values.
    pub window: Window,
    /// The voxel at which the cuts meet.
    pub cross: [usize; 3],
    /// The outline.
    pub mask: Option<&'a GrowingMask>,
    /// How it is shown.
    pub overlay: Overlay,
    /// Its colour.
    pub colour: Colour,
    /// How strongly its area is tinted.
    pub opacity: f64,
}

/// The canvases of a plane: the picture in voxels, and over it lines in the screen's own pixels.
#[derive(Clone)]
pub struct Canvases {
    /// Grey, a pixel for each voxel.
    pub picture: HtmlCanvasElement,
    /// Outlines and crosshair.
    pub lines: HtmlCanvasElement,
}

/// Draws, in memory that it keeps.
#[derive(Default)]
pub struct Painter {
    table: GreyTable,
    /// What the table is set for.
    table_of: Option<(Window, [f32; 2])>,
    planes: [PlaneMemory; 3],
}

#[derive(Default)]
struct PlaneMemory {
    rgba: Vec<u8>,
    mask: Vec<u8>,
    lines: Vec<Line>,
    /// The browser's copy of `rgba`, its bytes, and its width and height.
    image: Option<(ImageData, Uint8ClampedArray, [usize; 2])>,
}

impl Painter {
    /// Draws a plane.
    ///
    /// # Errors
    ///
    /// The browser's own error.
    pub fn draw(&mut self, plane: Plane, canvases: &Canvases, picture: &Picture<'_>) -> Result<(), JsValue> {
        let table_of = (picture.window, picture.image.range);
        if self.table_of != Some(table_of) {
            self.table.set(picture.window, picture.image.range);
            self.table_of = Some(table_of);
        }
        let size = picture.scan.canonical.size;
        let cut = Cut { plane, slice: picture.cross[plane.axes()[2]], size };
        let memory = &mut self.planes[plane.index()];
        cut.grey(&picture.image.shown, &self.table, &mut memory.rgba);
        memory.put(&canvases.picture, plane.size(size))?;

        let sheet = Sheet::of(&canvases.lines, plane.size(size))?;
        if let Some(truth) = picture.scan.truth.as_ref().filter(|_| picture.overlay != Overlay::Hidden) {
            cut.mask(truth, &mut memory.mask);
            edges(&memory.mask, plane.size(size), &mut memory.lines);
            sheet.context.set_line_dash(&Array::of2(&(4.0 * sheet.dot).into(), &(3.0 * sheet.dot).into()))?;
            sheet.stroke(&memory.lines, picture.colour.of_truth().code(), 1.25);
            sheet.context.set_line_dash(&Array::new())?;
        }
        if let Some(mask) = picture.mask.filter(|_| picture.overlay != Overlay::Hidden) {
            cut.mask(mask.mask(), &mut memory.mask);
            edges(&memory.mask, plane.size(size), &mut memory.lines);
            if picture.overlay == Overlay::Fill {
                sheet.fill(&memory.mask, plane.size(size), picture.colour.code(), picture.opacity);
            }
            sheet.stroke(&memory.lines, picture.colour.code(), 1.75);
        }
        sheet.cross(plane.pixel(picture.cross, size));
        Ok(())
    }
}

impl PlaneMemory {
    /// Brings the pixels to a canvas of their size.
    fn put(&mut self, canvas: &HtmlCanvasElement, [width, height]: [usize; 2]) -> Result<(), JsValue> {
        if self.image.as_ref().is_none_or(|(.., size)| *size != [width, height]) {
            let image = ImageData::new_with_sw(width as u32, height as u32)?;
            // The crate's own access to it would copy.
            let bytes: Uint8ClampedArray = Reflect::get(&image, &"data".into())?.dyn_into()?;
            self.image = Some((image, bytes, [width, height]));
        }
        resize(canvas, [width, height]);
        if let Some((image, bytes, _)) = &self.image {
            bytes.copy_from(&self.rgba);
            context(canvas)?.put_image_data(image, 0.0, 0.0)?;
        }
        Ok(())
    }
}

/// A transparent canvas as large as it is on the screen, cleared.
struct Sheet {
    context: CanvasRenderingContext2d,
    size: [f64; 2],
    /// Screen pixels for each voxel.
    scale: [f64; 2],
    /// Screen pixels for each of the style sheet's.
    dot: f64,
}

impl Sheet {
    fn of(canvas: &HtmlCanvasElement, [width, height]: [usize; 2]) -> Result<Self, JsValue> {
        let dot = web_sys::window().map_or(1.0, |window| window.device_pixel_ratio());
        let size = [canvas.client_width(), canvas.client_height()].map(|side| (f64::from(side) * dot).round());
        resize(canvas, size.map(|side| side as usize));
        let context = context(canvas)?;
        context.clear_rect(0.0, 0.0, size[0], size[1]);
        let scale = [size[0] / width.max(1) as f64, size[1] / height.max(1) as f64];
        Ok(Self { context, size, scale, dot })
    }

    fn at(&self, x: u16, y: u16) -> (f64, f64) {
        (f64::from(x) * self.scale[0], f64::from(y) * self.scale[1])
    }

    fn stroke(&self, lines: &[Line], colour: &str, width: f64) {
        self.context.begin_path();
        for &[x0, y0, x1, y1] in lines {
            let ((x0, y0), (x1, y1)) = (self.at(x0, y0), self.at(x1, y1));
            self.context.move_to(x0, y0);
            self.context.line_to(x1, y1);
        }
        self.context.set_line_cap("square");
        self.context.set_line_width(width * self.dot);
        self.context.set_stroke_style_str(colour);
        self.context.stroke();
    }

    /// Tints what a mask marks, run by run.
    fn fill(&self, mask: &[u8], [width, _]: [usize; 2], colour: &str, opacity: f64) {
        self.context.begin_path();
        for (y, row) in mask.chunks_exact(width.max(1)).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                if run[0] != 0 {
                    let (left, top) = self.at(x as u16, y as u16);
                    self.context.rect(left, top, run.len() as f64 * self.scale[0], self.scale[1]);
                }
                x += run.len();
            }
        }
        self.context.set_global_alpha(opacity);
        self.context.set_fill_style_str(colour);
        self.context.fill();
        self.context.set_global_alpha(1.0);
    }

    fn cross(&self, [column, row]: [usize; 2]) {
        let middle = [column, row].map(|at| at as f64 + 0.5);
        let [x, y] = [middle[0] * self.scale[0], middle[1] * self.scale[1]].map(|at| at.round() + 0.5);
        let gap = GAP * self.dot;
        self.context.begin_path();
        for (from, to) in [((x, 0.0), (x, y - gap)), ((x, y + gap), (x, self.size[1]))] {
            self.context.move_to(from.0, from.1);
            self.context.line_to(to.0, to.1.max(from.1));
        }
        for (from, to) in [((0.0, y), (x - gap, y)), ((x + gap, y), (self.size[0], y))] {
            self.context.move_to(from.0, from.1);
            self.context.line_to(to.0.max(from.0), to.1);
        }
        self.context.set_line_width(self.dot.max(1.0).round());
        self.context.set_stroke_style_str(CROSS);
        self.context.stroke();
    }
}

/// Setting a canvas's size clears it: only when it changes.
fn resize(canvas: &HtmlCanvasElement, [width, height]: [usize; 2]) {
    if canvas.width() as usize != width {
        canvas.set_width(width as u32);
    }
    if canvas.height() as usize != height {
        canvas.set_height(height as u32);
    }
}

fn context(canvas: &HtmlCanvasElement) -> Result<CanvasRenderingContext2d, JsValue> {
    canvas.get_context("2d")?.ok_or("no 2d context")?.dyn_into().map_err(JsValue::from)
}

/// The cut as a picture for a file: the grey values enlarged to the size of the lines, and these over them.
///
/// # Errors
///
/// The browser's own error.
pub fn merged(canvases: &Canvases, canvas: &HtmlCanvasElement) -> Result<(), JsValue> {
    let (width, height) = (canvases.lines.width(), canvases.lines.height());
    resize(canvas, [width as usize, height as usize]);
    let context = context(canvas)?;
    let (width, height) = (f64::from(width), f64::from(height));
    context.draw_image_with_html_canvas_element_and_dw_and_dh(&canvases.picture, 0.0, 0.0, width, height)?;
    context.draw_image_with_html_canvas_element_and_dw_and_dh(&canvases.lines, 0.0, 0.0, width, height)
}
