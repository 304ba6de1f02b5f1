//! The few calls to the browser that page and worker need, with errors in words.

use js_sys::{Array, ArrayBuffer, Reflect, Uint8Array, WebAssembly};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, RequestCache, RequestInit, Response, Url};

/// What a JavaScript error says of itself.
pub fn describe(error: &JsValue) -> String {
    Reflect::get(error, &"message".into())
        .ok()
        .and_then(|message| message.as_string())
        .unwrap_or_else(|| format!("{error:?}"))
}

/// A program of WebAssembly with one function, `() -> v128`, which returns the `f32x4.relaxed_madd` of three vectors.
const RELAXED_MADD: [u8; 40] = [
    0, 97, 115, 109, 1, 0, 0, 0, // the magic number and version 1
    1, 5, 1, 96, 0, 1, 123, // types: one, without parameters, a vector as its result
    3, 2, 1, 0, // functions: one, of that type
    10, 19, 1, 17, 0, // code: of one function, 17 bytes, without variables
    65, 0, 253, 15, // i32.const 0, i8x16.splat
    65, 0, 253, 15, //
    65, 0, 253, 15, //
    253, 133, 2, 11, // f32x4.relaxed_madd, end
];

/// Whether this browser has WebAssembly's relaxed-simd.
pub fn has_relaxed_simd() -> bool {
    WebAssembly::validate(&Uint8Array::from(&RELAXED_MADD[..])).unwrap_or(false)
}

/// Fetches a file of this page's own, named relative to the page.
///
/// # Errors
///
/// A sentence that names the file.
pub async fn fetch(file: &str) -> Result<Response, String> {
    let failed = |reason: String| format!("{file} could not be fetched: {reason}");
    let options = RequestInit::new();
    // The name stays while the content changes: ask whether the copy at hand is still the current one.
    options.set_cache(RequestCache::NoCache);
    let window = web_sys::window().ok_or_else(|| failed("there is no window".to_owned()))?;
    let response = JsFuture::from(window.fetch_with_str_and_init(file, &options))
        .await
        .map_err(|error| failed(describe(&error)))?;
    let response: Response = response.unchecked_into();
    if response.ok() { Ok(response) } else { Err(failed(format!("the server says {}", response.status()))) }
}

/// The body of an answer.
///
/// # Errors
///
/// A sentence if the connection breaks.
pub async fn bytes_of(response: &Response) -> Result<ArrayBuffer, String> {
    let promise = response.array_buffer().map_err(|error| describe(&error))?;
    Ok(JsFuture::from(promise).await.map_err(|error| describe(&error))?.unchecked_into())
}

/// The body of an answer, as text.
///
/// # Errors
///
/// A sentence if the connection breaks.
pub async fn text_of(response: &Response) -> Result<String, String> {
    let promise = response.text().map_err(|error| describe(&error))?;
    let text = JsFuture::from(promise).await.map_err(|error| describe(&error))?;
    text.as_string().ok_or_else(|| "the answer is no text".to_owned())
}

/// Content of a file that a person chose.
///
/// # Errors
///
/// A sentence that names the file, if it is too large, is a folder or cannot be read.
pub async fn read(file: &Blob, name: &str) -> Result<ArrayBuffer, String> {
    /// More than any x-ray has; beyond it a 32-bit program has no room to decode.
    const MAX_MEGABYTES: f64 = 512.0;
    let megabytes = file.size() / 1e6;
    if megabytes > MAX_MEGABYTES {
        return Err(format!("{name}: {megabytes:.0} MB are more than the {MAX_MEGABYTES:.0} MB this page reads."));
    }
    let content = JsFuture::from(file.array_buffer()).await;
    content
        .map(JsValue::unchecked_into)
        .map_err(|error| format!("{name}: the browser could not read it ({}). Is it a folder?", describe(&error)))
}

/// Has the person's browser save content, a text or bytes, as a file of this name.
///
/// # Errors
///
/// A sentence if the browser refuses.
pub fn save(name: &str, mime: &str, content: &JsValue) -> Result<(), String> {
    let url = blob_url(content, mime).and_then(|url| save_url(name, &url));
    url.map_err(|error| format!("{name} could not be saved: {}", describe(&error)))
}

/// Has the browser save what an address of the page's own memory holds, and gives that memory back.
///
/// # Errors
///
/// The browser's own error.
pub fn save_url(name: &str, url: &str) -> Result<(), JsValue> {
    let window = web_sys::window().ok_or(JsValue::UNDEFINED)?;
    let document = window.document().ok_or(JsValue::UNDEFINED)?;
    let link: HtmlAnchorElement = document.create_element("a")?.unchecked_into();
    link.set_href(url);
    link.set_download(name);
    link.click();
    // The browser has taken the content by the time another task runs.
    let url = url.to_owned();
    let give_back = Closure::once_into_js(move || Url::revoke_object_url(&url));
    window.set_timeout_with_callback_and_timeout_and_arguments_0(give_back.unchecked_ref(), 10_000).map(drop)
}

/// Address of a shipped model's card, relative to the page.
pub fn card_path(model: &str) -> String {
    format!("models/{model}/model.json")
}

/// The same, absolute: a worker has no address of its own to complete a relative one with.
///
/// # Errors
///
/// The browser's own words, if the page's address is none that can be completed.
pub fn card_url(model: &str) -> Result<String, String> {
    let document = web_sys::window().and_then(|window| window.document()).ok_or("there is no document")?;
    let base = document.base_uri().map_err(|error| describe(&error))?.unwrap_or_default();
    Url::new_with_base(&card_path(model), &base).map(|url| url.href()).map_err(|error| describe(&error))
}

/// An address under which the page itself can use this text or these bytes, without a request.
///
/// # Errors
///
/// The browser's own error.
pub fn blob_url(content: &JsValue, mime: &str) -> Result<String, JsValue> {
    let options = BlobPropertyBag::new();
    options.set_type(mime);
    Url::create_object_url_with_blob(&Blob::new_with_buffer_source_sequence_and_options(
        &Array::of1(content),
        &options,
    )?)
}
