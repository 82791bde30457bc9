//! What a program can ask valgrind's memcheck. Outside valgrind every request is a few rotations that do nothing.
//!
//! The numbers are those of valgrind.h and memcheck.h, which are its stable interface.

use core::arch::asm;

const RUNNING_ON_VALGRIND: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
const MAKE_UNDEFINED: usize = 0x4d43_0001;
const MAKE_DEFINED: usize = 0x4d43_0002;

fn request(number: usize, first: usize, second: usize) -> usize {
    let arguments = [number, first, second, 0, 0, 0];
    let mut answer = 0_usize;
    // SAFETY: the four rotations leave rdi as it was and the exchange changes nothing; valgrind recognises the sequence,
    // reads the six words at rax and answers in rdx.
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") answer,
            options(nostack)
        );
    }
    answer
}

/// Whether this runs under valgrind.
pub fn is_watching() -> bool {
    request(RUNNING_ON_VALGRIND, 0, 0) != 0
}

/// How many errors valgrind has reported so far.
pub fn errors() -> usize {
    request(COUNT_ERRORS, 0, 0)
}

/// From here on, a branch or an address that depends on these bytes is reported.
pub fn secret<T: ?Sized>(value: &T) {
    request(MAKE_UNDEFINED, core::ptr::from_ref(value).cast::<u8>() as usize, size_of_val(value));
}

/// These bytes are public: everybody may know them.
pub fn public<T: ?Sized>(value: &T) {
    request(MAKE_DEFINED, core::ptr::from_ref(value).cast::<u8>() as usize, size_of_val(value));
}
