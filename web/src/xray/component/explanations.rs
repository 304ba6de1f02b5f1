//! What a person must know to read the answer.

use leptos::prelude::*;
use shared::Finding;

use crate::xray::answer::{label, meaning};

/// What scores, thresholds and findings mean.
#[component]
pub fn Explanations() -> impl IntoView {
    view! {
        <details>
            <summary>"What a score means"</summary>
            <p>
                "A score is the model's output for one finding, between 0 and 1. It is not the probability that the \
                 person has the disease: that also depends on who is examined and why. Compare a score with the \
                 threshold of the same finding, not with the score of another one."
            </p>
            <p>
                "The threshold, drawn as a mark on the bar, is the score that separated cases from controls best on \
                 images kept apart for that purpose. A score at or above it is called present."
            </p>
            <p>
                "The AUC tells how well the model orders images: 0.5 is guessing, 1 is perfect. An AUC of 0.8 means that \
                 an image with the finding gets the higher score than one without it in 80 of 100 such pairs. The \
                 range in brackets is the 95% interval; the counts are the test images with the finding, of all test \
                 images. A wide range means that too few were measured to be sure."
            </p>
        </details>
        <details>
            <summary>"What the findings mean"</summary>
            <dl class="glossary">
                {Finding::ALL
                    .into_iter()
                    .map(|finding| view! { <div><dt>{label(finding)}</dt><dd>{meaning(finding)}</dd></div> })
                    .collect_view()}
            </dl>
            <p class="hint">
                "The names are those of the NIH data set ChestX-ray14. Its labels were drawn from written reports by a \
                 program, and some are wrong."
            </p>
        </details>
    }
}
