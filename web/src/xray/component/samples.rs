//! The x-rays that the page brings along, as buttons.

use js_sys::ArrayBuffer;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::browser::{blob_url, bytes_of, describe, fetch};
use crate::language::t;
use crate::xray::desk::Desk;
use crate::xray::sample::{Sample, samples};

/// Three x-rays to try, each with its source and licence.
#[component]
pub fn Samples(
    /// Takes the chosen one.
    desk: Desk,
) -> impl IntoView {
    let list = match samples() {
        Ok(list) => list,
        Err(error) => {
            leptos::logging::error!("the list of samples is broken: {error}");
            Vec::new()
        }
    };
    let mut credits: Vec<String> = list.iter().map(|sample| format!("{} {}", sample.source, sample.licence)).collect();
    credits.dedup();
    view! {
        <section class="samples" aria-labelledby="samples-title">
            <h2 id="samples-title">{move || t!("xray.samples_title")}</h2>
            <ul>{list.into_iter().map(|sample| view! { <SampleButton sample desk /> }).collect_view()}</ul>
            {credits.into_iter().map(|credit| view! { <p class="hint">{credit}</p> }).collect_view()}
        </section>
    }
}

/// One sample. Its file is fetched once, with the page, and serves as picture and as content.
#[component]
fn SampleButton(
    /// The sample.
    sample: Sample,
    /// Takes it.
    desk: Desk,
) -> impl IntoView {
    let content = StoredValue::new_local(None::<ArrayBuffer>);
    let picture = RwSignal::new(None::<Result<String, String>>);
    let path = sample.path();
    spawn_local(async move {
        let shown = async {
            let bytes = bytes_of(&fetch(&path).await?).await?;
            let url = blob_url(&bytes, "image/png").map_err(|error| describe(&error))?;
            content.set_value(Some(bytes));
            Ok(url)
        };
        picture.set(Some(shown.await));
    });
    let about = t!("xray.sample_about", about = sample.about, labels = sample.labels);
    let note = about.clone();
    let give = move |_| {
        // A copy, because the worker takes the bytes away and the sample may be chosen again.
        if let Some(bytes) = content.with_value(|bytes| bytes.as_ref().map(|bytes| bytes.slice(0))) {
            desk.give_bytes(&sample.file, Some(note.clone()), bytes);
        }
    };
    view! {
        <li>
            <button
                type="button"
                data-testid="sample"
                title=about
                disabled=move || !matches!(picture.get(), Some(Ok(_)))
                on:click=give
            >
                {move || match picture.get() {
                    Some(Ok(url)) => view! { <img src=url alt="" width="96" height="96" /> }.into_any(),
                    Some(Err(reason)) => view! { <span class="hint">{reason}</span> }.into_any(),
                    None => view! { <span class="sample-blank"></span> }.into_any(),
                }}
                <span>{sample.title}</span>
            </button>
        </li>
    }
}
