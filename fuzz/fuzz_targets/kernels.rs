//! Any bytes: a kernel, a shape and instructions, whose result must be that of the plain loop; and sizes that must be
//! accepted or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Shapes that do not fit are refused, which is right, too.
    let _ = shared::kernel::fuzz::check(bytes);
    shared::kernel::fuzz::check_sizes(bytes);
});
