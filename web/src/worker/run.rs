//! The worker's own loop.

use std::cell::RefCell;
use std::panic;
use std::rc::Rc;

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

use crate::worker::fetch;
use crate::worker::protocol::{Request, Response, decode, encode};
use crate::worker::reader::Reader;

/// Listens to the page until the page ends the worker.
///
/// A panic is posted to the page as [`Response::Crashed`]; memory that cannot be had ends the worker without a word,
/// which is how the page tells the two apart.
pub fn start() {
    panic::set_hook(Box::new(|info| {
        post(&Response::Crashed { message: info.to_string() }, None);
        console_error_panic_hook::hook(info);
    }));
    let reader = Rc::new(RefCell::new(Reader::new(now_ms)));
    let listen = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        receive(&reader, &event.data());
    });
    scope().set_onmessage(Some(listen.as_ref().unchecked_ref()));
    listen.forget(); // it lives as long as the worker
}

fn receive(reader: &Rc<RefCell<Reader>>, data: &JsValue) {
    match decode::<Request>(data) {
        Ok((Request::Read { id, file }, bytes)) => {
            let bytes = bytes.map_or_else(Vec::new, |bytes| bytes.to_vec());
            reader.borrow_mut().read(id, &file, bytes, &mut |response, pixels| post(&response, pixels.as_deref()));
        }
        Ok((Request::Load { card_url }, _)) => {
            let reader = Rc::clone(reader);
            spawn_local(async move { load(&reader, &card_url).await });
        }
        Err(error) => post(&Response::Crashed { message: error.to_string() }, None),
    }
}

async fn load(reader: &RefCell<Reader>, card_url: &str) {
    let progress = |received, total| post(&Response::Progress { received, total }, None);
    match fetch::load(card_url, progress).await {
        Ok((model, origin)) => {
            post(&Response::Ready { card: Box::new(model.card().clone()), origin }, None);
            reader.borrow_mut().set_model(model, &mut |response, pixels| post(&response, pixels.as_deref()));
        }
        Err(failure) => post(&Response::LoadFailed(failure), None),
    }
}

fn post(response: &Response, bytes: Option<&[u8]>) {
    let buffer: Option<ArrayBuffer> = bytes.map(|bytes| Uint8Array::from(bytes).buffer());
    match encode(response, buffer) {
        Ok(message) => {
            if let Err(error) = scope().post_message_with_transfer(&message.data, &message.transfer) {
                wasm_bindgen::throw_val(error);
            }
        }
        Err(error) => wasm_bindgen::throw_str(&error.to_string()),
    }
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

fn now_ms() -> f64 {
    scope().performance().map_or(0.0, |clock| clock.now())
}
