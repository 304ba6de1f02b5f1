//! What stands around every part of the page: its head with the navigation, the notice, and the foot that shows what was
//! asked of the network.

use leptos::prelude::*;

use crate::address::{Navigator, View};
use crate::language::{self, Language, language, t};
use crate::offline;
use crate::requests;

/// Name, navigation and language.
#[component]
pub fn Masthead(
    /// Where the person is.
    navigator: Navigator,
) -> impl IntoView {
    view! {
        <header class="masthead">
            <h1>"CMIM"</h1>
            <p>{move || t!("shell.subtitle")}</p>
            <nav aria-label=move || t!("shell.navigation")>
                <ul>{View::ALL.map(|view| view! { <li><ViewLink navigator to=view /></li> }).collect_view()}</ul>
            </nav>
            <LanguageChoice />
        </header>
    }
}

/// A link to a part of the page, which the page follows itself.
#[component]
fn ViewLink(
    /// Goes there.
    navigator: Navigator,
    /// Where it leads.
    to: View,
) -> impl IntoView {
    let shown = navigator.view();
    let name = move || match to {
        View::Xray => t!("shell.view_xray"),
        View::Mri => t!("shell.view_mri"),
        View::Lesson => t!("shell.view_lesson"),
        View::Help => t!("shell.view_help"),
    };
    view! {
        <a
            href=format!("?view={}", to.name())
            data-testid=format!("view-{}", to.name())
            aria-current=move || (shown.get() == to).then_some("page")
            on:click=move |event| {
                // With a modifier the browser opens a tab or window of its own.
                if !(event.ctrl_key() || event.meta_key() || event.shift_key()) {
                    event.prevent_default();
                    navigator.go(to);
                }
            }
        >
            {name}
        </a>
    }
}

/// The choice of the language.
#[component]
fn LanguageChoice() -> impl IntoView {
    let choose = move |event| {
        if let Some(language) = Language::of_code(&event_target_value(&event)) {
            language::choose(language);
        }
    };
    let options = Language::ALL.map(|option| {
        view! {
            <option value=option.code() lang=option.code() selected=move || language() == option>
                {option.name()}
            </option>
        }
    });
    view! {
        <select class="language" data-testid="language" aria-label=move || t!("shell.language") on:change=choose>
            {options.collect_view()}
        </select>
    }
}

/// What this page is not.
#[component]
pub fn Notice() -> impl IntoView {
    view! {
        <aside class="notice" data-testid="notice" aria-label=move || t!("shell.important")>
            <strong>{move || t!("shell.notice_short")}</strong>
            " "
            {move || t!("shell.notice_long")}
        </aside>
    }
}

/// The method's source, what the network was asked for, and whether the page works without it.
#[component]
pub fn Foot() -> impl IntoView {
    view! {
        <footer class="footer">
            <p>{move || t!("shell.method")}</p>
            <RequestCounter />
            <OfflineState />
        </footer>
    }
}

/// How many requests there were since the page had loaded, with their addresses.
#[component]
fn RequestCounter() -> impl IntoView {
    let requests = requests::requests();
    let origin = window().location().origin().unwrap_or_default();
    let counted = {
        let requests = requests.clone();
        Memo::new(move |_| requests.with(|r| (r.since().len(), r.while_loading().len(), r.n_elsewhere(&origin))))
    };
    let list = move || {
        let line = |address: &String| view! { <li><code>{address.clone()}</code></li> };
        requests.with(|requests| {
            let (since, loading) = (requests.since(), requests.while_loading());
            since.iter().rev().chain(loading.iter().rev()).map(line).collect_view()
        })
    };
    view! {
        <details class="requests" data-testid="requests" data-since=move || counted.get().0.to_string()>
            <summary>{move || t!("shell.requests_since", n = counted.get().0)}</summary>
            <p>
                {move || {
                    let (_, loading, elsewhere) = counted.get();
                    t!("shell.requests_about", loading = loading, elsewhere = elsewhere)
                }}
            </p>
            <ol>{list}</ol>
        </details>
    }
}

/// Whether the page's own files are kept for a visit without a network.
#[component]
fn OfflineState() -> impl IntoView {
    let kept = offline::kept();
    let words = {
        let kept = kept.clone();
        move || match kept.get() {
            offline::Kept::Unknown => t!("shell.offline_unknown"),
            offline::Kept::Yes => t!("shell.offline_yes"),
            offline::Kept::No => t!("shell.offline_no"),
        }
    };
    view! { <p data-testid="offline" data-state=move || kept.get().name()>{words}</p> }
}
