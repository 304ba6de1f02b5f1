//! The page's end of the wire: starts the worker, sends to it, hears from it, and starts it again when it dies.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;

use js_sys::{ArrayBuffer, WebAssembly};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{ErrorEvent, MessageEvent, Worker};

use crate::browser::{blob_url, bytes_of, describe, fetch, has_relaxed_simd, text_of};
use crate::requests;
use crate::worker::message::{Said, decode, encode, take};

/// The first message brings the compiled module; starting it puts the program's own listener in place.
const BOOT: &str = "\nself.onmessage = (event) => { wasm_bindgen.initSync({ module: event.data }); };\n";

/// What the page hears.
pub enum Event<R> {
    /// An answer, and the bytes that came with it.
    Response(R, Vec<Vec<u8>>),
    /// The worker died. A new one has been started without a model.
    Died {
        /// The defect it reported, or nothing when it ran out of memory.
        defect: Option<String>,
    },
}

/// A worker's program, fetched once.
///
/// Every start uses this copy, so that a restart makes no request; and because the copy is a blob of the page's own,
/// the page's content security policy binds the worker too.
pub struct Program {
    script_url: String,
    module: WebAssembly::Module,
}

thread_local! {
    /// The programs that are here already, by name.
    static PROGRAMS: RefCell<BTreeMap<&'static str, Rc<Program>>> = const { RefCell::new(BTreeMap::new()) };
}

impl Program {
    /// The program of this name: fetched by the first who asks, in the fastest build for this browser that was built
    /// with the page.
    ///
    /// Trunk builds `NAME.js` and `NAME_bg.wasm` for simd128, which every browser of today has; `cargo xtask` adds
    /// `NAME-relaxed` for relaxed-simd, whose multiply-add is faster.
    ///
    /// # Errors
    ///
    /// A sentence for the person at the screen if none can be fetched, or is none this browser can run.
    pub async fn fetch(name: &'static str) -> Result<Rc<Self>, String> {
        if let Some(program) = Self::kept(name) {
            return Ok(program);
        }
        if has_relaxed_simd() {
            // A page that was built by Trunk alone lacks it.
            if let Ok(program) = Self::fetch_build(&format!("{name}-relaxed")).await {
                return Ok(Self::keep(name, program));
            }
        }
        Self::fetch_simd(name).await
    }

    /// The program of this name that is built for simd128 alone: fetched by the first who asks.
    ///
    /// # Errors
    ///
    /// As [`Self::fetch`].
    pub async fn fetch_simd(name: &'static str) -> Result<Rc<Self>, String> {
        if let Some(program) = Self::kept(name) {
            return Ok(program);
        }
        Ok(Self::keep(name, Self::fetch_build(name).await?))
    }

    fn kept(name: &str) -> Option<Rc<Self>> {
        PROGRAMS.with_borrow(|programs| programs.get(name).cloned())
    }

    fn keep(name: &'static str, program: Self) -> Rc<Self> {
        let program = Rc::new(program);
        PROGRAMS.with_borrow_mut(|programs| programs.insert(name, Rc::clone(&program)));
        program
    }

    async fn fetch_build(name: &str) -> Result<Self, String> {
        let module = bytes_of(&fetch(&format!("{name}_bg.wasm")).await?).await?;
        let script = text_of(&fetch(&format!("{name}.js")).await?).await?;
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

/// A running worker that takes requests `Q` and says responses `R`. It ends when the last handle is dropped.
pub struct Client<Q, R> {
    program: Rc<Program>,
    worker: RefCell<Worker>,
    defect: Cell<Option<String>>,
    on_event: Box<dyn Fn(Event<R>)>,
    listeners: RefCell<Option<Listeners>>,
    requests: PhantomData<fn(Q)>,
}

struct Listeners {
    message: Closure<dyn FnMut(MessageEvent)>,
    error: Closure<dyn FnMut(ErrorEvent)>,
}

impl<Q: Serialize + 'static, R: DeserializeOwned + 'static> Client<Q, R> {
    /// Starts a worker.
    ///
    /// # Errors
    ///
    /// A sentence if the browser refuses.
    pub fn start(program: Rc<Program>, on_event: impl Fn(Event<R>) + 'static) -> Result<Rc<Self>, String> {
        let worker = Worker::new(&program.script_url).map_err(|error| describe(&error))?;
        let client = Rc::new(Self {
            program,
            worker: RefCell::new(worker),
            defect: Cell::new(None),
            on_event: Box::new(on_event),
            listeners: RefCell::new(None),
            requests: PhantomData,
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
    pub fn send(&self, request: &Q, bytes: &[ArrayBuffer]) -> Result<(), String> {
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
        match decode::<Said<R>>(data) {
            Ok((Said::Crashed { message }, _)) => self.defect.set(Some(message)),
            Ok((Said::Requested(address), _)) => requests::note(address),
            Ok((Said::Response(response), bytes)) => {
                (self.on_event)(Event::Response(response, take(&bytes)));
            }
            Err(error) => (self.on_event)(Event::Died { defect: Some(error.to_string()) }),
        }
    }

    /// Ends what the worker does and gives its memory back; a new one starts, without a model.
    ///
    /// # Errors
    ///
    /// A sentence if the browser refuses.
    pub fn stop(&self) -> Result<(), String> {
        self.worker.borrow().terminate();
        *self.worker.borrow_mut() = Worker::new(&self.program.script_url).map_err(|error| describe(&error))?;
        self.boot().map_err(|error| describe(&error))
    }

    fn restart(&self) {
        let defect = self.stop().err();
        (self.on_event)(Event::Died { defect: self.defect.take().or(defect) });
    }
}

impl<Q, R> Drop for Client<Q, R> {
    fn drop(&mut self) {
        self.worker.borrow().terminate();
    }
}
