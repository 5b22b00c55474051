//! Generators: `dev screenshots [--check]`. What they write is committed, and `--check` says if it is stale. And
//! `dev replay FILE`, which shows where a recorded session of the console came to.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use color_eyre::eyre::Result;

#[path = "dev/replay.rs"]
mod replay;
#[path = "dev/screenshots.rs"]
mod screenshots;

/// Generators for what is committed beside the code.
#[derive(Parser)]
#[command(name = "dev")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Draws the console's screens as SVG and PNG.
    Screenshots {
        /// Writes nothing; fails if a picture is missing or stale.
        #[arg(long)]
        check: bool,
        /// Where the pictures are.
        #[arg(long, default_value = "screenshots")]
        into: PathBuf,
    },
    /// Plays a recording of the console (`:dump`) forward, and prints its last screen.
    Replay {
        /// The recording.
        file: PathBuf,
    },
}

fn main() -> Result<()> {
    color_eyre::install()?;
    match Arguments::parse().task {
        Task::Screenshots { check, into } => {
            screenshots::run(&into, check, &mut std::io::stdout().lock())
        }
        Task::Replay { file } => replay::run(&file, &mut std::io::stdout().lock()),
    }
}
