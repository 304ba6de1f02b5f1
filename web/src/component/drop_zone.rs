//! Where a file comes in: dropped, chosen or pasted.

use leptos::ev;
use leptos::html::Input;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::{ClipboardEvent, DataTransfer, DragEvent, File, FileList};

use super::dropped::Dropped;
use crate::language::t;

/// How files came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Dropped on the page.
    Dropped,
    /// Chosen in the browser's dialog.
    Chosen,
    /// Pasted.
    Pasted,
}

/// What can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kinds {
    /// Files.
    #[default]
    Files,
    /// Files and folders.
    FilesAndFolders,
}

/// The area to drop files on, with a button to choose them. A drop or a paste elsewhere on the page counts too.
#[component]
pub fn DropZone(
    /// What to drop: `Drop chest x-rays here`.
    #[prop(into)]
    title: Signal<String>,
    /// Which files are read.
    #[prop(into)]
    hint: Signal<String>,
    /// Endings of the files, as an input element takes them.
    accept: &'static str,
    /// Whether there is something already, so that less room is needed.
    #[prop(into)]
    compact: Signal<bool>,
    /// Takes the files.
    #[prop(into)]
    on_files: Callback<(Vec<File>, Manner)>,
    /// Whether folders are looked into, and can be chosen.
    #[prop(optional)]
    kinds: Kinds,
) -> impl IntoView {
    // Entering a child comes before leaving its parent: count, so that the mark does not flicker.
    let depth = RwSignal::new(0_i32);
    let is_over = Memo::new(move |_| depth.get() > 0);
    let input = NodeRef::<Input>::new();

    let take = move |event: DragEvent| {
        event.prevent_default();
        event.stop_propagation();
        depth.set(0);
        let dropped = Dropped::new(event.data_transfer().as_ref());
        if kinds == Kinds::FilesAndFolders && dropped.has_folders() {
            spawn_local(async move { on_files.run((dropped.files().await, Manner::Dropped)) });
        } else {
            on_files.run((files_of(event.data_transfer()), Manner::Dropped));
        }
    };
    let folder_input = NodeRef::<Input>::new();
    let choose_from = move |input: NodeRef<Input>| {
        if let Some(input) = input.get() {
            let chosen = files(input.files());
            // The same file may be chosen again.
            input.set_value("");
            if !chosen.is_empty() {
                on_files.run((chosen, Manner::Chosen));
            }
        }
    };
    let drop_elsewhere = window_event_listener(ev::drop, take);
    // Without this the browser would leave the page and open the file.
    let over_elsewhere = window_event_listener(ev::dragover, |event| event.prevent_default());
    let paste = window_event_listener(ev::paste, move |event: ClipboardEvent| {
        on_files.run((files_of(event.clipboard_data()), Manner::Pasted));
    });
    on_cleanup(move || {
        drop_elsewhere.remove();
        over_elsewhere.remove();
        paste.remove();
    });

    view! {
        <section
            class="drop-zone"
            class:drop-zone-compact=compact
            class:drop-zone-over=is_over
            data-testid="drop-zone"
            aria-label=move || title.get()
            on:dragenter=move |event| {
                event.prevent_default();
                depth.update(|depth| *depth += 1);
            }
            on:dragover=|event| event.prevent_default()
            on:dragleave=move |_| depth.update(|depth| *depth = (*depth - 1).max(0))
            on:drop=take
        >
            <p class="drop-title">{title}</p>
            <p class="drop-ways">
                <input
                    class="visually-hidden"
                    id="file-input"
                    data-testid="file-input"
                    type="file"
                    multiple=true
                    accept=accept
                    node_ref=input
                    on:change=move |_| choose_from(input)
                />
                <label class="button" for="file-input">{move || t!("shell.choose_files")}</label>
                <Show when=move || kinds == Kinds::FilesAndFolders>
                    <input
                        class="visually-hidden"
                        id="folder-input"
                        data-testid="folder-input"
                        type="file"
                        prop:webkitdirectory=true
                        node_ref=folder_input
                        on:change=move |_| choose_from(folder_input)
                    />
                    <label class="button button-second" for="folder-input">{move || t!("shell.choose_folder")}</label>
                </Show>
                <Show when=move || kinds == Kinds::Files>
                    <span>{move || t!("shell.or_paste")}</span>
                </Show>
            </p>
            <p class="hint">{hint}</p>
        </section>
    }
}

fn files_of(transfer: Option<DataTransfer>) -> Vec<File> {
    files(transfer.and_then(|transfer| transfer.files()))
}

fn files(list: Option<FileList>) -> Vec<File> {
    list.map_or_else(Vec::new, |list| (0..list.length()).filter_map(|i| list.get(i)).collect())
}
