//! The lesson of the dropped modality.

use leptos::prelude::*;

use super::component::{CaseChoice, HeatMap, Methods, ReportTable, Switches, Tour, Verdict};
use super::desk::Desk;
use crate::address::Navigator;
use crate::language::t;
use crate::training::{self, TrainingPanel};

/// Name of the slice in the address, counted from 1.
const SLICE: &str = "slice";

/// The educator's page: switches, methods side by side, the table of all sets, the tour.
#[component]
pub fn LessonPage(
    /// The lesson.
    desk: Desk,
    /// What is trained at its end.
    training: training::Desk,
    /// Keeps its state in the address.
    navigator: Navigator,
) -> impl IntoView {
    desk.start();
    let session = desk.session();
    let opened = Memo::new(move |_| session.with(|session| session.opened.clone()));
    let n_slices = Memo::new(move |_| opened.get().ok().flatten().map_or(1, |opened| opened.scan.size[2]));
    let of_link = navigator.value(SLICE).get_untracked().and_then(|number| number.parse::<usize>().ok());
    let slice = RwSignal::new(of_link.map_or(0, |number| number.saturating_sub(1)));
    // A link names its slice; without one the lesson begins where the tumour is largest.
    let is_chosen = StoredValue::new(of_link.is_some());
    Effect::new(move |_| {
        let Ok(Some(opened)) = opened.get() else { return };
        if !is_chosen.get_value() {
            slice.set(largest_slice(opened.truth.as_deref(), opened.scan.size));
        }
        is_chosen.set_value(false);
    });
    Effect::new(move |_| navigator.set(SLICE, Some(&(slice.get() + 1).to_string())));
    let failure = desk.failure();
    let error = move || failure.get().or_else(|| opened.get().err());
    let progress = Memo::new(move |_| session.with(|session| session.progress.clone()));
    let shown = Signal::derive(move || slice.get().min(n_slices.get().saturating_sub(1)));
    view! {
        <div class="lesson">
            <Tour desk navigator />
            <section class="lesson-board" aria-labelledby="lesson-title">
                <h2 id="lesson-title">{move || t!("lesson.title")}</h2>
                <CaseChoice desk slice n_slices />
                {move || error().map(|words| view! { <div class="error" role="alert" data-testid="lesson-error">{words}</div> })}
                <Switches desk slice=shown />
                <p class="lesson-progress" role="status">
                    {move || progress.get().map(|(network, received, total)| {
                        let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
                        t!("lesson.fetching", network = network, received = megabytes(received), total = megabytes(total))
                    })}
                </p>
                <Methods desk slice=shown />
                <p class="hint">{move || t!("lesson.legend")}</p>
            </section>
            <section aria-labelledby="table-title">
                <h2 id="table-title">{move || t!("lesson.table_title")}</h2>
                <p>{move || t!("lesson.table_about")}</p>
                <HeatMap desk />
            </section>
            <TrainingPanel desk=training navigator />
            <Verdict />
            <ReportTable navigator />
        </div>
    }
}

/// The slice with most of the true tumour; the middle one where there is none or none is known.
fn largest_slice(truth: Option<&[u8]>, [width, height, depth]: [usize; 3]) -> usize {
    let counts = truth.into_iter().flat_map(|truth| truth.chunks((width * height).max(1)));
    let counts = counts.map(|slice| slice.iter().filter(|label| **label != 0).count()).enumerate();
    match counts.max_by_key(|(slice, count)| (*count, std::cmp::Reverse(*slice))) {
        Some((slice, count)) if count > 0 => slice,
        _ => depth / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_begins_where_the_tumour_is_largest() {
        let truth = [0, 0, 0, 1, 1, 1, 1, 1, 0, 0];
        assert_eq!(largest_slice(Some(&truth), [2, 1, 5]), 2);
        assert_eq!(largest_slice(Some(&[0; 10]), [2, 1, 5]), 2);
        assert_eq!(largest_slice(None, [2, 1, 7]), 3);
    }
}
