//! Which model answers, how far it is, and what came of it.

use js_sys::Uint8Array;
use leptos::html::Canvas;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{Blob, HtmlCanvasElement, Url};

use super::viewer::Stage;
use super::words::{interval, seconds, warnings};
use crate::browser::{describe, save, save_url};
use crate::language::t;
use crate::mri::Desk;
use crate::mri::models::{OWN, measured};
use crate::mri::painter::merged;
use crate::mri::session::{OutlineState, Session, mask_file_name};
use crate::mri::view::Plane;

/// The outline, its model and what is known of its worth.
#[component]
pub fn Answer(
    /// Holds it.
    desk: Desk,
    /// Has the pictures.
    stage: StoredValue<Stage, LocalStorage>,
) -> impl IntoView {
    view! {
        <section class="mri-card mri-answer" aria-labelledby="mri-answer-title">
            <h2 id="mri-answer-title">{move || t!("mri.outline_title")}</h2>
            <ModelChoice desk />
            <State desk />
            <Found desk />
            <Expected desk />
            <Exports desk stage />
        </section>
    }
}

/// The menu of models that can answer from what is there.
#[component]
fn ModelChoice(
    /// Holds them.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let options = Memo::new(move |_| {
        session.with(|session| {
            let Some(present) = session.present() else { return Vec::new() };
            let of = session.models.iter().filter(|entry| entry.used(present).is_some());
            of.map(|entry| (entry.name.clone(), entry.title())).collect()
        })
    });
    let chosen = Memo::new(move |_| session.with(|session| session.model().map(|(entry, _)| entry.name.clone())));
    view! {
        <label class="mri-field">
            <span>{move || t!("mri.model")}</span>
            <select data-testid="mri-model" on:change=move |event| desk.choose(&event_target_value(&event))>
                <For each=move || options.get() key=Clone::clone let((name, title))>
                    <option
                        value=name.clone()
                        selected=move || chosen.with(|chosen| chosen.as_deref() == Some(name.as_str()))
                    >
                        {title}
                    </option>
                </For>
            </select>
        </label>
    }
}

/// How far the outline is, with a button to end it or to begin again.
#[component]
fn State(
    /// Holds it.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let state = Memo::new(move |_| session.with(|session| session.outline.state.clone()));
    let words = move || match state.get() {
        OutlineState::None => String::new(),
        OutlineState::Preparing(None) => t!("mri.preparing"),
        OutlineState::Preparing(Some((received, total))) => {
            let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
            t!("mri.fetching", received = megabytes(received), total = megabytes(total))
        }
        OutlineState::Running(progress) => {
            let left = progress.left_ms().map_or_else(String::new, |ms| t!("mri.left", s = seconds(ms)));
            format!("{} {left}", t!("mri.slices_done", done = progress.done, of = progress.of))
        }
        OutlineState::Done(progress) => t!("mri.done", of = progress.of, s = seconds(progress.elapsed_ms)),
        OutlineState::Cancelled(progress) => t!("mri.cancelled", done = progress.done, of = progress.of),
        OutlineState::Failed(message) => message,
    };
    // A screen reader hears of the steps, not of every slice.
    let spoken = move || match state.with(OutlineState::name) {
        "running" => t!("mri.running"),
        _ => words(),
    };
    let going_on = Memo::new(move |_| state.with(OutlineState::is_going_on));
    let bar = move || match state.get() {
        OutlineState::Preparing(_) => Some((None, None)),
        OutlineState::Running(progress) => Some((Some(progress.done.to_string()), Some(progress.of.to_string()))),
        _ => None,
    };
    view! {
        <div
            class="mri-state"
            data-testid="mri-state"
            data-state=move || state.with(OutlineState::name)
            data-done=move || state.with(OutlineState::n_done).to_string()
        >
            <p aria-hidden="true" class:mri-failed=move || state.with(|s| matches!(s, OutlineState::Failed(_)))>
                {words}
            </p>
            <p class="visually-hidden" role="status">{spoken}</p>
            {move || bar().map(|(value, max)| view! {
                <progress aria-label=t!("mri.progress") value=value max=max></progress>
            })}
            <Show
                when=move || going_on.get()
                fallback=move || view! {
                    <Show when=move || state.with(|s| matches!(s, OutlineState::Cancelled(_) | OutlineState::Failed(_)))>
                        <button type="button" class="button" data-testid="mri-again" on:click=move |_| desk.outline()>
                            {move || t!("mri.again")}
                        </button>
                    </Show>
                }
            >
                <button type="button" class="button button-second" data-testid="mri-cancel" on:click=move |_| desk.cancel()>
                    {move || t!("mri.cancel")}
                </button>
            </Show>
        </div>
    }
}

/// Volume of the outline, and Dice where there is a truth.
#[component]
fn Found(
    /// Holds it.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let found = Memo::new(move |_| {
        session.with(|session| {
            let mask = session.outline.mask.as_ref().filter(|_| session.outline.state.n_done() > 0)?;
            let is_done = matches!(session.outline.state, OutlineState::Done(_));
            let dice = if is_done { mask.dice_of_all() } else { mask.dice() };
            Some((mask.volume_ml(), mask.n_voxels(), dice))
        })
    });
    let truth_unused = Memo::new(move |_| session.with(Session::truth_is_unused));
    let row = move || {
        found.get().map(|(ml, n, dice)| {
            view! {
                <div>
                    <dt>{move || t!("mri.volume")}</dt>
                    <dd data-testid="mri-volume" data-voxels=n.to_string()>{format!("{ml:.1} ml")}</dd>
                </div>
                {dice.map(|dice| view! {
                    <div>
                        <dt>{move || t!("mri.dice")}</dt>
                        <dd data-testid="mri-dice" data-value=dice.to_string()>{format!("{dice:.2}")}</dd>
                    </div>
                })}
            }
        })
    };
    view! {
        <dl class="mri-found">{row}</dl>
        <Show when=move || found.get().is_some_and(|(_, n, _)| n > 0)>
            <button
                type="button"
                class="button button-second mri-go"
                data-testid="mri-go"
                on:click=move |_| desk.look_at_outline()
            >
                {move || t!("mri.go_to")}
            </button>
        </Show>
        <Show when=move || truth_unused.get()>
            <p class="mri-warning">{move || t!("mri.truth_unused")}</p>
        </Show>
    }
}

/// What the model was measured to reach with these sequences, and what to mind.
#[component]
fn Expected(
    /// Holds it.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let lines = Memo::new(move |_| {
        session.with(|session| {
            let (entry, used) = session.model()?;
            let of = measured(&entry.card, used).into_iter().enumerate().filter_map(|(i, (subset, data))| {
                Some((i, subset.dice?, subset.n, data.to_owned(), entry.name == OWN))
            });
            Some((used, of.collect::<Vec<_>>()))
        })
    });
    let warnings = move || session.with(warnings);
    let rows = move || {
        lines.get().map(|(used, lines)| {
            let is_unknown = lines.is_empty();
            let line = |(i, dice, n, data, own): (usize, shared::metric::Interval, usize, String, bool)| {
                let of = move || match (i, own) {
                    (0, true) => t!("mri.on_its_test", n = n),
                    (_, true) => t!("mri.on_other", n = n),
                    (0, false) => t!("mri.on_generated", n = n),
                    (_, false) => t!("mri.on_real", n = n),
                };
                view! { <li title=data><strong>{move || interval(dice)}</strong>" "{of}</li> }
            };
            view! {
                <p>{move || t!("mri.expected", sequences = used.to_string())}</p>
                <ul>{lines.into_iter().map(line).collect_view()}</ul>
                {is_unknown.then(|| view! { <p class="mri-warning">{move || t!("mri.unmeasured")}</p> })}
            }
        })
    };
    view! {
        <div class="mri-expected" data-testid="mri-expected">{rows}</div>
        {move || warnings().into_iter().map(|words| view! { <p class="mri-warning">{words}</p> }).collect_view()}
    }
}

/// Files of what is seen: the mask on the voxels of the input, and the axial cut.
#[component]
fn Exports(
    /// Holds the mask.
    desk: Desk,
    /// Has the pictures.
    stage: StoredValue<Stage, LocalStorage>,
) -> impl IntoView {
    let session = desk.session();
    let trouble = RwSignal::new(None::<String>);
    let sheet = NodeRef::<Canvas>::new();
    let has_mask = Memo::new(move |_| {
        session.with(|session| {
            matches!(session.outline.state, OutlineState::Done(_) | OutlineState::Cancelled(_))
                && session.outline.mask.is_some()
        })
    });
    let save_mask = move |_| {
        let name = session.with_untracked(|s| s.scan.as_ref().map(|scan| mask_file_name(scan)));
        desk.pack(move |file| {
            let saved = file.and_then(|bytes| {
                let bytes: JsValue = Uint8Array::from(&bytes[..]).into();
                save(name.as_deref().unwrap_or("mask.nii.gz"), "application/gzip", &bytes)
            });
            trouble.set(saved.err());
        });
    };
    let save_cut = move |_| {
        let Some(sheet) = sheet.get_untracked() else { return };
        let canvases = stage.with_value(|stage| stage.canvases(Plane::Axial));
        let slice = desk.screen().cross.get_untracked()[2] + 1;
        let saved = canvases.ok_or_else(|| "no picture".into()).and_then(|canvases| {
            merged(&canvases, &sheet)?;
            save_canvas(&sheet, format!("axial-{slice}.png"))
        });
        trouble.set(saved.err().map(|error| describe(&error)));
    };
    view! {
        <div class="mri-exports">
            <button
                type="button"
                class="button button-second"
                data-testid="mri-save-mask"
                disabled=move || !has_mask.get()
                on:click=save_mask
            >
                {move || t!("mri.save_mask")}
            </button>
            <button type="button" class="button button-second" data-testid="mri-save-cut" on:click=save_cut>
                {move || t!("mri.save_cut")}
            </button>
            <canvas hidden=true node_ref=sheet></canvas>
        </div>
        {move || trouble.get().map(|words| view! { <p class="error" role="alert">{words}</p> })}
    }
}

fn save_canvas(canvas: &HtmlCanvasElement, name: String) -> Result<(), JsValue> {
    let taken = Closure::once_into_js(move |blob: Option<Blob>| {
        if let Some(blob) = blob
            && let Ok(url) = Url::create_object_url_with_blob(&blob)
            && let Err(error) = save_url(&name, &url)
        {
            leptos::logging::error!("the picture could not be saved: {error:?}");
        }
    });
    canvas.to_blob(taken.unchecked_ref())
}
