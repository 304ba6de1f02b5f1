//! Pixels on a canvas.

use wasm_bindgen::{Clamped, JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

/// Draws pixels on a canvas, which takes their size: red, green, blue and opacity of each, `[height, width, 4]`. Without
/// pixels the canvas stays as it is.
///
/// # Errors
///
/// The browser's own error.
pub fn draw(canvas: &HtmlCanvasElement, width: usize, rgba: &[u8]) -> Result<(), JsValue> {
    let (width, height) = (width as u32, (rgba.len() / 4 / width.max(1)) as u32);
    if width == 0 || height == 0 {
        return Ok(());
    }
    // Setting a size clears the canvas, so only when it changes.
    if (canvas.width(), canvas.height()) != (width, height) {
        canvas.set_width(width);
        canvas.set_height(height);
    }
    let context = canvas.get_context("2d")?.ok_or("no 2d context")?.dyn_into::<CanvasRenderingContext2d>()?;
    let data = ImageData::new_with_u8_clamped_array_and_sh(Clamped(rgba), width, height)?;
    context.put_image_data(&data, 0.0, 0.0)
}
