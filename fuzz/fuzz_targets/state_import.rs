//! libFuzzer's way into `chopmark_testkit::fuzz::state_import`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| chopmark_testkit::fuzz::state_import(data));
