//! `towpath completion SHELL`.

use std::process::ExitCode;

use clap::CommandFactory;

/// Prints a completion script for a shell.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    let mut command = super::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "towpath", &mut script);
    super::output::text_out(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
