//! Whether the method helps, over several seeds, as it was measured.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::language::t;
use crate::lesson::results::{DiceTable, Difference, Results};

/// CMIM minus the U-Net of its sequence alone, with intervals over seeds.
#[component]
pub fn Verdict() -> impl IntoView {
    let table = RwSignal::new(None::<Result<DiceTable, String>>);
    spawn_local(async move {
        let read = DiceTable::fetch().await;
        // The page may have been left in the meantime.
        let _ = table.try_set(Some(read));
    });
    view! {
        <section class="verdict" data-testid="verdict" aria-labelledby="verdict-title">
            <h2 id="verdict-title">{move || t!("lesson.verdict_title")}</h2>
            {move || match table.get() {
                None => view! { <p>{t!("lesson.pending")}</p> }.into_any(),
                Some(Err(message)) => view! { <p class="error" role="alert">{message}</p> }.into_any(),
                Some(Ok(table)) => rows(&table).into_any(),
            }}
        </section>
    }
}

fn rows(table: &DiceTable) -> impl IntoView + use<> {
    let (seeds, n) = table.n().unwrap_or_default();
    let names = [("flair", "FLAIR"), ("t1", "T1"), ("t1c", "T1c"), ("t2", "T2")];
    let mean = table.cmim_minus_unet("mean").map(|difference| (t!("lesson.verdict_mean"), difference));
    let each = names
        .into_iter()
        .filter_map(|(name, label)| Some((label.to_owned(), table.cmim_minus_unet(name)?)))
        .chain(mean.clone());
    let conclusion = match mean {
        Some((_, mean)) if mean.exceeds_spread() => t!("lesson.verdict_yes", difference = points(mean)),
        Some((_, mean)) => t!("lesson.verdict_no", difference = points(mean)),
        None => String::new(),
    };
    view! {
        <p>{t!("lesson.verdict_about", seeds = seeds, n = n)}</p>
        <dl class="card">
            {each.map(|(label, difference)| view! { <div><dt>{label}</dt><dd>{points(difference)}</dd></div> }).collect_view()}
        </dl>
        <p><strong>{conclusion}</strong></p>
        <p class="hint"><code>{table.command.clone()}</code></p>
    }
}

/// In points of Dice: `+0.6 (−0.6 to 1.8)`.
fn points(Difference { value, lo, hi }: Difference) -> String {
    let [value, lo, hi] = [value, lo, hi].map(|part| 100.0 * part);
    t!("lesson.points", value = format!("{value:+.1}"), lo = format!("{lo:.1}"), hi = format!("{hi:.1}"))
}
