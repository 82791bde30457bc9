//! libFuzzer's way into `chopmark_testkit::fuzz::relay_session`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| chopmark_testkit::fuzz::relay_session(data));
