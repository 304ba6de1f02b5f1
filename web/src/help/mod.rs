//! What a person should know: what the page can do and cannot, what its models learned from, and how to check that nothing
//! leaves.

use leptos::prelude::*;

use crate::language::t;

/// The help page.
#[component]
pub fn HelpPage() -> impl IntoView {
    view! {
        <article class="help" data-testid="help">
            <Section id="help-start" title=Signal::derive(|| t!("help.start"))>
                <p>{move || t!("help.start_xray")}</p>
                <p>{move || t!("help.start_mri")}</p>
                <p>{move || t!("help.start_lesson")}</p>
            </Section>
            <Section id="help-limits" title=Signal::derive(|| t!("help.limits"))>
                <ul>
                    <li>{move || t!("help.limits_device")}</li>
                    <li>{move || t!("help.limits_xray")}</li>
                    <li>{move || t!("help.limits_mri")}</li>
                    <li>{move || t!("help.limits_gain")}</li>
                    <li>{move || t!("help.limits_maps")}</li>
                </ul>
            </Section>
            <Section id="help-privacy" title=Signal::derive(|| t!("help.privacy"))>
                <p>{move || t!("help.privacy_promise")}</p>
                <ol>
                    <li>{move || t!("help.privacy_counter")}</li>
                    <li>{move || t!("help.privacy_policy")}</li>
                    <li>{move || t!("help.privacy_unplug")}</li>
                </ol>
            </Section>
            <Section id="help-own" title=Signal::derive(|| t!("help.own"))>
                <p>{move || t!("help.own_how")}</p>
                // Wider than a phone: it is moved by itself, with the keyboard too.
                <pre tabindex="0"><code>"cmim export --model runs/mine --out mine --encoding f16"</code></pre>
            </Section>
            <Section id="help-keys" title=Signal::derive(|| t!("help.keys"))>
                <dl class="keys">
                    <KeyRow keys="Tab, Enter, Space" meaning=Signal::derive(|| t!("help.keys_tab")) />
                    <KeyRow keys="← → ↑ ↓" meaning=Signal::derive(|| t!("help.keys_arrows")) />
                    <KeyRow keys="PgUp, PgDn" meaning=Signal::derive(|| t!("help.keys_page")) />
                    <KeyRow keys="+ − 0" meaning=Signal::derive(|| t!("help.keys_zoom")) />
                </dl>
            </Section>
            <Section id="help-data" title=Signal::derive(|| t!("help.data"))>
                <ul>
                    <li>{move || t!("help.data_nih")}</li>
                    <li>{move || t!("help.data_openi")}</li>
                    <li>{move || t!("help.data_phantom")}</li>
                    <li>{move || t!("help.data_brats")}</li>
                    <li>{move || t!("help.data_tcga")}</li>
                </ul>
                <p>{move || t!("help.data_licence")}</p>
            </Section>
        </article>
    }
}

/// A part of the help with its heading.
#[component]
fn Section(
    /// Of its heading, which names it.
    id: &'static str,
    /// The heading.
    #[prop(into)]
    title: Signal<String>,
    /// What it says.
    children: Children,
) -> impl IntoView {
    view! {
        <section aria-labelledby=id>
            <h2 id=id>{title}</h2>
            {children()}
        </section>
    }
}

/// Keys and what they do.
#[component]
fn KeyRow(
    /// The keys.
    keys: &'static str,
    /// What they do.
    #[prop(into)]
    meaning: Signal<String>,
) -> impl IntoView {
    view! { <div><dt><kbd>{keys}</kbd></dt><dd>{meaning}</dd></div> }
}
