//! How the pictures are shown: sequence, window, overlay.

use leptos::prelude::*;
use shared::Modality;

use crate::language::t;
use crate::mri::Desk;
use crate::mri::scan::Image;
use crate::mri::screen::{Colour, Overlay, suiting};
use crate::mri::view::Window;

/// A window that suits a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preset {
    /// The brain.
    Brain,
    /// Its bright parts: enhancement in T1c, fluid in T2.
    Bright,
    /// All values of the file.
    All,
}

impl Preset {
    const ALL: [Self; 3] = [Self::Brain, Self::Bright, Self::All];

    fn name(self) -> &'static str {
        match self {
            Self::Brain => "brain",
            Self::Bright => "bright",
            Self::All => "all",
        }
    }

    fn window(self, image: &Image) -> Window {
        let [lo, hi] = image.window;
        match self {
            Self::Brain => suiting(image),
            Self::Bright => Window::between([lo + 0.35 * (hi - lo), hi + 0.25 * (hi - lo)]),
            Self::All => Window::between(image.range),
        }
    }
}

/// Choices of sequence, window and overlay, in one row.
#[component]
pub fn Display(
    /// Holds them.
    desk: Desk,
) -> impl IntoView {
    view! {
        <div class="mri-display" role="group" aria-label=move || t!("mri.display")>
            <Sequences desk />
            <Windows desk />
            <OverlayChoice desk />
        </div>
    }
}

/// The sequence that is shown.
#[component]
fn Sequences(
    /// Holds them.
    desk: Desk,
) -> impl IntoView {
    let (session, screen) = (desk.session(), desk.screen());
    let present =
        Memo::new(move |_| session.with(|session| session.present().map(|present| present.iter().collect::<Vec<_>>())));
    let show = move |modality: Modality| {
        session.with_untracked(|session| {
            if let Some(scan) = &session.scan {
                screen.show(scan, modality);
            }
        });
    };
    let button = move |modality: Modality| {
        view! {
            <button
                type="button"
                data-testid=format!("show-{}", modality.name())
                aria-pressed=move || (screen.shown.get() == modality).to_string()
                on:click=move |_| show(modality)
            >
                {modality.label()}
            </button>
        }
    };
    view! {
        <div class="mri-segments" role="group" aria-label=move || t!("mri.shown_sequence")>
            {move || present.get().unwrap_or_default().into_iter().map(button).collect_view()}
        </div>
    }
}

/// The window of values, by presets; dragging sets it freely.
#[component]
fn Windows(
    /// Holds it.
    desk: Desk,
) -> impl IntoView {
    let (session, screen) = (desk.session(), desk.screen());
    let image = move || {
        session.with_untracked(|session| session.scan.as_ref()?.images[screen.shown.get_untracked().index()].clone())
    };
    let label = |preset| match preset {
        Preset::Brain => t!("mri.window_brain"),
        Preset::Bright => t!("mri.window_bright"),
        Preset::All => t!("mri.window_all"),
    };
    let button = move |preset: Preset| {
        let is_set = move || image().is_some_and(|image| preset.window(&image) == screen.window.get());
        view! {
            <button
                type="button"
                data-testid=format!("window-{}", preset.name())
                aria-pressed=move || { screen.window.track(); is_set().to_string() }
                on:click=move |_| if let Some(image) = image() { screen.window.set(preset.window(&image)) }
            >
                {move || label(preset)}
            </button>
        }
    };
    let values = move || {
        let Window { center, width } = screen.window.get();
        let number = |value: f32| if width < 20.0 { format!("{value:.2}") } else { format!("{value:.0}") };
        t!("mri.window_values", center = number(center), width = number(width))
    };
    view! {
        <div class="mri-segments" role="group" aria-label=move || t!("mri.window")>
            {Preset::ALL.map(button).collect_view()}
        </div>
        <output class="mri-values" data-testid="mri-window">{values}</output>
    }
}

/// How the outline is drawn.
#[component]
fn OverlayChoice(
    /// Holds it.
    desk: Desk,
) -> impl IntoView {
    let screen = desk.screen();
    let label = |overlay| match overlay {
        Overlay::Outline => t!("mri.overlay_outline"),
        Overlay::Fill => t!("mri.overlay_fill"),
        Overlay::Hidden => t!("mri.overlay_hidden"),
    };
    let style = move |overlay: Overlay| {
        view! {
            <button
                type="button"
                data-testid=format!("overlay-{}", overlay.name())
                aria-pressed=move || (screen.overlay.get() == overlay).to_string()
                on:click=move |_| screen.overlay.set(overlay)
            >
                {move || label(overlay)}
            </button>
        }
    };
    let colour_name = |colour| match colour {
        Colour::Orange => t!("mri.orange"),
        Colour::Blue => t!("mri.blue"),
        Colour::Yellow => t!("mri.yellow"),
        Colour::Purple => t!("mri.purple"),
    };
    let colour = move |colour: Colour| {
        view! {
            <button
                type="button"
                class="mri-colour"
                style:background-color=colour.code()
                title=move || colour_name(colour)
                aria-label=move || colour_name(colour)
                aria-pressed=move || (screen.colour.get() == colour).to_string()
                on:click=move |_| screen.colour.set(colour)
            ></button>
        }
    };
    let set_opacity = move |event| {
        if let Ok(per_cent) = event_target_value(&event).parse::<f64>() {
            screen.opacity.set((per_cent / 100.0).clamp(0.0, 1.0));
        }
    };
    view! {
        <div class="mri-segments" role="group" aria-label=move || t!("mri.overlay")>
            {Overlay::ALL.map(style).collect_view()}
        </div>
        <div class="mri-colours" role="group" aria-label=move || t!("mri.colour")>
            {Colour::ALL.map(colour).collect_view()}
        </div>
        <label class="mri-opacity">
            <span>{move || t!("mri.opacity")}</span>
            <input
                type="range"
                min="0"
                max="100"
                data-testid="mri-opacity"
                disabled=move || screen.overlay.get() != Overlay::Fill
                prop:value=move || (screen.opacity.get() * 100.0).round().to_string()
                on:input=set_opacity
            />
        </label>
    }
}
