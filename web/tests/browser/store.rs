//! Loading a model: from an address, from the store, and what can be wrong with it.

use std::cell::RefCell;

use js_sys::{ArrayBuffer, Uint8Array};
use shared::infer::XrayClassifier;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;
use web::browser::blob_url;
use web::worker::protocol::Origin;
use web::worker::store::{STORE, load};
use web::worker::{Failure, FailureKind};
use web_sys::{Cache, Response};

use crate::model::{Model, model, model_without_head};

/// The address of a card whose weights lie at an address of their own.
fn publish(mut model: Model) -> String {
    model.card.weights.file = url_of(&model.weights);
    url_of(&model.card_json())
}

fn url_of(bytes: &[u8]) -> String {
    let buffer: ArrayBuffer = Uint8Array::from(bytes).buffer();
    blob_url(&buffer, "application/octet-stream").expect("an address")
}

async fn loaded(url: &str) -> Result<(XrayClassifier, Origin), Failure> {
    load(url, |_, _| ()).await
}

async fn failure(url: &str) -> Failure {
    match loaded(url).await {
        Ok(_) => panic!("{url} was loaded"),
        Err(failure) => failure,
    }
}

#[wasm_bindgen_test]
async fn a_model_comes_with_progress_in_bytes() {
    let model = model();
    let total = model.weights.len() as u64;
    let steps = RefCell::new(Vec::new());
    let (classifier, origin): (XrayClassifier, _) =
        load(&publish(model), |received, total| steps.borrow_mut().push((received, total))).await.expect("loads");
    assert_eq!(classifier.card().name, "small");
    assert_eq!(origin, Origin::FetchedOnly, "the store takes no blobs");
    let steps = steps.into_inner();
    assert_eq!((steps.first(), steps.last()), (Some(&(0, total)), Some(&(total, total))));
    assert!(steps.is_sorted());
}

#[wasm_bindgen_test]
async fn weights_of_another_hash_are_refused() {
    let mut model = model();
    let last = model.weights.len() - 1;
    model.weights[last] ^= 1;
    let failure = failure(&publish(model)).await;
    assert_eq!(failure.kind, FailureKind::Model);
    assert!(failure.message.contains("sha256"), "{failure}");
}

#[wasm_bindgen_test]
async fn a_missing_tensor_is_named() {
    let failure = failure(&publish(model_without_head())).await;
    assert_eq!(failure.kind, FailureKind::Model);
    assert!(failure.message.contains("`fc.weight`") && failure.message.contains("do not fit"), "{failure}");
}

#[wasm_bindgen_test]
async fn more_bytes_than_the_card_says_are_refused_early() {
    let mut model = model();
    model.card.weights.bytes -= 1;
    let failure = failure(&publish(model)).await;
    assert!(failure.message.contains("longer than"), "{failure}");
}

#[wasm_bindgen_test]
async fn a_page_in_place_of_a_card_is_no_card() {
    let failure = failure(&url_of(b"<!doctype html>")).await;
    assert_eq!(failure.kind, FailureKind::Model);
    assert!(failure.message.contains("not a valid model card"), "{failure}");
}

#[wasm_bindgen_test]
async fn a_lost_network_is_the_networks_fault() {
    let failure = failure(&at_home("nowhere/model.json")).await;
    assert_eq!(failure.kind, FailureKind::Network);
    assert!(failure.message.starts_with("model.json: could not be fetched"), "{failure}");
}

#[wasm_bindgen_test]
async fn a_kept_model_needs_no_network() {
    let model = model();
    let card_url = at_home("kept/model.json");
    keep(&card_url, &model.card_json()).await;
    let key = format!("{}?sha256={}", at_home("kept/model.safetensors"), model.card.weights.sha256);
    keep(&key, &model.weights).await;
    let (_, origin) = loaded(&card_url).await.expect("loads from the store");
    assert_eq!(origin, Origin::Kept);

    keep(&key, &model.weights[..100]).await;
    let failure = failure(&card_url).await;
    assert_eq!(failure.kind, FailureKind::Network, "a damaged copy is not used but fetched again: {failure}");
}

/// An address on the tests' own server, where nothing lies.
fn at_home(path: &str) -> String {
    let origin = web_sys::window().expect("a window").location().origin().expect("an origin");
    format!("{origin}/{path}")
}

async fn keep(key: &str, bytes: &[u8]) {
    let caches = web_sys::window().expect("a window").caches().expect("a store");
    let store: Cache = JsFuture::from(caches.open(STORE)).await.expect("opens").into();
    let response = Response::new_with_opt_js_u8_array(Some(&Uint8Array::from(bytes))).expect("a response");
    let kept: Result<JsValue, JsValue> = JsFuture::from(store.put_with_str(key, &response)).await;
    kept.expect("kept");
}
