//! Draws an x-ray, with a map over it, on a canvas. Everything is taken when an image comes; a frame takes nothing.

use js_sys::{Reflect, Uint8ClampedArray};
use leptos::prelude::document;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

use super::item::Picture;
use crate::render::{Polarity, Viewport, Window, heat, window};

/// Rows and columns of the enlarged map.
const HEAT_SIDE: usize = 96;

/// A canvas in memory whose pixels are written as bytes.
struct Sheet {
    canvas: HtmlCanvasElement,
    context: CanvasRenderingContext2d,
    data: ImageData,
    /// The bytes of `data`, in the browser's memory.
    browser: Uint8ClampedArray,
    /// The same in the page's.
    rgba: Vec<u8>,
}

impl Sheet {
    fn new(width: usize, height: usize) -> Result<Self, JsValue> {
        let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
        canvas.set_width(width as u32);
        canvas.set_height(height as u32);
        let context = context_of(&canvas)?;
        let data = ImageData::new_with_sw(width as u32, height as u32)?;
        let browser = Reflect::get(&data, &"data".into())?.dyn_into()?;
        Ok(Self { canvas, context, data, browser, rgba: vec![0; 4 * width * height] })
    }

    fn flush(&self) -> Result<(), JsValue> {
        self.browser.copy_from(&self.rgba);
        self.context.put_image_data(&self.data, 0.0, 0.0)
    }
}

fn context_of(canvas: &HtmlCanvasElement) -> Result<CanvasRenderingContext2d, JsValue> {
    Ok(canvas.get_context("2d")?.ok_or("no 2d context")?.unchecked_into())
}

/// An image, its map and how they are shown.
pub struct Stage {
    canvas: HtmlCanvasElement,
    context: CanvasRenderingContext2d,
    picture: std::sync::Arc<Picture>,
    image: Sheet,
    heat: Sheet,
    table: Vec<u8>,
    /// Zoom and position; in pixels of the preview and of the style.
    pub viewport: Viewport,
    seen: [f64; 3],
    has_heat: bool,
}

impl Stage {
    /// Takes an image, to be shown whole.
    ///
    /// # Errors
    ///
    /// The browser's own error.
    pub fn new(canvas: HtmlCanvasElement, picture: std::sync::Arc<Picture>) -> Result<Self, JsValue> {
        let preview = &picture.preview;
        Ok(Self {
            context: context_of(&canvas)?,
            image: Sheet::new(preview.width, preview.height)?,
            heat: Sheet::new(HEAT_SIDE, HEAT_SIDE)?,
            table: Vec::new(),
            viewport: Viewport::fit([preview.width, preview.height], view_of(&canvas)),
            seen: picture.seen(),
            has_heat: false,
            picture,
            canvas,
        })
    }

    /// Whether this is the image that it shows.
    pub fn shows(&self, picture: &std::sync::Arc<Picture>) -> bool {
        std::sync::Arc::ptr_eq(&self.picture, picture)
    }

    /// Paints the image through another window.
    ///
    /// # Errors
    ///
    /// The browser's own error.
    pub fn paint(&mut self, through: Window, polarity: Polarity) -> Result<(), JsValue> {
        through.fill(polarity, &mut self.table);
        window::paint(&self.picture.preview, &self.table, &mut self.image.rgba);
        self.image.flush()
    }

    /// Paints another map over the square that the model sees, or none.
    ///
    /// # Errors
    ///
    /// The browser's own error.
    pub fn paint_heat(&mut self, map: Option<(&[f32], f32)>) -> Result<(), JsValue> {
        self.has_heat = map.is_some();
        let Some((values, full)) = map else { return Ok(()) };
        heat::paint(values, values.len().isqrt(), full, HEAT_SIDE, &mut self.heat.rgba);
        self.heat.flush()
    }

    /// Draws a frame; `place` is a place of a map of `side` rows to be framed.
    ///
    /// # Errors
    ///
    /// The browser's own error.
    pub fn draw(&mut self, opacity: f64, framed: Option<(usize, usize)>) -> Result<(), JsValue> {
        let view = view_of(&self.canvas);
        let ratio = web_sys::window().map_or(1.0, |window| window.device_pixel_ratio()).clamp(1.0, 3.0);
        let size = view.map(|length| (length * ratio).round().max(1.0) as u32);
        if [self.canvas.width(), self.canvas.height()] != size {
            self.canvas.set_width(size[0]);
            self.canvas.set_height(size[1]);
            self.viewport = self.viewport.resized(view);
        }
        let context = &self.context;
        context.set_transform(1.0, 0.0, 0.0, 1.0, 0.0, 0.0)?;
        context.clear_rect(0.0, 0.0, f64::from(size[0]), f64::from(size[1]));
        let scale = self.viewport.scale() * ratio;
        let [x, y] = self.viewport.corner().map(|length| length * ratio);
        context.set_transform(scale, 0.0, 0.0, scale, x, y)?;
        // Far in, a pixel is a square; before that it is smooth.
        context.set_image_smoothing_enabled(scale < 4.0);
        context.draw_image_with_html_canvas_element(&self.image.canvas, 0.0, 0.0)?;
        let [left, top, side] = self.seen;
        if self.has_heat {
            context.set_image_smoothing_enabled(true);
            context.set_global_alpha(opacity);
            context.draw_image_with_html_canvas_element_and_dw_and_dh(&self.heat.canvas, left, top, side, side)?;
            context.set_global_alpha(1.0);
        }
        if let Some((place, rows)) = framed.filter(|(_, rows)| *rows > 0) {
            let step = side / rows as f64;
            let (column, row) = ((place % rows) as f64, (place / rows) as f64);
            context.set_stroke_style_str("#fff");
            context.set_line_width(2.0 / self.viewport.scale());
            context.stroke_rect(left + column * step, top + row * step, step, step);
        }
        Ok(())
    }

    /// The place of a map of `side` rows that is at a place of the view; `None` outside of what the model sees.
    pub fn place_at(&self, point: [f64; 2], side: usize) -> Option<usize> {
        let [x, y] = self.viewport.image_point(point);
        let [left, top, length] = self.seen;
        let at = |value: f64, from: f64| {
            let share = (value - from) / length;
            (0.0..1.0).contains(&share).then_some((share * side as f64) as usize)
        };
        Some(at(y, top)? * side + at(x, left)?)
    }
}

/// Width and height of a canvas on the screen.
fn view_of(canvas: &HtmlCanvasElement) -> [f64; 2] {
    [canvas.client_width(), canvas.client_height()].map(|length| f64::from(length.max(1)))
}
