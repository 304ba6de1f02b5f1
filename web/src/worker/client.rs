//! The page's end of the wire: starts the worker, sends to it, hears from it, and starts it again when it dies.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{ArrayBuffer, WebAssembly};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{ErrorEvent, MessageEvent, Worker};

use crate::browser::{blob_url, bytes_of, describe, fetch, has_relaxed_simd, text_of};
use crate::worker::protocol::{Request, Response, decode, encode};

/// The worker's program as Trunk names it, relative to the page: for simd128, which every browser of today has.
const SIMD128: [&str; 2] = ["worker.js", "worker_bg.wasm"];
/// The same program built for relaxed-simd, whose multiply-add is faster. `cargo xtask` builds it; Trunk alone does not.
const RELAXED_SIMD: [&str; 2] = ["worker-relaxed.js", "worker-relaxed_bg.wasm"];

/// The first message brings the compiled module; starting it puts the program's own listener in place.
const BOOT: &str = "\nself.onmessage = (event) => { wasm_bindgen.initSync({ module: event.data }); };\n";

/// What the page hears.
pub enum Event {
    /// An answer, and the bytes that came with it.
    Response(Response, Option<Vec<u8>>),
    /// The worker died. A new one has been started without a model.
    Died {
        /// The defect it reported, or nothing when it ran out of memory.
        defect: Option<String>,
    },
}

/// The worker's program, fetched once.
///
/// Every start uses this copy, so that a restart makes no request; and because the copy is a blob of the page's own,
/// the page's content security policy binds the worker too.
pub struct Program {
    script_url: String,
    module: WebAssembly::Module,
}

impl Program {
    /// Fetches the fastest program for this browser that was built with the page.
    ///
    /// # Errors
    ///
    /// A sentence for the person at the screen if none can be fetched, or is none this browser can run.
    pub async fn fetch() -> Result<Self, String> {
        if has_relaxed_simd() {
            // A page that was built by Trunk alone lacks it.
            if let Ok(program) = Self::fetch_files(RELAXED_SIMD).await {
                return Ok(program);
            }
        }
        Self::fetch_files(SIMD128).await
    }

    async fn fetch_files([script, module]: [&str; 2]) -> Result<Self, String> {
        let module = bytes_of(&fetch(module).await?).await?;
        let script = text_of(&fetch(script).await?).await?;
        Self::new(&script, &module).await
    }

    /// Compiles a program: `script` defines `wasm_bindgen.initSync`, as wasm-bindgen's `no-modules` target does, and
    /// that function starts `module`.
    ///
    /// # Errors
    ///
    /// A sentence for the person at the screen if this browser cannot run it.
    pub async fn new(script: &str, module: &ArrayBuffer) -> Result<Self, String> {
        let module = JsFuture::from(WebAssembly::compile(module)).await.map_err(|error| {
            format!("This browser cannot run the reader ({}); it needs WebAssembly with SIMD.", describe(&error))
        })?;
        let script = format!("{script}{BOOT}").into();
        let script_url = blob_url(&script, "text/javascript").map_err(|error| describe(&error))?;
        Ok(Self { script_url, module: module.unchecked_into() })
    }
}

/// The running worker.
pub struct Client {
    program: Program,
    worker: RefCell<Worker>,
    defect: Cell<Option<String>>,
    on_event: Box<dyn Fn(Event)>,
    listeners: RefCell<Option<Listeners>>,
}

struct Listeners {
    message: Closure<dyn FnMut(MessageEvent)>,
    error: Closure<dyn FnMut(ErrorEvent)>,
}

impl Client {
    /// Starts the worker.
    ///
    /// # Errors
    ///
    /// A sentence if the browser refuses.
    pub fn start(program: Program, on_event: impl Fn(Event) + 'static) -> Result<Rc<Self>, String> {
        let worker = Worker::new(&program.script_url).map_err(|error| describe(&error))?;
        let client = Rc::new(Self {
            program,
            worker: RefCell::new(worker),
            defect: Cell::new(None),
            on_event: Box::new(on_event),
            listeners: RefCell::new(None),
        });
        client.listen();
        client.boot().map_err(|error| describe(&error))?;
        Ok(client)
    }

    /// Sends a request; the bytes are given away, not copied.
    ///
    /// # Errors
    ///
    /// A sentence if the browser refuses the message.
    pub fn send(&self, request: &Request, bytes: Option<ArrayBuffer>) -> Result<(), String> {
        let message = encode(request, bytes).map_err(|error| error.to_string())?;
        self.worker
            .borrow()
            .post_message_with_transfer(&message.data, &message.transfer)
            .map_err(|error| describe(&error))
    }

    fn listen(self: &Rc<Self>) {
        let client = Rc::downgrade(self);
        let message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(client) = client.upgrade() {
                client.hear(&event.data());
            }
        });
        let client = Rc::downgrade(self);
        let error = Closure::<dyn FnMut(ErrorEvent)>::new(move |event: ErrorEvent| {
            event.prevent_default();
            if let Some(client) = client.upgrade() {
                client.restart();
            }
        });
        *self.listeners.borrow_mut() = Some(Listeners { message, error });
    }

    /// Hands the program to a fresh worker.
    fn boot(&self) -> Result<(), JsValue> {
        let worker = self.worker.borrow();
        if let Some(listeners) = &*self.listeners.borrow() {
            worker.set_onmessage(Some(listeners.message.as_ref().unchecked_ref()));
            worker.set_onerror(Some(listeners.error.as_ref().unchecked_ref()));
        }
        worker.post_message(&self.program.module)
    }

    fn hear(&self, data: &JsValue) {
        match decode::<Response>(data) {
            Ok((Response::Crashed { message }, _)) => self.defect.set(Some(message)),
            Ok((response, bytes)) => (self.on_event)(Event::Response(response, bytes.map(|bytes| bytes.to_vec()))),
            Err(error) => (self.on_event)(Event::Died { defect: Some(error.to_string()) }),
        }
    }

    fn restart(&self) {
        self.worker.borrow().terminate();
        let defect = match Worker::new(&self.program.script_url) {
            Ok(worker) => {
                *self.worker.borrow_mut() = worker;
                self.boot().err().map(|error| describe(&error))
            }
            Err(error) => Some(describe(&error)),
        };
        (self.on_event)(Event::Died { defect: self.defect.take().or(defect) });
    }
}
