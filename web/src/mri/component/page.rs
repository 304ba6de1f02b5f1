//! The workbench.

use leptos::prelude::*;
use web_sys::File;

use super::answer::Answer;
use super::display::Display;
use super::files::Files;
use super::samples::Samples;
use super::viewer::{Stage, Viewer};
use crate::component::{DropZone, Kinds, Manner};
use crate::language::t;
use crate::mri::Desk;

/// The cuts on the left, files and outline on the right; on a narrow screen one below the other.
#[component]
pub fn MriPage(
    /// The session to show and the workers to ask.
    desk: Desk,
) -> impl IntoView {
    desk.start();
    let session = desk.session();
    let stage = StoredValue::new_local(Stage::default());
    let has_scan = Memo::new(move |_| session.with(|session| session.scan.is_some()));
    let has_files = Memo::new(move |_| session.with(|session| !session.files.is_empty()));
    let state = Memo::new(move |_| {
        session.with(|session| match () {
            () if session.is_reading() => "reading",
            () if session.is_fruitless() => "error",
            () if session.scan.is_some() => "shown",
            () => "ready",
        })
    });
    let words = move || match state.get() {
        "reading" => t!("mri.state_reading"),
        "error" => t!("mri.state_error"),
        "shown" => t!("mri.state_shown"),
        _ => t!("mri.state_ready"),
    };
    let trouble = Memo::new(move |_| session.with(|session| session.trouble.clone()));
    let give = move |(files, _): (Vec<File>, Manner)| {
        if !files.is_empty() {
            desk.give(&files);
        }
    };
    view! {
        <div class="mri" class:mri-empty=move || !has_scan.get()>
            <p class="visually-hidden" role="status" data-testid="mri-status" data-state=move || state.get()>
                {words}
            </p>
            <Show when=move || has_scan.get()>
                <div class="mri-main">
                    <Viewer desk stage />
                    <Display desk />
                    <p class="hint">{move || t!("mri.convention")}</p>
                </div>
            </Show>
            <div class="mri-side">
                {move || trouble.get().map(|words| view! {
                    <p class="error" role="alert" data-testid="mri-trouble">{words}</p>
                })}
                <Show when=move || has_scan.get()>
                    <Answer desk stage />
                </Show>
                <Show when=move || has_files.get()>
                    <Files desk />
                </Show>
                <DropZone
                    title=Signal::derive(|| t!("mri.drop_title"))
                    hint=Signal::derive(|| t!("mri.drop_hint"))
                    // The last entry lets through files without an ending.
                    accept=".nii,.gz,.mha,.mhd,.raw,.zraw,*/*"
                    compact=has_scan
                    on_files=give
                    kinds=Kinds::FilesAndFolders
                />
                <Samples desk />
            </div>
        </div>
    }
}
