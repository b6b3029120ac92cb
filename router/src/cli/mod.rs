//! The command line: one file per command.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::api::What;

pub mod bench;
pub mod check;
pub mod demo;
pub mod lab;
pub mod run;
pub mod show;
pub mod table;
pub mod top;
pub mod trace;

/// An SRv6 software router on AF_XDP.
#[derive(Debug, Parser)]
#[command(name = "sidewinder", version, about, propagate_version = true)]
struct Cli {
    /// Control socket of the daemon to talk to.
    #[arg(long, global = true, value_name = "PATH", default_value = sidewinder_config::Router::DEFAULT_SOCKET)]
    socket: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the router in the foreground.
    Run {
        /// The configuration.
        #[arg(short, long, value_name = "FILE", default_value = "/etc/sidewinder/sidewinder.toml")]
        config: PathBuf,
    },
    /// Check a configuration file; needs no privilege.
    Check {
        /// The configuration.
        file: PathBuf,
    },
    /// Have the daemon read its configuration again; only the difference is applied.
    Reload,
    /// Show a part of the daemon's state.
    Show {
        /// Which part.
        what: What,
        #[command(flatten)]
        output: show::Output,
    },
    /// Show live rates, once a second, until interrupted.
    Top {
        /// Stop after so many lines.
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
    /// Show the way of the next packets that match: look-ups, what was found, what was changed, and
    /// what became of them.
    Trace(trace::Args),
    /// Measure packet rates.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Run a network of routers and hosts in namespaces on this machine, with traffic through it.
    Demo(demo::Args),
    /// Print the completion script of a shell.
    #[command(hide = true)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    #[command(hide = true)]
    Man,
}

/// Runs the command that was given. Exit codes: 0 done, 1 failed, 2 wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // `sidewinder show routes | head` is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let text = format!("{error:#}");
            let prefix = if text.starts_with("error") { "" } else { "error: " };
            eprintln!("{prefix}{text}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn dispatch(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Run { config } => run::run(&config),
        Command::Check { file } => check::check(&file),
        Command::Reload => run::reload(&cli.socket),
        Command::Show { what, output } => show::show(&cli.socket, what, &output),
        Command::Top { count } => top::top(&cli.socket, count),
        Command::Trace(args) => trace::trace(&cli.socket, args),
        Command::Bench(bench) => bench::run(bench),
        Command::Demo(args) => demo::run(args),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "sidewinder",
                &mut std::io::stdout(),
            );
            Ok(())
        }
        Command::Man => Ok(clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
