//! Files that a test holds: they change with the code or not at all.

use std::path::Path;

/// Asserts that a file of the repository, named from its root, is exactly this text. What it would have to be is left
/// in the build folder.
#[track_caller]
pub fn is_golden(path: &str, now: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let golden = std::fs::read_to_string(root.join(path)).unwrap_or_default();
    if golden == now {
        return;
    }
    let left = Path::new(env!("CARGO_TARGET_TMPDIR")).join(Path::new(path).file_name().unwrap());
    std::fs::write(&left, now).unwrap();
    let (old, new): (Vec<&str>, Vec<&str>) = (golden.lines().collect(), now.lines().collect());
    let gone: Vec<&&str> = old.iter().filter(|line| !new.contains(line)).collect();
    let come: Vec<&&str> = new.iter().filter(|line| !old.contains(line)).collect();
    panic!(
        "`{path}` is not what the code says; if the code is right: cp {} {path}\ngone: {gone:#?}\ncome: {come:#?}",
        left.display()
    );
}
