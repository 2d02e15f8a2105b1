//! The binary: parses, runs, exits.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    towpath::cli::main()
}
