//! Where a file comes in: dropped, chosen or pasted.

use leptos::ev;
use leptos::html::Input;
use leptos::prelude::*;
use web_sys::{ClipboardEvent, DataTransfer, DragEvent, File, FileList};

use crate::desk::Desk;

/// The area to drop a file on, with a button to choose one. A drop or a paste elsewhere on the page counts too.
#[component]
pub fn DropZone(
    /// Takes the files.
    desk: Desk,
) -> impl IntoView {
    // Entering a child comes before leaving its parent: count, so that the mark does not flicker.
    let depth = RwSignal::new(0_i32);
    let is_over = Memo::new(move |_| depth.get() > 0);
    let session = desk.session();
    let has_image = Memo::new(move |_| session.with(|session| session.image().is_some()));
    let input = NodeRef::<Input>::new();

    let take = move |event: DragEvent| {
        event.prevent_default();
        event.stop_propagation();
        depth.set(0);
        desk.give(&dropped(event.data_transfer()), "dropped");
    };
    let choose = move |_| {
        if let Some(input) = input.get() {
            let chosen = files(input.files());
            // The same file may be chosen again.
            input.set_value("");
            if !chosen.is_empty() {
                desk.give(&chosen, "chosen");
            }
        }
    };
    let drop_elsewhere = window_event_listener(ev::drop, take);
    // Without this the browser would leave the page and open the file.
    let over_elsewhere = window_event_listener(ev::dragover, |event| event.prevent_default());
    let paste = window_event_listener(ev::paste, move |event: ClipboardEvent| {
        desk.give(&dropped(event.clipboard_data()), "pasted");
    });
    on_cleanup(move || {
        drop_elsewhere.remove();
        over_elsewhere.remove();
        paste.remove();
    });

    view! {
        <section
            class="drop-zone"
            class:drop-zone-compact=has_image
            class:drop-zone-over=is_over
            data-testid="drop-zone"
            aria-label="Give an x-ray"
            on:dragenter=move |event| {
                event.prevent_default();
                depth.update(|depth| *depth += 1);
            }
            on:dragover=|event| event.prevent_default()
            on:dragleave=move |_| depth.update(|depth| *depth = (*depth - 1).max(0))
            on:drop=take
        >
            <p class="drop-title">"Drop a chest x-ray here"</p>
            <p class="drop-ways">
                <input
                    class="visually-hidden"
                    id="file-input"
                    data-testid="file-input"
                    type="file"
                    // The last entry lets through DICOM files without an extension.
                    accept=".png,.jpg,.jpeg,.dcm,*/*"
                    node_ref=input
                    on:change=choose
                />
                <label class="button" for="file-input">"Choose a file"</label>
                <span>"or paste an image"</span>
            </p>
            <p class="hint">"PNG, JPEG or DICOM, frontal view. It never leaves this computer."</p>
        </section>
    }
}

fn dropped(transfer: Option<DataTransfer>) -> Vec<File> {
    files(transfer.and_then(|transfer| transfer.files()))
}

fn files(list: Option<FileList>) -> Vec<File> {
    list.map_or_else(Vec::new, |list| (0..list.length()).filter_map(|i| list.get(i)).collect())
}
