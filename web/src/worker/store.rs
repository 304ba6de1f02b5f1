//! From the address of a model card to a model, by way of this browser's store.
//!
//! The card is asked for anew on every visit, and taken from the store when the network is gone. The weights are
//! asked for only when the store has none with the card's sha256. Without a store (some private windows) everything
//! works, but the next visit fetches again.

use js_sys::{Reflect, Uint8Array};
use shared::Error;
use shared::infer::{VolumeSegmenter, XrayClassifier};
use shared::io::card::WeightsFile;
use shared::io::{ModelCard, SegmenterCard};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Cache, CacheStorage, ReadableStreamDefaultReader, Request, RequestCache, RequestInit, Response, Url,
    WorkerGlobalScope,
};

use crate::browser::describe;
use crate::worker::protocol::Origin;
use crate::worker::{Failure, FailureKind};

/// Name of the store; a new layout takes a new name.
pub const STORE: &str = "cmim-models-1";

/// A model that lies on the server as a card and a file of weights beside it.
pub trait Stored: Sized {
    /// What the card says of its weights.
    ///
    /// # Errors
    ///
    /// Those of the card.
    fn weights_file(card_file: &str, card_json: &[u8]) -> Result<WeightsFile, Error>;

    /// The model of both.
    ///
    /// # Errors
    ///
    /// A card, or weights, that are damaged or do not belong together.
    fn from_bytes(card_file: &str, card_json: &[u8], weights: &[u8]) -> Result<Self, Error>;
}

impl Stored for XrayClassifier {
    fn weights_file(card_file: &str, card_json: &[u8]) -> Result<WeightsFile, Error> {
        Ok(ModelCard::from_json(card_file, card_json)?.weights)
    }

    fn from_bytes(card_file: &str, card_json: &[u8], weights: &[u8]) -> Result<Self, Error> {
        Self::from_bytes(card_file, card_json, weights)
    }
}

impl Stored for VolumeSegmenter {
    fn weights_file(card_file: &str, card_json: &[u8]) -> Result<WeightsFile, Error> {
        Ok(SegmenterCard::from_json(card_file, card_json)?.weights)
    }

    fn from_bytes(card_file: &str, card_json: &[u8], weights: &[u8]) -> Result<Self, Error> {
        Self::from_bytes(card_file, card_json, weights)
    }
}

/// A model and the bytes it was made of.
pub struct Loaded<M> {
    /// The model.
    pub model: M,
    /// Its card.
    pub card_json: Vec<u8>,
    /// Its weights.
    pub weights: Vec<u8>,
    /// Where the weights came from.
    pub origin: Origin,
}

/// Fetches card and weights and makes a model of them.
///
/// `progress` is told how many bytes of the weights are there, and how many there will be.
///
/// # Errors
///
/// [`Failure`] in words: no network, or a card and weights that do not belong together or not to this version.
pub async fn load<M: Stored>(card_url: &str, progress: impl Fn(u64, u64)) -> Result<(M, Origin), Failure> {
    load_with_bytes(card_url, progress).await.map(|loaded| (loaded.model, loaded.origin))
}

/// As [`load`], with the bytes, for other workers to take.
///
/// # Errors
///
/// Those of [`load`].
pub async fn load_with_bytes<M: Stored>(card_url: &str, progress: impl Fn(u64, u64)) -> Result<Loaded<M>, Failure> {
    let store = open_store().await;
    let card_json = fetch_card(card_url, store.as_ref()).await?;
    let card_file = file_name(card_url);
    let file = M::weights_file(card_file, &card_json).map_err(|error| misfit(&error))?;
    let weights_url = Url::new_with_base(&file.file, card_url)
        .map_err(|_not_an_address| {
            Failure::new(FailureKind::Model, &format!("{card_file}: `{}` is not a file name", file.file))
        })?
        .href();
    // The hash in the key: weights of another version are never taken for these.
    let key = format!("{weights_url}?sha256={}", file.sha256);

    if let Some(weights) = read_store(store.as_ref(), &key).await {
        match M::from_bytes(card_file, &card_json, &weights) {
            Ok(model) => return Ok(Loaded { model, card_json, weights, origin: Origin::Kept }),
            // The stored copy is damaged: fetch it again.
            Err(Error::WeightsHash { .. }) => {}
            Err(error) => return Err(misfit(&error)),
        }
    }
    let weights = fetch_weights(&weights_url, &file, progress).await?;
    let model = M::from_bytes(card_file, &card_json, &weights).map_err(|error| misfit(&error))?;
    let origin = match keep(store.as_ref(), card_url, &card_json, &key, &weights).await {
        Ok(()) => Origin::FetchedAndKept,
        // No store or no room in it: the model works all the same, and the page says that it was not kept.
        Err(_refused) => Origin::FetchedOnly,
    };
    Ok(Loaded { model, card_json, weights, origin })
}

fn misfit(error: &Error) -> Failure {
    Failure::new(FailureKind::Model, error)
}

fn file_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

async fn fetch_card(url: &str, store: Option<&Cache>) -> Result<Vec<u8>, Failure> {
    let failure = match fetch(url, RequestCache::NoCache).await {
        Ok(response) => match bytes_of(&response).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) => unreachable_file(url, &describe(&error)),
        },
        Err(failure) => failure,
    };
    read_store(store, url).await.ok_or(failure)
}

async fn fetch_weights(url: &str, file: &WeightsFile, progress: impl Fn(u64, u64)) -> Result<Vec<u8>, Failure> {
    let total = file.bytes;
    let broken_off = |error: JsValue| unreachable_file(url, &describe(&error));
    let response = fetch(url, RequestCache::Default).await?;
    let Some(body) = response.body() else {
        return Err(unreachable_file(url, "the answer is empty"));
    };
    let stream: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    progress(0, total);
    loop {
        let step = JsFuture::from(stream.read()).await.map_err(broken_off)?;
        if Reflect::get(&step, &"done".into()).is_ok_and(|done| done.is_truthy()) {
            return Ok(bytes);
        }
        let chunk: Uint8Array = Reflect::get(&step, &"value".into()).and_then(JsValue::dyn_into).map_err(broken_off)?;
        let start = bytes.len();
        bytes.resize(start + chunk.length() as usize, 0);
        chunk.copy_to(&mut bytes[start..]);
        progress(bytes.len() as u64, total);
        if bytes.len() as u64 > total {
            let file = file_name(url);
            return Err(Failure::new(
                FailureKind::Model,
                &format!("{file}: longer than the {total} bytes of the model card: the weights do not belong to it"),
            ));
        }
    }
}

async fn fetch(url: &str, cache: RequestCache) -> Result<Response, Failure> {
    let options = RequestInit::new();
    options.set_cache(cache);
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let response = JsFuture::from(scope.fetch_with_str_and_init(url, &options))
        .await
        .map_err(|error| unreachable_file(url, &describe(&error)))?;
    let response: Response = response.unchecked_into();
    if response.ok() {
        Ok(response)
    } else {
        Err(unreachable_file(url, &format!("the server says {} {}", response.status(), response.status_text())))
    }
}

fn unreachable_file(url: &str, reason: &str) -> Failure {
    Failure::new(FailureKind::Network, &format!("{}: could not be fetched: {}", file_name(url), reason.trim_end()))
}

async fn bytes_of(response: &Response) -> Result<Vec<u8>, JsValue> {
    let buffer = JsFuture::from(response.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// This browser's store, if it has one and lets this page use it.
async fn open_store() -> Option<Cache> {
    let caches = Reflect::get(&js_sys::global(), &"caches".into()).ok()?;
    let caches: CacheStorage = caches.dyn_into().ok()?; // undefined on an insecure origin
    let store = JsFuture::from(caches.open(STORE)).await.ok()?;
    Some(store.unchecked_into())
}

async fn read_store(store: Option<&Cache>, key: &str) -> Option<Vec<u8>> {
    let found = JsFuture::from(store?.match_with_str(key)).await.ok()?;
    bytes_of(found.dyn_ref::<Response>()?).await.ok()
}

/// Keeps card and weights, and drops the weights of other versions.
async fn keep(
    store: Option<&Cache>,
    card_url: &str,
    card_json: &[u8],
    key: &str,
    weights: &[u8],
) -> Result<(), JsValue> {
    let store = store.ok_or(JsValue::UNDEFINED)?;
    let (path, _hash) = key.split_once('?').unwrap_or((key, ""));
    let kept = JsFuture::from(store.keys()).await?;
    for request in js_sys::Array::from(&kept).iter().filter_map(|request| request.dyn_into::<Request>().ok()) {
        let url = request.url();
        if url != key && url.split('?').next() == Some(path) {
            JsFuture::from(store.delete_with_str(&url)).await?;
        }
    }
    for (url, bytes) in [(card_url, card_json), (key, weights)] {
        let response = Response::new_with_opt_js_u8_array(Some(&Uint8Array::from(bytes)))?;
        JsFuture::from(store.put_with_str(url, &response)).await?;
    }
    Ok(())
}
