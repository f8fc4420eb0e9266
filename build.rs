//! Rebuilds when a file is added to a folder that is compiled in; the macros notice edits alone.

#[allow(clippy::print_stdout, reason = "this is how a build script speaks")]
fn main() {
    for folder in ["policies", "migrations"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
