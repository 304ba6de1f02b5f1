//! The loop of a worker, and what the program `worker` does in it.

use std::panic;

use js_sys::{ArrayBuffer, Uint8Array};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

use crate::requests;
use crate::worker::message::{Said, decode, encode, take};
use crate::worker::protocol::Request;
use crate::{lesson, mri, xray};

/// Runs the program `worker`.
pub fn start() {
    let xray = xray::worker::Service::new();
    let mri = mri::worker::Service::new();
    let lesson = lesson::worker::Service::default();
    listen(move |request, bytes| match request {
        Request::Xray(request) => xray.receive(request, bytes),
        Request::Mri(request) => mri.receive(request, bytes),
        Request::Lesson(request) => lesson.receive(request, &bytes),
    });
}

/// Listens to the page until the page ends the worker: each request goes to `receive`, with its bytes.
///
/// A panic is posted to the page as [`Said::Crashed`]; memory that cannot be had ends the worker without a word, which is
/// how the page tells the two apart.
pub fn listen<Q: DeserializeOwned>(mut receive: impl FnMut(Q, Vec<Vec<u8>>) + 'static) {
    panic::set_hook(Box::new(|info| {
        post(&Said::<()>::Crashed { message: info.to_string() }, &[]);
        console_error_panic_hook::hook(info);
    }));
    // A browser without such a report: the page's counter leaves this worker out.
    let _ = requests::watch(|address| post(&Said::<()>::Requested(address), &[]));
    let listen = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| match decode::<Q>(&event.data()) {
        Ok((request, bytes)) => receive(request, take(&bytes)),
        Err(error) => post(&Said::<()>::Crashed { message: error.to_string() }, &[]),
    });
    scope().set_onmessage(Some(listen.as_ref().unchecked_ref()));
    listen.forget(); // it lives as long as the worker
}

/// Says something to the page, with bytes that it can look at without another copy.
pub fn say<R: Serialize>(response: &R, bytes: &[&[u8]]) {
    post(&Said::Response(response), bytes);
}

fn post<R: Serialize>(said: &Said<R>, bytes: &[&[u8]]) {
    let buffers: Vec<ArrayBuffer> = bytes.iter().map(|bytes| Uint8Array::from(*bytes).buffer()).collect();
    match encode(said, &buffers) {
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

/// A clock in milliseconds from any start.
pub fn now_ms() -> f64 {
    scope().performance().map_or(0.0, |clock| clock.now())
}
