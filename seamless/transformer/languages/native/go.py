"""Go, by the go command with cgo."""

COMPILATION = {
    "compiler": "go",
    "mode": "package",
    "options": ["-buildmode=c-archive"],
    "debug_options": ["-buildmode=c-archive", "-gcflags=all=-N -l"],
    "compile_flag": "build",
    "include_flag": "",
    "extension": "go",
}

EXPORT = "write '//export transform' above the function, and import \"C\""
