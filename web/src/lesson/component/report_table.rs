//! The same for x-ray and report: what each method keeps when the report is dropped.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::address::{Navigator, View};
use crate::language::t;
use crate::lesson::results::{AurocRow, AurocTable, Results};

/// Name of the report's state in the address.
const REPORT: &str = "report";

/// What is given at test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Xray,
    Report,
    Both,
}

/// The methods: their label, and their rows in the file for x-ray, report and both.
const METHODS: [(&str, [Option<&str>; 3]); 5] = [
    ("CMIM", [Some("cmim"), None, Some("cmim-with-reports")]),
    ("ResNet", [Some("resnet"), None, None]),
    ("TieNet", [Some("tienet"), None, None]),
    ("Joint", [None, None, Some("joint")]),
    ("Text CNN", [None, Some("text"), None]),
];

/// A switch for the report and the table of measured areas that follows it.
#[component]
pub fn ReportTable(
    /// Keeps the switch in the address.
    navigator: Navigator,
) -> impl IntoView {
    let table = RwSignal::new(None::<Result<AurocTable, String>>);
    spawn_local(async move {
        let read = AurocTable::fetch().await;
        // The page may have been left in the meantime.
        let _ = table.try_set(Some(read));
    });
    let state = navigator.value(REPORT);
    let is_there = Memo::new(move |_| state.get().as_deref() != Some("dropped"));
    let toggle = move |_| navigator.set(REPORT, is_there.get_untracked().then_some("dropped"));
    view! {
        <section class="report-lesson" data-testid="report-lesson" aria-labelledby="report-title">
            <h2 id="report-title">{move || t!("lesson.report_title")}</h2>
            <p>{move || t!("lesson.report_about")}</p>
            <p class="tour-buttons">
                <button
                    type="button"
                    class="button-quiet"
                    role="switch"
                    aria-checked=move || is_there.get().to_string()
                    data-testid="report-switch"
                    on:click=toggle
                >
                    {move || if is_there.get() { t!("lesson.report_there") } else { t!("lesson.report_dropped") }}
                </button>
                <button type="button" class="button-quiet" on:click=move |_| navigator.go(View::Xray)>
                    {move || t!("lesson.report_try")}
                </button>
            </p>
            {move || match table.get() {
                None => view! { <p>{t!("lesson.pending")}</p> }.into_any(),
                Some(Err(message)) => view! { <p class="error" role="alert">{message}</p> }.into_any(),
                Some(Ok(table)) => areas(&table, is_there).into_any(),
            }}
        </section>
    }
}

fn areas(table: &AurocTable, is_there: Memo<bool>) -> impl IntoView + use<> {
    let n = table.row("cmim").map(|row| (row.seeds, row.n_test)).unwrap_or_default();
    let rows = [Given::Xray, Given::Report, Given::Both].map(|given| {
        let cells = METHODS.map(|(_, rows)| cell(rows[given as usize].and_then(|name| table.row(name))));
        let is_current = move || given == if is_there.get() { Given::Both } else { Given::Xray };
        view! {
            <tr aria-current=move || is_current().then_some("true")>
                <th scope="row">{given_words(given)}</th>
                {cells.collect_view()}
            </tr>
        }
    });
    view! {
        <div class="heat-map">
            <div class="scroll" tabindex="0" role="region" aria-label=t!("lesson.report_title")>
                <table data-testid="report-table">
                    <caption class="visually-hidden">{t!("lesson.report_caption")}</caption>
                    <thead>
                        <tr>
                            <th scope="col">{t!("lesson.given")}</th>
                            {METHODS.map(|(label, _)| view! { <th scope="col">{label}</th> }).collect_view()}
                        </tr>
                    </thead>
                    <tbody>{rows.collect_view()}</tbody>
                </table>
            </div>
        </div>
        <p class="hint">{t!("lesson.report_n", seeds = n.0, n = n.1)} " " <code>{table.command.clone()}</code></p>
    }
}

fn given_words(given: Given) -> String {
    match given {
        Given::Xray => t!("lesson.given_xray"),
        Given::Report => t!("lesson.given_report"),
        Given::Both => t!("lesson.given_both"),
    }
}

/// An area with its interval. The colour runs from chance, 0.5, to perfect order, 1.
fn cell(row: Option<&AurocRow>) -> impl IntoView + use<> {
    let heat = row.map_or(0.0, |row| (2.0 * row.macro_auroc - 1.0).clamp(0.0, 1.0));
    let words = row.map(|row| (format!("{:.3}", row.macro_auroc), format!("{:.3}–{:.3}", row.lo, row.hi)));
    view! {
        <td class:heat=row.is_some() style=("--dice", format!("{heat:.3}"))>
            {match words {
                Some((area, interval)) => view! { {area}<br /><small>{interval}</small> }.into_any(),
                None => "·".into_any(),
            }}
        </td>
    }
}
