"""Rust, by rustc. It contracts and reorders nothing by itself; a panic ends the step."""

COMPILATION = {
    "compiler": "rustc",
    "mode": "archive",
    "options": ["--crate-type=staticlib", "--edition=2021", "-Copt-level=3"],
    "debug_options": ["--crate-type=staticlib", "--edition=2021", "-g"],
    "fast_options": ["-Ctarget-cpu=native"],
    "include_flag": "",
}

EXPORT = 'write: #[no_mangle] pub extern "C" fn transform(...) -> i32'
