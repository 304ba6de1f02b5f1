//! Whether the image is what the model was made for, said before its answer.

use leptos::prelude::*;
use shared::infer::Reason;

use crate::language::t;
use crate::xray::answer::reason_words;
use crate::xray::desk::Desk;
use crate::xray::item::Item;

/// A line where the check passes; a warning with its reasons where it does not.
#[component]
pub fn InputCheck(
    /// Holds the session, and shows the answer when asked to.
    desk: Desk,
) -> impl IntoView {
    let session = desk.session();
    let reasons = Memo::new(move |_| {
        session.with(|session| {
            let answer = session.selected_item()?.answer.as_ref()?;
            answer.checked.as_ref().map(|checked| checked.reasons.clone())
        })
    });
    let is_withheld =
        Memo::new(move |_| session.with(|session| session.selected_item().is_some_and(Item::is_withheld)));
    let measured = move || {
        session.with(|session| {
            let (card, _) = session.card()?;
            let tests = card.input_check.as_ref()?.measured.first().cloned()?;
            Some(t!("xray.check_measured", refused = tests.refused, n = tests.n))
        })
    };
    view! {
        {move || match reasons.get() {
            None => ().into_any(),
            Some(reasons) if reasons.is_empty() => view! {
                <p class="check" data-testid="input-check" data-state="passed" title=measured>
                    <span aria-hidden="true">"✓ "</span>
                    {t!("xray.check_passed")}
                </p>
            }.into_any(),
            Some(reasons) => view! {
                <div class="check check-failed" role="alert" data-testid="input-check" data-state="failed">
                    <p><strong>{t!("xray.check_failed")}</strong></p>
                    <ul>{reasons.iter().map(|reason: &Reason| view! { <li>{reason_words(reason)}</li> }).collect_view()}</ul>
                    <p>{t!("xray.check_meaning")}</p>
                    <p class="hint">{measured}</p>
                    <Show when=move || is_withheld.get()>
                        <button
                            type="button"
                            class="button"
                            data-testid="show-anyway"
                            on:click=move |_| desk.show_anyway()
                        >
                            {move || t!("xray.show_anyway")}
                        </button>
                    </Show>
                </div>
            }.into_any(),
        }}
    }
}
