//! Which vector instructions this browser has, and which are used.

use js_sys::Reflect;
use shared::kernel::Simd;
use wasm_bindgen_test::wasm_bindgen_test;
use web::browser::has_relaxed_simd;

#[wasm_bindgen_test]
fn relaxed_simd_is_found_where_it_is() {
    assert!(has_relaxed_simd(), "the Chromium of the tests has it since version 114");
}

/// A browser without it refuses the program that asks, as this one refuses an opcode that nobody has.
#[wasm_bindgen_test]
fn relaxed_simd_is_not_found_where_validation_fails() {
    let namespace = Reflect::get(&js_sys::global(), &"WebAssembly".into()).expect("there");
    let validate = Reflect::get(&namespace, &"validate".into()).expect("there");
    let refuse = js_sys::Function::new_no_args("return false");
    Reflect::set(&namespace, &"validate".into(), &refuse).expect("replaced");
    let found = has_relaxed_simd();
    Reflect::set(&namespace, &"validate".into(), &validate).expect("put back");
    assert!(!found);
}

#[wasm_bindgen_test]
fn the_build_uses_the_instructions_it_was_compiled_for() {
    let expected = if cfg!(target_feature = "relaxed-simd") { "relaxed-simd" } else { "simd128" };
    assert_eq!(Simd::best().name(), expected);
}
