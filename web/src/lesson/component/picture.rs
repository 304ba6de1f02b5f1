//! A slice on a canvas.

use leptos::html::Canvas;
use leptos::prelude::*;
use wasm_bindgen::{Clamped, JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

/// The pixels of a picture: red, green, blue, opacity, `[height, width, 4]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pixels {
    /// Width in pixels.
    pub width: usize,
    /// The pixels.
    pub rgba: Vec<u8>,
}

/// A canvas that shows pixels, or nothing.
#[component]
pub fn Picture(
    /// What is shown.
    #[prop(into)]
    pixels: Signal<Pixels>,
    /// What it is, for those who do not see it.
    #[prop(into)]
    label: Signal<String>,
) -> impl IntoView {
    let canvas = NodeRef::<Canvas>::new();
    Effect::new(move |_| {
        let Some(canvas) = canvas.get() else { return };
        if let Err(error) = pixels.with(|pixels| draw(&canvas, pixels)) {
            // The numbers beside it do not depend on the picture.
            leptos::logging::error!("the slice could not be drawn: {error:?}");
        }
    });
    view! { <canvas class="picture" role="img" aria-label=move || label.get() node_ref=canvas></canvas> }
}

fn draw(canvas: &HtmlCanvasElement, Pixels { width, rgba }: &Pixels) -> Result<(), JsValue> {
    let (width, height) = (*width as u32, (rgba.len() / 4 / (*width).max(1)) as u32);
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
