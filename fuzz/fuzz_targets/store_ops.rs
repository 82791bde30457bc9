//! libFuzzer's way into `chopmark_testkit::fuzz::store_ops`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| chopmark_testkit::fuzz::store_ops(data));
