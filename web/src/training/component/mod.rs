//! The panel "Train it here".

pub mod chart;
pub mod controls;
pub mod table;

use leptos::prelude::*;

use super::Desk;
use super::csv::csv;
use super::curves::Chart;
use super::session::{Session, State};
use super::setting::Setting;
use super::verdict::Verdict;
use crate::address::Navigator;
use crate::browser::save;
use crate::language::t;
use chart::ChartView;
use controls::Controls;
use table::Results;

/// Name of the setting in the page's address.
const ADDRESS: &str = "train";

/// Trains three small models in the browser, and shows what each of them has when the report is dropped.
///
/// With a desk that outlives the panel a training goes on while the person looks at something else; without one it ends
/// with the panel. With a navigator the setting is part of the address.
#[component]
pub fn TrainingPanel(
    /// The training to show.
    #[prop(optional)]
    desk: Option<Desk>,
    /// Where the setting is read and kept.
    #[prop(optional)]
    navigator: Option<Navigator>,
) -> impl IntoView {
    let is_own = desk.is_none();
    let desk = desk.unwrap_or_else(|| Desk::new(Setting::default()));
    if let Some(navigator) = navigator {
        if let Some(text) = navigator.value(ADDRESS).get_untracked() {
            desk.choose(Setting::parse(&text));
        }
        Effect::new(move |_| {
            let chosen = desk.session().with(|session| session.chosen);
            let text = (chosen != Setting::default()).then(|| chosen.to_text());
            navigator.set(ADDRESS, text.as_deref());
        });
    }
    desk.prepare();
    on_cleanup(move || {
        if is_own {
            desk.reset();
        }
    });
    view! {
        <section class="training" data-testid="training" aria-labelledby="training-title">
            <h2 id="training-title">{move || t!("training.title")}</h2>
            <p>{move || t!("training.introduction")}</p>
            <Controls desk />
            <Status desk />
            <Measured desk />
        </section>
    }
}

/// What is done, in words. A screen reader hears it when it changes, not the numbers between.
#[component]
fn Status(
    /// The training.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let state = Memo::new(move |_| session.with(|session| session.state.clone()));
    let n_finished = Memo::new(move |_| session.with(Session::n_finished));
    let n_seeds = Memo::new(move |_| session.with(|session| session.trained.map_or(0, Setting::seeds)));
    let text = move || match state.get() {
        State::Idle => t!("training.status_idle"),
        State::Starting => t!("training.status_starting"),
        State::Running => t!("training.status_running", done = n_finished.get(), all = n_seeds.get()),
        State::Paused => t!("training.status_paused", done = n_finished.get(), all = n_seeds.get()),
        State::Finished => t!("training.status_finished", all = n_seeds.get()),
        State::Failed(message) if message.is_empty() => t!("training.status_out_of_memory"),
        State::Failed(message) => t!("training.status_failed", message = message),
    };
    let name = move || match state.get() {
        State::Idle => "idle",
        State::Starting => "starting",
        State::Running => "running",
        State::Paused => "paused",
        State::Finished => "finished",
        State::Failed(_) => "failed",
    };
    let progress = move || session.with(Session::progress);
    view! {
        <p class="training-status" role="status" data-testid="training-status" data-state=name>{text}</p>
        <Show when=move || session.with(Session::is_active)>
            <progress
                aria-label=move || t!("training.progress")
                value=move || progress().0.to_string()
                max=move || progress().1.max(1).to_string()
            ></progress>
        </Show>
        <Show when=move || session.with(Session::is_outdated)>
            <p class="note" data-testid="training-outdated">{move || t!("training.outdated")}</p>
        </Show>
    }
}

/// Verdicts, curves and table, once there are any.
#[component]
fn Measured(
    /// The training.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let has_begun = Memo::new(move |_| session.with(|session| session.runs.values().any(|run| !run.points.is_empty())));
    let refused = RwSignal::new(None);
    let save_csv = move |_| {
        refused
            .set(session.with_untracked(|session| save("cmim-training.csv", "text/csv", &csv(session).into())).err());
    };
    view! {
        <Show when=move || has_begun.get()>
            <Verdicts desk />
            <div class="training-charts">
                <ChartView desk chart=Chart::Score />
                <ChartView desk chart=Chart::Loss />
                <ChartView desk chart=Chart::Bound />
            </div>
            <Results desk />
            <p>
                <button class="button" type="button" data-testid="training-csv" on:click=save_csv>
                    {move || t!("training.save_csv")}
                </button>
            </p>
            {move || refused.get().map(|message| view! { <p class="error" role="alert">{message}</p> })}
        </Show>
    }
}

/// Plain sentences on the differences that matter.
#[component]
fn Verdicts(
    /// The training.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let verdicts = Memo::new(move |_| {
        session.with(|session| (session.loss_of_joint(), session.twin_over_dropped(), session.gain()))
    });
    let points = |value: f64| format!("{value:+.1}").replace('-', "\u{2212}");
    let sentence = move |about: String, verdict: Verdict| {
        let Some((interval, n)) = verdict.interval() else { return t!("training.verdict_too_few", about = about) };
        let [value, lo, hi] = [interval.value, interval.lo, interval.hi].map(points);
        if matches!(verdict, Verdict::Beyond(..)) {
            t!("training.verdict_beyond", about = about, value = value, lo = lo, hi = hi, n = n)
        } else {
            t!("training.verdict_within", about = about, value = value, lo = lo, hi = hi, n = n)
        }
    };
    view! {
        <ul class="training-verdicts" data-testid="training-verdicts">
            <li data-testid="verdict-joint">{move || sentence(t!("training.about_joint"), verdicts.get().0)}</li>
            <li data-testid="verdict-twin">{move || sentence(t!("training.about_twin"), verdicts.get().1)}</li>
            <li data-testid="verdict-gain">{move || sentence(t!("training.about_gain"), verdicts.get().2)}</li>
        </ul>
        <p class="hint">{move || t!("training.interval_note")}</p>
    }
}
