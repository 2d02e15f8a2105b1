//! The door for people: parses a command, calls the rooms, prints.
//!
//! Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 wrong arguments. One file a
//! command; nothing here decides what a lower room could.

mod apiserver;
mod build;
mod completion;
pub mod demo;
mod explained;
mod file;
mod hint;
mod lint;
mod output;
mod policy;
mod progress;
mod run;
mod scratch;
mod signals;
mod tags;
mod update;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Scans registries, updates manifests in Git and applies them.
#[derive(Parser)]
#[command(
    name = "towpath",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Arguments {
    /// What to log on stderr, such as `info` or `towpath=debug`; `warn` by default, `error` in the demo.
    #[arg(
        long,
        global = true,
        env = "TOWPATH_LOG",
        value_name = "FILTER",
        help_heading = "For every command"
    )]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Apiserver(apiserver::Arguments),
    Build(build::Arguments),
    Completion(completion::Arguments),
    Demo(demo::Arguments),
    Lint(lint::Arguments),
    Policy(policy::Arguments),
    Run(run::Arguments),
    Tags(tags::Arguments),
    Update(update::Arguments),
}

/// Parses the process' arguments, runs the command and returns the exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The demo tells what happens itself.
    let quiet = matches!(arguments.command, Command::Demo(_));
    let filter = arguments.log.as_deref();
    let filter = filter.unwrap_or(if quiet { "error" } else { "warn" });
    if let Err(error) = start_logging(filter) {
        hint::print(&error);
        return ExitCode::from(2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            hint::print(&anyhow::Error::new(error).context("start the runtime"));
            return ExitCode::FAILURE;
        }
    };
    // The first thing, since everything that speaks TLS asks for it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = runtime.block_on(dispatch(arguments.command));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        hint::print(&error);
        ExitCode::FAILURE
    })
}

async fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Apiserver(arguments) => apiserver::run(arguments).await,
        Command::Run(arguments) => run::run(arguments).await,
        Command::Update(arguments) => update::run(arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Lint(arguments) => lint::run(&arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Policy(arguments) => policy::run(arguments).await,
        Command::Tags(arguments) => tags::run(arguments).await,
        Command::Completion(arguments) => completion::run(&arguments),
    }
}

fn start_logging(filter: &str) -> anyhow::Result<()> {
    use hint::Hint;
    use std::io::IsTerminal;
    use tracing_subscriber::field::MakeExt;
    use tracing_subscriber::fmt::format;

    use crate::safe::printable;
    let filter: tracing_subscriber::EnvFilter = filter
        .parse()
        .hint("a filter is a level such as info, or room=level pairs")?;
    // A value from outside must not act on a terminal, nor look like a line of its own.
    let fields = format::debug_fn(|writer, field, value| {
        let text = printable(&format!("{value:?}"));
        match field.name() {
            "message" => write!(writer, "{text}"),
            name => write!(writer, "{name}={text}"),
        }
    });
    tracing_subscriber::fmt()
        .fmt_fields(fields.delimited(" "))
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}

/// Whoever read our stdout has seen enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
