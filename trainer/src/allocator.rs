//! Memory for training steps.
#![allow(unsafe_code, reason = "the allocator's settings are a C function")]

use std::ffi::c_long;

pub use mimalloc::MiMalloc as Allocator;

/// The allocator's number for the delay, in milliseconds, after which it gives free memory back; -1 is never.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
const NEVER: c_long = -1;

/// Lets the allocator keep what is freed, for the next step.
///
/// A step allocates and frees hundreds of megabytes. If they are given back to the kernel each time, it has to clear
/// every page anew, which takes a fifth of the step.
pub fn keep_freed_memory() {
    // SAFETY: the option is one of this version's and the call is allowed at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER) }
}
