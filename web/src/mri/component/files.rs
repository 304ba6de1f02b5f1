//! The files that were given, and which sequence each of them is.

use leptos::prelude::*;
use shared::Modality;

use super::words::about;
use crate::language::t;
use crate::mri::Desk;
use crate::mri::protocol::file_name;
use crate::mri::session::{FileRow, FileState};

/// A table of the files; what a volume is can be corrected.
#[component]
pub fn Files(
    /// Holds them.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let rows = Memo::new(move |_| session.with(|session| session.files.clone()));
    view! {
        <section class="mri-card" aria-labelledby="mri-files-title">
            <h2 id="mri-files-title">{move || t!("mri.files")}</h2>
            <ul class="mri-files" data-testid="mri-files">
                <For
                    each=move || rows.get()
                    key=|row| (row.id, row.state.clone().into_key())
                    children=move |row| view! { <FileLine desk row /> }
                />
            </ul>
        </section>
    }
}

impl FileState {
    /// What makes a line of the table another one.
    fn into_key(self) -> String {
        match self {
            Self::Image { role, by, .. } => format!("{role:?} {by:?}"),
            Self::Truth { .. } => "truth".to_owned(),
            other => format!("{other:?}"),
        }
    }
}

/// One file.
#[component]
fn FileLine(
    /// Takes corrections.
    desk: Desk,
    /// It.
    row: FileRow,
) -> impl IntoView {
    let FileRow { id, path, state } = row;
    let name = file_name(&path).to_owned();
    let role = match &state {
        FileState::Image { role, .. } => Some(*role),
        _ => None,
    };
    let is_truth = matches!(state, FileState::Truth { .. });
    let (label_name, tone) = (name.clone(), about(&state).1.name());
    let correct = move |event| {
        let value = event_target_value(&event);
        desk.correct(id, value.parse::<Modality>().ok());
    };
    view! {
        <li data-testid="mri-file" data-tone=tone>
            <span class="mri-file-name" title=path>{name}</span>
            {role.map(|role| view! {
                <select
                    data-testid="mri-role"
                    aria-label=move || t!("mri.role_of", file = label_name)
                    on:change=correct
                >
                    {Modality::ALL
                        .map(|modality| view! {
                            <option value=modality.name() selected=role == Some(modality)>{modality.label()}</option>
                        })
                        .collect_view()}
                    <option value="" selected=role.is_none()>{move || t!("mri.not_used")}</option>
                </select>
            })}
            {is_truth.then(|| view! { <span class="mri-tag">{move || t!("mri.truth_tag")}</span> })}
            <span class="mri-file-about">{move || about(&state).0}</span>
        </li>
    }
}
