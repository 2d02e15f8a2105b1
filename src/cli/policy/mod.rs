//! `towpath policy`: tests policies by their tables, and explains what one makes of tags.

mod explain;
mod junit;
mod table;
pub(super) mod writers;

use std::process::ExitCode;

use clap::Subcommand;

/// Tests policies, and explains what they choose.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Explain(explain::Arguments),
    Test(table::Arguments),
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Explain(arguments) => explain::run(arguments).await,
        Command::Test(arguments) => table::run(&arguments),
    }
}
