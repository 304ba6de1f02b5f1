//! Several files: a table to sort, to choose from and to take away.

use std::sync::Arc;

use leptos::html::Canvas;
use leptos::prelude::*;
use shared::Finding;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};

use crate::browser::save;
use crate::component::draw;
use crate::language::t;
use crate::render::Grey;
use crate::xray::answer::{Row, label, percent_words, score_words};
use crate::xray::desk::Desk;
use crate::xray::item::{Item, ItemState};
use crate::xray::protocol::FileId;
use crate::xray::table::{Column, Direction, Order, csv, listed, to_json};

/// The files, once there are two.
#[component]
pub fn FileTable(
    /// Holds the session, and looks at another file.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let order = RwSignal::new(Order::default());
    let finding = RwSignal::new(Finding::Pneumonia);
    let has_files = Memo::new(move |_| session.with(|session| session.items().len() > 1));
    let rows = Memo::new(move |_| {
        session.with(|session| {
            let card = session.card();
            listed(session.items(), card.as_ref().map(|(card, _)| &**card), order.get())
        })
    });
    let queue = Memo::new(move |_| session.with(crate::xray::session::Session::queue));
    let selected = Memo::new(move |_| session.with(|session| session.selected_item().map(|item| item.id)));
    view! {
        <Show when=move || has_files.get()>
            <section class="files" data-testid="files" aria-labelledby="files-title">
                <div class="files-head">
                    <h2 id="files-title">{move || t!("xray.files", n = rows.with(Vec::len))}</h2>
                    <span class="files-tools">
                        <Show when=move || queue.get().is_some()>
                            <button type="button" class="tool" data-testid="cancel" on:click=move |_| desk.cancel()>
                                {move || t!("xray.cancel")}
                            </button>
                        </Show>
                        <button type="button" class="tool" data-testid="export-csv" on:click=move |_| export(desk, Form::Csv)>
                            {move || t!("xray.export_csv")}
                        </button>
                        <button type="button" class="tool" data-testid="export-json" on:click=move |_| export(desk, Form::Json)>
                            {move || t!("xray.export_json")}
                        </button>
                        <button type="button" class="tool" data-testid="clear" on:click=move |_| desk.clear()>
                            {move || t!("xray.clear")}
                        </button>
                    </span>
                </div>
                {move || queue.get().map(|(done, total)| view! {
                    <div class="progress" data-testid="queue">
                        <label for="queue-progress">{t!("xray.queue", done = done, total = total)}</label>
                        <progress id="queue-progress" max=total.to_string() value=done.to_string()></progress>
                    </div>
                })}
                <div class="files-scroll" tabindex="0" role="region" aria-labelledby="files-title">
                    <table>
                        <thead>
                            <tr>
                                <th scope="col" class="files-picture">
                                    <span class="visually-hidden">{move || t!("xray.column_picture")}</span>
                                </th>
                                <Head order column=Signal::derive(|| Column::File) words=Signal::derive(|| t!("xray.column_file")) />
                                <Head order column=Signal::derive(|| Column::Check) words=Signal::derive(|| t!("xray.column_check")) />
                                <Head order column=Signal::derive(|| Column::Highest) words=Signal::derive(|| t!("xray.column_highest")) />
                                <Head
                                    order
                                    column=Signal::derive(move || Column::Finding(finding.get()))
                                    words=Signal::derive(move || label(finding.get()))
                                />
                                <Head order column=Signal::derive(|| Column::Given) words=Signal::derive(|| t!("xray.column_given")) />
                            </tr>
                        </thead>
                        <tbody>
                            <For
                                each=move || rows.get()
                                key=|(item, rows)| key(item, rows)
                                let:entry
                            >
                                <FileRow desk item=entry.0 rows=entry.1 finding selected />
                            </For>
                        </tbody>
                    </table>
                </div>
                <label class="files-finding">
                    {move || t!("xray.column_choice")}
                    <select
                        data-testid="column-finding"
                        on:change=move |event| {
                            let name = event_target_value(&event);
                            if let Some(chosen) = Finding::ALL.into_iter().find(|finding| finding.name() == name) {
                                finding.set(chosen);
                                order.set(Order { column: Column::Finding(chosen), direction: Direction::Falling });
                            }
                        }
                    >
                        {Finding::ALL
                            .map(|option| view! {
                                <option value=option.name() selected=move || finding.get() == option>
                                    {move || label(option)}
                                </option>
                            })
                            .collect_view()}
                    </select>
                </label>
            </section>
        </Show>
    }
}

/// What of a row can change: it is drawn anew then.
fn key(item: &Item, rows: &[Row]) -> (FileId, String, bool, Option<u32>) {
    let state = format!("{:?}", item.state);
    (item.id, state, item.thumbnail.is_some(), rows.first().map(|row| row.image.shown().to_bits()))
}

/// The head of a column: a press sorts by it.
#[component]
fn Head(
    /// How the table is sorted.
    order: RwSignal<Order>,
    /// The column.
    column: Signal<Column>,
    /// Its name.
    words: Signal<String>,
) -> impl IntoView {
    let direction = move || (order.get().column == column.get()).then(|| order.get().direction);
    let sorted = move || match direction() {
        None => "none",
        Some(Direction::Rising) => "ascending",
        Some(Direction::Falling) => "descending",
    };
    let sign = move || match direction() {
        None => "",
        Some(Direction::Rising) => " ↑",
        Some(Direction::Falling) => " ↓",
    };
    view! {
        <th scope="col" aria-sort=sorted>
            <button type="button" data-testid="sort" on:click=move |_| order.update(|order| *order = order.pressed(column.get_untracked()))>
                {words}
                <span aria-hidden="true">{sign}</span>
            </button>
        </th>
    }
}

#[component]
fn FileRow(
    /// Looks at the file.
    desk: Desk,
    /// The file.
    item: Item,
    /// Its findings.
    rows: Vec<Row>,
    /// The finding of the column that can be chosen.
    finding: RwSignal<Finding>,
    /// The file that is looked at.
    selected: Memo<Option<FileId>>,
) -> impl IntoView {
    let id = item.id;
    let is_selected = move || selected.get() == Some(id);
    let check = move || match (&item.state, &item.answer) {
        (ItemState::Failed(message), _) => (message.clone(), "failed"),
        (ItemState::Waiting, _) => (t!("xray.item_waiting"), "waiting"),
        (ItemState::Reading, _) => (t!("xray.item_reading"), "reading"),
        (ItemState::Cancelled, _) => (t!("xray.item_cancelled"), "cancelled"),
        (ItemState::Answered, Some(answer)) if !answer.passes() => (t!("xray.item_unlike"), "unlike"),
        (ItemState::Answered, _) => (t!("xray.item_passed"), "passed"),
    };
    let number = |row: &Row| row.image.probability.map_or_else(|| score_words(row.image.score), percent_words);
    let highest = rows.first().map(|row| (row.finding, number(row)));
    let chosen = move || rows.iter().find(|row| row.finding == finding.get()).map(number);
    let state = check().1;
    view! {
        <tr
            class="file"
            class:file-selected=is_selected
            data-testid="file-row"
            data-state=state
            aria-current=move || is_selected().then_some("true")
            on:click=move |_| desk.select(id)
        >
            <td class="files-picture">{item.thumbnail.clone().map(|grey| view! { <Thumbnail grey /> })}</td>
            <th scope="row">
                <button type="button" class="file-name" on:keydown=move |event| step(&event)>{item.file.clone()}</button>
            </th>
            <td class="file-check">{move || check().0}</td>
            <td>{move || highest.clone().map(|(finding, number)| format!("{} {number}", label(finding)))}</td>
            <td class="files-number">{chosen}</td>
            <td class="files-number">{id}</td>
        </tr>
    }
}

/// Arrow keys lead from row to row.
fn step(event: &KeyboardEvent) {
    let row = event.current_target().and_then(|button| button.dyn_into::<HtmlElement>().ok()?.closest("tr").ok()?);
    let to = row.and_then(|row| match event.key().as_str() {
        "ArrowDown" => row.next_element_sibling(),
        "ArrowUp" => row.previous_element_sibling(),
        _ => None,
    });
    let button =
        to.and_then(|row| row.query_selector(".file-name").ok()?).and_then(|b| b.dyn_into::<HtmlElement>().ok());
    if let Some(button) = button {
        event.prevent_default();
        // An element that cannot have the focus leaves it where it is.
        let _ = button.focus();
        button.click();
    }
}

/// A small picture.
#[component]
fn Thumbnail(
    /// Its pixels.
    grey: Arc<Grey>,
) -> impl IntoView {
    let canvas = NodeRef::<Canvas>::new();
    Effect::new(move |_| {
        if let Some(canvas) = canvas.get()
            && let Err(error) = draw(&canvas, grey.width, &grey.to_rgba())
        {
            leptos::logging::error!("a thumbnail could not be drawn: {error:?}");
        }
    });
    view! { <canvas node_ref=canvas aria-hidden="true"></canvas> }
}

/// A form to take the table away in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Json,
}

/// Gives all files with their scores to the browser's downloads.
fn export(desk: Desk, form: Form) {
    let written = desk.session().with_untracked(|session| {
        let (card, _) = session.card()?;
        Some(match form {
            Form::Csv => (csv(session.items(), &card), "text/csv", "x-rays.csv"),
            Form::Json => (to_json(session.items(), &card), "application/json", "x-rays.json"),
        })
    });
    let Some((text, mime, name)) = written else { return };
    if let Err(words) = save(name, mime, &text.into()) {
        leptos::logging::error!("{words}");
    }
}
