//! Memory for training steps.
#![allow(unsafe_code, reason = "the allocator's settings and its account are C functions")]

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

/// The most memory that this program has had, in bytes.
pub fn peak_bytes() -> usize {
    let mut peak = 0;
    let none = std::ptr::null_mut;
    // SAFETY: each pointer is null, which the function allows, or that of a variable that lives until it returns.
    unsafe {
        libmimalloc_sys::mi_process_info(none(), none(), none(), none(), &raw mut peak, none(), none(), none());
    }
    peak
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told() {
        let mut kept = vec![0u8; 64 << 20];
        kept.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        let peak = peak_bytes();
        assert!((64 << 20..1 << 40).contains(&peak), "{peak} bytes, of which {} are here", kept.len());
    }
}
