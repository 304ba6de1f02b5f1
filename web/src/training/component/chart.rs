//! A chart of curves.

use leptos::prelude::*;

use super::super::Desk;
use super::super::curves::{Chart, Drawing, HEIGHT, Line, WIDTH};
use crate::language::t;

/// Room for the numbers at the left, and below; above and at the right for half of a line.
const LEFT: f64 = 34.0;
const BELOW: f64 = 20.0;
const MARGIN: f64 = 6.0;

/// One chart with its key: each seed faintly, their mean strongly. The table of results says it in numbers.
#[component]
pub fn ChartView(
    /// The training.
    desk: Desk,
    /// Which chart.
    chart: Chart,
) -> impl IntoView {
    let session = desk.session();
    let drawing = Memo::new(move |_| session.with(|session| Drawing::new(chart, session)));
    let title = move || match chart {
        Chart::Score => t!("training.chart_score"),
        Chart::Loss => t!("training.chart_loss"),
        Chart::Bound => t!("training.chart_bound"),
    };
    let box_of_view = format!("{} {} {} {}", -LEFT, -MARGIN, LEFT + WIDTH + MARGIN, MARGIN + HEIGHT + BELOW);
    let marks = move || {
        let mark = |(y, text): (f64, String)| {
            view! {
                <line class="grid" x1="0" x2=WIDTH.to_string() y1=y.to_string() y2=y.to_string() />
                <text x="-4" y=(y + 3.5).to_string() text-anchor="end">{text}</text>
            }
        };
        drawing.get().marks.into_iter().map(mark).collect_view()
    };
    let seeds = move || {
        let path = |(line, data): (Line, String)| view! { <path class=format!("seed line-{}", line.class()) d=data /> };
        drawing.get().seeds.into_iter().map(path).collect_view()
    };
    let means = move || {
        let path = |(line, data): (Line, String)| view! { <path class=format!("mean line-{}", line.class()) d=data /> };
        drawing.get().means.into_iter().map(path).collect_view()
    };
    view! {
        <figure class="training-chart" data-testid="training-chart">
            <figcaption>{title}</figcaption>
            <svg viewBox=box_of_view role="img" aria-label=move || t!("training.chart_label", title = title())>
                {marks}
                <text x="0" y=(HEIGHT + 14.0).to_string()>"0"</text>
                <text x=WIDTH.to_string() y=(HEIGHT + 14.0).to_string() text-anchor="end">
                    {move || t!("training.axis_steps", n = drawing.get().last_step)}
                </text>
                {seeds}
                {means}
            </svg>
            <ul class="training-key">
                {chart.lines().iter().map(|line| view! { <li><KeyLine line=*line /></li> }).collect_view()}
            </ul>
        </figure>
    }
}

/// A line's stroke and name.
#[component]
fn KeyLine(
    /// The line.
    line: Line,
) -> impl IntoView {
    view! {
        <svg viewBox="0 0 28 8" aria-hidden="true"><path class=format!("mean line-{}", line.class()) d="M0 4L28 4" /></svg>
        " "
        {move || name(line)}
    }
}

/// A line's name.
pub(super) fn name(line: Line) -> String {
    match line {
        Line::Joint => t!("training.line_joint"),
        Line::JointDropped => t!("training.line_joint_dropped"),
        Line::Twin => t!("training.line_twin"),
        Line::Cmim => t!("training.line_cmim"),
        Line::CmimBoth => t!("training.line_cmim_both"),
        Line::BoundTrained => t!("training.line_bound_trained"),
        Line::BoundOthers => t!("training.line_bound_others"),
    }
}
