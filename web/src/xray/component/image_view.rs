//! The x-ray on the screen.

use leptos::html::Canvas;
use leptos::prelude::*;
use wasm_bindgen::{Clamped, JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

use crate::render::Grey;
use crate::xray::session::Session;

/// The image of the newest file, with its name, size and kind.
#[component]
pub fn ImageView(
    /// What the page knows.
    session: ReadSignal<Session>,
) -> impl IntoView {
    let image = Memo::new(move |_| session.with(Session::image));
    let file = Memo::new(move |_| session.with(|session| session.reading.as_ref().map(|reading| reading.file.clone())));
    let note = Memo::new(move |_| session.with(|session| session.reading.as_ref().and_then(|r| r.note.clone())));
    let canvas = NodeRef::<Canvas>::new();
    Effect::new(move |_| {
        if let (Some(canvas), Some(image)) = (canvas.get(), image.get())
            && let Err(error) = draw(&canvas, &image.preview)
        {
            // The answer does not depend on the picture.
            leptos::logging::error!("the image could not be drawn: {error:?}");
        }
    });
    let caption = move || {
        image.with(|image| {
            image.as_ref().map(|image| {
                let info = &image.info;
                format!("{} × {} pixels. {}", info.width, info.height, info.source)
            })
        })
    };
    view! {
        <Show when=move || note.with(Option::is_some)>
            <p class="note" data-testid="note">{move || note.get()}</p>
        </Show>
        <Show when=move || image.with(Option::is_some)>
            <figure class="image">
                <canvas
                    data-testid="image"
                    role="img"
                    aria-label=move || format!("The x-ray {}", file.get().unwrap_or_default())
                    node_ref=canvas
                ></canvas>
                <figcaption><strong>{move || file.get()}</strong>" "{caption}</figcaption>
            </figure>
        </Show>
    }
}

/// Draws an image on a canvas of its size.
///
/// # Errors
///
/// The browser's own error.
pub fn draw(canvas: &HtmlCanvasElement, grey: &Grey) -> Result<(), JsValue> {
    canvas.set_width(grey.width as u32);
    canvas.set_height(grey.height as u32);
    let context = canvas.get_context("2d")?.ok_or("no 2d context")?.dyn_into::<CanvasRenderingContext2d>()?;
    let rgba = grey.to_rgba();
    let data = ImageData::new_with_u8_clamped_array_and_sh(Clamped(&rgba), grey.width as u32, grey.height as u32)?;
    context.put_image_data(&data, 0.0, 0.0)
}
