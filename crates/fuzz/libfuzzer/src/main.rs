//! The target that `PORTCULLIS_FUZZ_TARGET` names, driven by libFuzzer: one binary, so that it is linked once.
#![no_main]

use std::sync::LazyLock;

use portcullis_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("PORTCULLIS_FUZZ_TARGET").unwrap_or_default();
    let names = || Target::ALL.map(|target| target.name).join(", ");
    Target::find(&name).unwrap_or_else(|| panic!("`PORTCULLIS_FUZZ_TARGET` is `{name}`; it may be {}", names()))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if bytes.len() <= TARGET.max_bytes {
        let _ = TARGET.run(bytes);
    }
});
