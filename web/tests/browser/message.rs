//! Messages as the browser carries them.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;
use web::worker::message::{MessageError, decode, encode, take};
use web::xray::protocol::{Request, Response, Wish};

#[wasm_bindgen_test]
fn head_and_bytes_come_back() {
    let request = Request::Read { id: 7, file: "ä \"x\".png".to_owned(), wish: Wish::Answer };
    let message = encode(&request, &[Uint8Array::from(&[1, 2, 3][..]).buffer()]).expect("encodes");
    assert_eq!(message.transfer.length(), 1, "the buffer is given away, not copied");
    let (head, bytes) = decode::<Request>(&message.data).expect("decodes");
    assert_eq!((head, take(&bytes)), (request, vec![vec![1, 2, 3]]));
    assert_eq!(bytes[0].length(), 0, "the message's own memory is given back");
}

#[wasm_bindgen_test]
fn a_message_needs_no_bytes() {
    let response = Response::Progress { received: 1 << 40, total: 1 << 41 };
    let message = encode(&response, &[]).expect("encodes");
    assert_eq!(message.transfer.length(), 0);
    let (head, bytes) = decode::<Response>(&message.data).expect("decodes");
    assert!(head == response && bytes.is_empty());
}

#[wasm_bindgen_test]
fn other_messages_are_refused() {
    for foreign in [JsValue::NULL, "text".into(), Array::of2(&1.into(), &JsValue::UNDEFINED).into()] {
        assert!(matches!(decode::<Request>(&foreign), Err(MessageError::Form)));
    }
    let not_a_buffer = Array::of2(&"{}".into(), &Array::of1(&3.into())).into();
    assert!(matches!(decode::<Request>(&not_a_buffer), Err(MessageError::Form)));
    let unknown = Array::of2(&"{\"Sing\":{}}".into(), &Array::new()).into();
    assert!(matches!(decode::<Request>(&unknown), Err(MessageError::Head(_))));
}
