//! The final numbers of every seed.

use leptos::prelude::*;
use shared::metric::mean_interval;

use super::super::Desk;
use super::super::curves::{Chart, Line};
use super::super::protocol::Point;
use super::super::session::Session;
use super::chart::name;
use crate::language::t;

/// In place of a number that there is not.
const NOTHING: &str = "\u{2013}";

/// What the table's columns are of: all scores, then the bounds.
fn columns() -> impl Iterator<Item = (Chart, Line)> {
    let of = |chart: Chart| chart.lines().iter().map(move |line| (chart, *line));
    of(Chart::Score).chain(of(Chart::Bound))
}

/// One row for each seed that is trained to the end, then the mean with its interval.
#[component]
pub fn Results(
    /// The training.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let results = Memo::new(move |_| session.with(Session::results));
    let head = move || {
        let of_bound = |line| view! { <th scope="col">{t!("training.bound_of", line = name(line))}</th> };
        let scores = Chart::Score.lines().iter().map(|line| view! { <th scope="col">{name(*line)}</th> });
        (scores.collect_view(), Chart::Bound.lines().iter().copied().map(of_bound).collect_view())
    };
    let rows = move || {
        let row = |(seed, point)| {
            let text = |value: Option<f64>| value.map_or_else(|| NOTHING.to_owned(), |value| format!("{value:.3}"));
            let cells = columns().map(|(chart, line)| view! { <td>{text(chart.value(line, &point))}</td> });
            view! {
                <tr data-testid="training-result">
                    <th scope="row">{t!("training.seed", seed = seed)}</th>
                    {cells.collect_view()}
                </tr>
            }
        };
        results.get().into_iter().map(row).collect_view()
    };
    let mean = move |(chart, line): (Chart, Line)| {
        let value = |(_, point): &(u64, Point)| chart.value(line, point);
        let values: Vec<f64> = results.with(|results| results.iter().filter_map(value).collect());
        let Some(interval) = mean_interval(&values) else { return NOTHING.to_owned() };
        let [mean, lo, hi] = [interval.value, interval.lo, interval.hi].map(|value| format!("{value:.3}"));
        t!("training.mean_interval", mean = mean, lo = lo, hi = hi)
    };
    let means = move || columns().map(|column| view! { <td>{mean(column)}</td> }).collect_view();
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
