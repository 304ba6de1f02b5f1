//! A slice on a canvas.

use leptos::html::Canvas;
use leptos::prelude::*;

use crate::component::draw;

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
        if let Err(error) = pixels.with(|pixels| draw(&canvas, pixels.width, &pixels.rgba)) {
            // The numbers beside it do not depend on the picture.
            leptos::logging::error!("the slice could not be drawn: {error:?}");
        }
    });
    view! { <canvas class="picture" role="img" aria-label=move || label.get() node_ref=canvas></canvas> }
}
