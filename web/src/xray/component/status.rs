//! How things stand: a sentence, the progress of the model, and what went wrong.

use leptos::prelude::*;

use crate::language::t;
use crate::xray::answer::megabytes;
use crate::xray::desk::Desk;
use crate::xray::session::{Model, Session};

/// The state in a sentence, said by a screen reader when it changes.
#[component]
pub fn Status(
    /// What the page knows.
    session: ReadSignal<Session>,
) -> impl IntoView {
    let state = Memo::new(move |_| session.with(Session::state).name());
    let words = Memo::new(move |_| session.with(Session::status));
    view! {
        <p class="status" role="status" aria-live="polite" data-testid="status" data-state=move || state.get()>
            {move || words.get()}
        </p>
    }
}

/// How much of the model is there, in bytes.
#[component]
pub fn ModelProgress(
    /// What the page knows.
    session: ReadSignal<Session>,
) -> impl IntoView {
    let model = Memo::new(move |_| {
        session.with(|session| match &session.model {
            Model::Starting => Some(None),
            Model::Fetching { received, total } => Some(Some((*received, *total))),
            Model::Ready { .. } | Model::Failed(_) => None,
        })
    });
    let bar = move || match model.get()? {
        None => Some(progress(t!("xray.starting"), None)),
        Some((received, total)) if received < total => {
            let words = t!("xray.fetching", received = megabytes(received), total = megabytes(total));
            Some(progress(words, Some((received, total))))
        }
        Some(_) => Some(progress(t!("xray.preparing"), None)),
    };
    view! { {bar} }
}

fn progress(words: String, bytes: Option<(u64, u64)>) -> impl IntoView {
    // Without a value the bar shows that something goes on, not how far it is.
    let (received, total) = bytes.unzip();
    view! {
        <div class="progress" data-testid="progress">
            <label for="model-progress">{words}</label>
            <progress
                id="model-progress"
                max=total.map(|total| total.to_string())
                value=received.map(|received| received.to_string())
            ></progress>
        </div>
    }
}

/// What went wrong, in words, and a button where trying again can help.
#[component]
pub fn ErrorMessage(
    /// Holds the session, and tries again.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let words = Memo::new(move |_| session.with(|session| session.error().map(str::to_owned)));
    let model_failed = Memo::new(move |_| session.with(|session| matches!(session.model, Model::Failed(_))));
    view! {
        <Show when=move || words.with(Option::is_some)>
            <div class="error" role="alert" data-testid="error">{move || words.get()}</div>
        </Show>
        <Show when=move || model_failed.get()>
            <p><button type="button" class="button" data-testid="retry" on:click=move |_| desk.retry()>
                {move || t!("xray.retry")}
            </button></p>
        </Show>
    }
}
