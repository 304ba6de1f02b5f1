//! The page's end of the wire, against a worker of a few lines that answers and dies on demand.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;
use web::worker::client::{self, Event, Program};
use web::xray::protocol::{Request, Response, Wish};

/// Answers a `Read` with the number of its bytes as progress, and fails at one named `defect` or `memory`.
const SCRIPT: &str = r#"
const wasm_bindgen = { initSync() {
  self.onmessage = ({ data: [head, [buffer]] }) => {
    const { file } = JSON.parse(head).Read;
    if (file === "defect") self.postMessage([JSON.stringify({ Crashed: { message: "index out of range" } }), []]);
    if (file === "defect" || file === "memory") throw new Error("unreachable");
    const bytes = new Uint8Array([9, 8]).buffer;
    self.postMessage([JSON.stringify({ Response: { Progress: { received: buffer.byteLength, total: 10 } } }), [bytes]], [bytes]);
  };
} };
"#;

/// The smallest WebAssembly module.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

type Client = client::Client<Request, Response>;
type Heard = Rc<RefCell<Vec<Event<Response>>>>;

async fn client() -> (Rc<Client>, Heard) {
    let program = Program::new(SCRIPT, &Uint8Array::from(MODULE).buffer()).await.expect("compiles");
    let heard = Heard::default();
    let listener = Rc::clone(&heard);
    let client = Client::start(Rc::new(program), move |event| listener.borrow_mut().push(event)).expect("starts");
    (client, heard)
}

fn read(client: &Client, file: &str) {
    let bytes = Uint8Array::from(&[1, 2, 3][..]).buffer();
    client.send(&Request::Read { id: 1, file: file.to_owned(), wish: Wish::Answer }, &[bytes]).expect("sends");
}

/// The next event; a test that waits in vain is ended by the runner.
async fn next(heard: &Heard) -> Event<Response> {
    loop {
        if !heard.borrow().is_empty() {
            return heard.borrow_mut().remove(0);
        }
        let pause = Promise::new(&mut |resolve, _| {
            let window = web_sys::window().expect("a window");
            window.set_timeout_with_callback_and_timeout_and_arguments_0(resolve.unchecked_ref(), 5).expect("waits");
        });
        JsFuture::from(pause).await.expect("waits");
    }
}

async fn is_answered(client: &Client, heard: &Heard) {
    read(client, "a.png");
    let Event::Response(response, bytes) = next(heard).await else { panic!("the worker died") };
    assert_eq!((response, bytes), (Response::Progress { received: 3, total: 10 }, vec![vec![9, 8]]));
}

#[wasm_bindgen_test]
async fn a_worker_answers() {
    let (client, heard) = client().await;
    is_answered(&client, &heard).await;
    is_answered(&client, &heard).await;
}

#[wasm_bindgen_test]
async fn a_worker_that_dies_is_started_again() {
    let (client, heard) = client().await;
    read(&client, "memory");
    assert!(matches!(next(&heard).await, Event::Died { defect: None }));
    is_answered(&client, &heard).await;
    read(&client, "defect");
    assert!(matches!(next(&heard).await, Event::Died { defect: Some(message) } if message == "index out of range"));
    is_answered(&client, &heard).await;
}

#[wasm_bindgen_test]
async fn a_program_that_is_none_is_refused_in_words() {
    let refused = Program::new(SCRIPT, &Uint8Array::from(&b"<!doctype html>"[..]).buffer()).await;
    let Err(message) = refused else { panic!("compiled") };
    assert!(message.starts_with("This browser cannot run the reader"), "{message}");
}
