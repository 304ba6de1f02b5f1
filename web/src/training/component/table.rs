//! The final numbers of every seed.

use leptos::prelude::*;
use shared::metric::mean_interval;

use super::super::Desk;
use super::super::curves::Chart;
use super::super::session::Session;
use super::chart::name;
use crate::language::t;

/// One row for each seed that is trained to the end, then the mean with its interval.
#[component]
pub fn Results(
    /// The training.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let results = Memo::new(move |_| session.with(Session::results));
    let lines = Chart::Score.lines();
    let head = move || lines.iter().map(|line| view! { <th scope="col">{move || name(*line)}</th> }).collect_view();
    let rows = move || {
        let row = |(seed, point)| {
            let scores = lines.iter().filter_map(|line| Chart::Score.value(*line, &point));
            view! {
                <tr data-testid="training-result">
                    <th scope="row">{t!("training.seed", seed = seed)}</th>
                    {scores.map(|score| view! { <td>{format!("{score:.3}")}</td> }).collect_view()}
                    <td>{point.bound.map_or_else(|| "\u{2013}".to_owned(), |bound| format!("{bound:.3}"))}</td>
                </tr>
            }
        };
        results.get().into_iter().map(row).collect_view()
    };
    let mean = move |of: &dyn Fn(&super::super::protocol::Point) -> Option<f64>| {
        let values: Vec<f64> = results.with(|results| results.iter().filter_map(|(_, point)| of(point)).collect());
        match mean_interval(&values) {
            Some(interval) => {
                t!(
                    "training.mean_interval",
                    mean = format!("{:.3}", interval.value),
                    lo = format!("{:.3}", interval.lo),
                    hi = format!("{:.3}", interval.hi)
                )
            }
            None => "\u{2013}".to_owned(),
        }
    };
    let means = move || {
        let of_line = lines.iter().map(|line| mean(&|point| Chart::Score.value(*line, point)));
        let cells = of_line.chain([mean(&|point| point.bound)]);
        cells.map(|text| view! { <td>{text}</td> }).collect_view()
    };
    view! {
        <Show when=move || results.with(|results| !results.is_empty())>
            // A table wider than a phone is moved by itself, with the keyboard too.
            <div class="training-table" tabindex="0" role="region" aria-label=move || t!("training.table_caption")>
                <table data-testid="training-table">
                    <caption>{move || t!("training.table_caption")}</caption>
                    <thead>
                        <tr>
                            <td></td>
                            {head}
                            <th scope="col">{move || t!("training.chart_bound")}</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                    <tfoot>
                        <tr>
                            <th scope="row">{move || t!("training.mean")}</th>
                            {means}
                        </tr>
                    </tfoot>
                </table>
            </div>
        </Show>
    }
}
