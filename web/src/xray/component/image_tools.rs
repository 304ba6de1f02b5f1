//! The tools of the image: zoom, what a drag does, presets of the window, inversion.

use std::sync::Arc;

use leptos::prelude::*;

use super::image_view::{Display, DragMode};
use crate::language::t;
use crate::render::{Polarity, Window};
use crate::xray::item::Picture;

/// A window by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preset {
    Default,
    Lung,
    Bone,
    Contrast,
}

impl Preset {
    const ALL: [Self; 4] = [Self::Default, Self::Lung, Self::Bone, Self::Contrast];

    fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Lung => "lung",
            Self::Bone => "bone",
            Self::Contrast => "contrast",
        }
    }

    fn words(self) -> String {
        match self {
            Self::Default => t!("xray.preset_default"),
            Self::Lung => t!("xray.preset_lung"),
            Self::Bone => t!("xray.preset_bone"),
            Self::Contrast => t!("xray.preset_contrast"),
        }
    }

    fn window(self, picture: &Picture) -> Window {
        match self {
            Self::Default => Window::FULL,
            Self::Lung => Window::LUNG,
            Self::Bone => Window::BONE,
            Self::Contrast => Window::of_contrast(&picture.preview),
        }
    }
}

/// A row of tools above the image.
#[component]
pub fn ImageTools(
    /// How the image is shown.
    display: Display,
    /// The image.
    image: Memo<Option<Arc<Picture>>>,
) -> impl IntoView {
    let preset = move |event| {
        let name = event_target_value(&event);
        let chosen = Preset::ALL.into_iter().find(|preset| preset.name() == name);
        if let (Some(preset), Some(picture)) = (chosen, image.get_untracked()) {
            display.window.set(preset.window(&picture));
        }
    };
    let is_shown = move |preset: Preset| {
        image.with(|picture| picture.as_ref().is_some_and(|p| display.window.get() == preset.window(p)))
    };
    let options = Preset::ALL.map(|preset| {
        view! { <option value=preset.name() selected=move || is_shown(preset)>{move || preset.words()}</option> }
    });
    let is_custom = move || !Preset::ALL.into_iter().any(is_shown);
    let mode = move |mode: DragMode| {
        let words = move || match mode {
            DragMode::Pan => t!("xray.mode_pan"),
            DragMode::Window => t!("xray.mode_window"),
        };
        view! {
            <button
                type="button"
                data-testid=match mode { DragMode::Pan => "mode-pan", DragMode::Window => "mode-window" }
                aria-pressed=move || (display.mode.get() == mode).to_string()
                on:click=move |_| display.mode.set(mode)
            >
                {words}
            </button>
        }
    };
    let window_words = move || {
        let Window { center, width } = display.window.get();
        t!("xray.window_words", center = format!("{:.0}", 100.0 * center), width = format!("{:.0}", 100.0 * width))
    };
    view! {
        <div class="tools" role="toolbar" aria-label=move || t!("xray.tools")>
            <span class="segments" role="group" aria-label=move || t!("xray.drag_does")>
                {mode(DragMode::Pan)}
                {mode(DragMode::Window)}
            </span>
            <span class="segments">
                <button
                    type="button"
                    aria-label=move || t!("xray.zoom_out")
                    title=move || t!("xray.zoom_out")
                    on:click=move |_| display.change(|stage| stage.viewport.zoom_middle(0.8))
                >
                    "−"
                </button>
                <output data-testid="zoom" aria-label=move || t!("xray.zoom")>
                    {move || format!("{:.0}%", 100.0 * display.zoom.get())}
                </output>
                <button
                    type="button"
                    data-testid="zoom-in"
                    aria-label=move || t!("xray.zoom_in")
                    title=move || t!("xray.zoom_in")
                    on:click=move |_| display.change(|stage| stage.viewport.zoom_middle(1.25))
                >
                    "+"
                </button>
            </span>
            <select data-testid="preset" aria-label=move || t!("xray.preset") title=window_words on:change=preset>
                <Show when=is_custom>
                    <option value="" selected=true>{window_words}</option>
                </Show>
                {options.collect_view()}
            </select>
            <button
                type="button"
                class="tool"
                data-testid="invert"
                aria-pressed=move || (display.polarity.get() == Polarity::Negative).to_string()
                on:click=move |_| display.polarity.update(|polarity| *polarity = polarity.inverted())
            >
                {move || t!("xray.invert")}
            </button>
            <button type="button" class="tool" data-testid="reset" on:click=move |_| display.reset()>
                {move || t!("xray.reset")}
            </button>
        </div>
    }
}
